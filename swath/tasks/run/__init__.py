"""Running an evaluation: what there is to compute, results on disk, and the tables that are written."""

from swath.tasks.run.conditions import Wanted, stress
from swath.tasks.run.evaluate import Evaluation, Judged, planned
from swath.tasks.run.look import Seen, represent
from swath.tasks.run.provenance import origin, origin_of
from swath.tasks.run.rotation import folds_of
from swath.tasks.run.splits import Encoders, Splits, compare_splits

__all__ = [
    "Encoders",
    "Evaluation",
    "Judged",
    "Seen",
    "Splits",
    "Wanted",
    "compare_splits",
    "folds_of",
    "origin",
    "origin_of",
    "planned",
    "represent",
    "stress",
]
