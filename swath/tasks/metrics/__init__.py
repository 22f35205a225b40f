"""Metrics: one file each, found by its module name, which defines its record `METRIC` (`MetricPlugin`).

Everything that anything else wants to know of a metric, such as its label or whether it needs class scores, stands in
the record.
"""

from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias, cast

from pydantic_core import core_schema

from swath import plugins
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


@dataclass(frozen=True)
class _OneOf:
    """Names of metrics in settings; they are looked up when settings are first validated."""

    ranks: bool

    def __get_pydantic_core_schema__(self, *_: Any) -> core_schema.CoreSchema:
        return core_schema.literal_schema([name for name in names() if find(name).ranks or not self.ranks])


MetricName: TypeAlias = Annotated[str, _OneOf(ranks=False)]
"""The name of any metric."""
RankingMetricName: TypeAlias = Annotated[str, _OneOf(ranks=True)]
"""The name of a metric by which rows may be ranked and compared."""
