"""From predictions to tables: values with intervals, and which differences mean anything."""

from swath.tasks.statistics.claims import Claim
from swath.tasks.statistics.significance import DeLong, delong, holm, mcnemar, nadeau_bengio, paired_t, wilcoxon
from swath.tasks.statistics.summary import (
    StatisticsConfig,
    Summary,
    TaskRules,
    summarise,
    verdict,
)

__all__ = [
    "Claim",
    "DeLong",
    "StatisticsConfig",
    "Summary",
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
