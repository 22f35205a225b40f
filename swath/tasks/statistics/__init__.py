"""From predictions to tables: values with intervals, and which differences mean anything."""

from swath.tasks.statistics.significance import DeLong, delong, holm, mcnemar, nadeau_bengio, paired_t, wilcoxon
from swath.tasks.statistics.summary import (
    StatisticsConfig,
    TaskRules,
    summarise,
    verdict,
)

__all__ = [
    "DeLong",
    "StatisticsConfig",
    "TaskRules",
    "delong",
    "holm",
    "mcnemar",
    "nadeau_bengio",
    "paired_t",
    "summarise",
    "verdict",
    "wilcoxon",
]
