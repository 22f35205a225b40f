"""Metrics: one file each, found by its module name, which defines its record `METRIC` (`MetricPlugin`).

Everything that anything else wants to know of a metric, such as its label or whether it needs class scores, stands in
the record.
"""

from typing import Annotated, TypeAlias, cast

from swath import plugins
from swath.tasks._names import OneOf
from swath.tasks.metrics._confusion import class_iou, confusion, confusion_by_class, share_right, share_right_by_class
from swath.tasks.metrics._ranking import auc, average_precision
from swath.tasks.metrics._types import Metric, MetricPlugin, OfMatrices, OfScores

__all__ = [
    "Metric",
    "MetricName",
    "MetricPlugin",
    "OfMatrices",
    "OfScores",
    "RankingMetricName",
    "auc",
    "average_precision",
    "class_iou",
    "confusion",
    "confusion_by_class",
    "find",
    "names",
    "share_right",
    "share_right_by_class",
]


def names() -> list[str]:
    """Names of all metrics, as recipes spell them."""
    return [find(name).name for name in plugins.names(__name__)]


def find(name: str) -> Metric:
    """The metric of that name.

    Raises:
        RecipeError: there is none; the message suggests the nearest one.
    """
    return cast(MetricPlugin, plugins.find(__name__, name)).METRIC


MetricName: TypeAlias = Annotated[str, OneOf(names)]
"""The name of any metric."""
RankingMetricName: TypeAlias = Annotated[str, OneOf(lambda: [name for name in names() if find(name).ranks])]
"""The name of a metric by which rows may be ranked and compared."""
