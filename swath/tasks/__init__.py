"""What an encoder is worth: probes on frozen features, the floors beside them, and the statistics of the difference."""

from swath.tasks._config import TaskConfig
from swath.tasks._evaluate import Evaluation, planned
from swath.tasks._labels import unpacked
from swath.tasks._metrics import class_iou, confusion_by_class
from swath.tasks._rotation import folds_of
from swath.tasks._spread import Source, Spread, spread, spread_of_folds
from swath.tasks._task import Task
from swath.tasks._types import Cell, Features, Prediction, Units
from swath.tasks.features import extract
from swath.tasks.statistics import StatisticsConfig, summarise

__all__ = [
    "Cell",
    "Evaluation",
    "Features",
    "Prediction",
    "Source",
    "Spread",
    "StatisticsConfig",
    "Task",
    "TaskConfig",
    "Units",
    "class_iou",
    "confusion_by_class",
    "extract",
    "folds_of",
    "planned",
    "spread",
    "spread_of_folds",
    "summarise",
    "unpacked",
]
