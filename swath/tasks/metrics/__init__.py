"""Metrics: one file each, found by its module name, which defines its record `METRIC` (`MetricPlugin`).

Everything that anything else wants to know of a metric, such as its label or whether it needs class scores, stands in
the record.
"""

from typing import Annotated, TypeAlias

from swath import plugins
from swath.errors import RecipeError
from swath.tasks._names import OneOf
from swath.tasks.metrics._confusion import class_iou, confusion, confusion_by_class, share_right, share_right_by_class
from swath.tasks.metrics._numbers import E2, N, error_sums
from swath.tasks.metrics._ranking import auc, average_precision
from swath.tasks.metrics._types import Metric, MetricPlugin, OfMatrices, OfScores, OfSums

__all__ = [
    "E2",
    "Metric",
    "MetricName",
    "MetricPlugin",
    "N",
    "OfMatrices",
    "OfScores",
    "OfSums",
    "RankingMetricName",
    "auc",
    "average_precision",
    "class_iou",
    "confusion",
    "confusion_by_class",
    "error_sums",
    "find",
    "names",
    "share_right",
    "share_right_by_class",
]


def names() -> list[str]:
    """Names of all metrics, as recipes spell them; those of packages that cannot be used are there as well.

    Whoever asks for such a one is told why.
    """
    records = {name: _usable(name) for name in plugins.names(__name__)}
    return [name if record is None else record.name for name, record in records.items()]


def find(name: str) -> Metric:
    """The metric of that name.

    Raises:
        RecipeError: there is none, and the message suggests the nearest one; or an installed package's cannot be used.
    """
    record = vars(plugins.find(__name__, name)).get("METRIC")
    if not isinstance(record, Metric):
        origin = plugins.origins(__name__)[name.replace("_", "-")]
        raise RecipeError(
            f"the metric {name!r} of {origin} defines no METRIC = Metric(...)", remedy="mend that package"
        )
    return record


def _usable(name: str) -> Metric | None:
    try:
        return find(name)
    except RecipeError:
        return None


def _ranking_names() -> list[str]:
    """Names of the metrics by which rows may be ranked; a broken one is among them, to be explained when asked for."""
    return [name for name in names() if (record := _usable(name)) is None or record.ranks]


MetricName: TypeAlias = Annotated[str, OneOf(names)]
"""The name of any metric."""
RankingMetricName: TypeAlias = Annotated[str, OneOf(_ranking_names)]
"""The name of a metric by which rows may be ranked and compared."""
