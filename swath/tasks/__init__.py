"""What an encoder is worth: probes on frozen features, the floors beside them, and the statistics of the difference."""

from swath.tasks._types import Features, Outcome, Prediction, Units
from swath.tasks.claims import stated_claims
from swath.tasks.config import TaskConfig
from swath.tasks.data import extract, unpacked
from swath.tasks.metrics import class_iou, confusion_by_class
from swath.tasks.run.evaluate import Evaluation, planned
from swath.tasks.run.rotation import folds_of
from swath.tasks.statistics import Claim, StatisticsConfig, Summary, summarise
from swath.tasks.statistics.jackknife import (
    Source,
    Spread,
    has_verdict,
    number_of_equal_groups,
    spread,
    spread_of_folds,
)
from swath.tasks.task import Task

__all__ = [
    "Claim",
    "Evaluation",
    "Features",
    "Outcome",
    "Prediction",
    "Source",
    "Spread",
    "StatisticsConfig",
    "Summary",
    "Task",
    "TaskConfig",
    "Units",
    "class_iou",
    "confusion_by_class",
    "extract",
    "folds_of",
    "has_verdict",
    "number_of_equal_groups",
    "planned",
    "spread",
    "spread_of_folds",
    "stated_claims",
    "summarise",
    "unpacked",
]
