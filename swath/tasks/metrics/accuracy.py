"""Accuracy: the share of units that are right (micro accuracy)."""

from swath.tasks.metrics._confusion import share_right
from swath.tasks.metrics._types import Metric

METRIC = Metric(
    name="accuracy",
    label="accuracy",
    single_label=share_right,
)
