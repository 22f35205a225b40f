"""Running an evaluation: what there is to compute, results on disk, and the tables that are written."""

from swath.tasks.run.evaluate import Evaluation, Judged, planned
from swath.tasks.run.look import Seen, represent
from swath.tasks.run.rotation import folds_of
from swath.tasks.run.stress import Wanted, stress

__all__ = ["Evaluation", "Judged", "Seen", "Wanted", "folds_of", "planned", "represent", "stress"]
