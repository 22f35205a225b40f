"""What an encoder is worth: probes on frozen features, the floors beside them, and the statistics of the difference."""

from swath.tasks import representation, robustness, schema, trained
from swath.tasks._types import EvaluationUnits, Features, Outcome, Prediction
from swath.tasks.budget import LabelBudget, listed_budgets
from swath.tasks.claims import stated_claims
from swath.tasks.config import TaskConfig, by_budget
from swath.tasks.data import extract, unpacked
from swath.tasks.metrics import class_iou, confusion_by_class
from swath.tasks.power import needed_for
from swath.tasks.run import (
    Encoders,
    Evaluation,
    Judged,
    Seen,
    Splits,
    Wanted,
    compare_splits,
    folds_of,
    origin,
    origin_of,
    planned,
    represent,
    stress,
)
from swath.tasks.statistics import (
    Claim,
    Source,
    Spread,
    StatisticsConfig,
    Summary,
    has_verdict,
    number_of_equal_groups,
    spread,
    spread_of_folds,
    summarise,
)
from swath.tasks.task import Task, remarks_on_test
from swath.tasks.trained import Trained, needs_days

__all__ = [
    "Claim",
    "Encoders",
    "Evaluation",
    "EvaluationUnits",
    "Features",
    "Judged",
    "LabelBudget",
    "Outcome",
    "Prediction",
    "Seen",
    "Source",
    "Splits",
    "Spread",
    "StatisticsConfig",
    "Summary",
    "Task",
    "TaskConfig",
    "Trained",
    "Wanted",
    "by_budget",
    "class_iou",
    "compare_splits",
    "confusion_by_class",
    "extract",
    "folds_of",
    "has_verdict",
    "listed_budgets",
    "needed_for",
    "needs_days",
    "number_of_equal_groups",
    "origin",
    "origin_of",
    "planned",
    "remarks_on_test",
    "represent",
    "representation",
    "robustness",
    "schema",
    "spread",
    "spread_of_folds",
    "stated_claims",
    "stress",
    "summarise",
    "trained",
    "unpacked",
]
