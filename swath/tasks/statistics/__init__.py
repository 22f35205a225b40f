"""From predictions to tables: values with intervals, and which differences mean anything."""

from swath.tasks.statistics.significance import DeLong, delong, holm, mcnemar, nadeau_bengio, paired_t, wilcoxon
from swath.tasks.statistics.summary import (
    CELL_COLUMNS,
    COMPARISON_COLUMNS,
    NOTE_COLUMNS,
    PREDICTION_COLUMNS,
    TABLE_COLUMNS,
    Comparison,
    Line,
    MetricName,
    StatisticsConfig,
    TaskRules,
    Verdict,
    summarise,
    verdict,
)

__all__ = [
    "CELL_COLUMNS",
    "COMPARISON_COLUMNS",
    "NOTE_COLUMNS",
    "PREDICTION_COLUMNS",
    "TABLE_COLUMNS",
    "Comparison",
    "DeLong",
    "Line",
    "MetricName",
    "StatisticsConfig",
    "TaskRules",
    "Verdict",
    "delong",
    "holm",
    "mcnemar",
    "nadeau_bengio",
    "paired_t",
    "summarise",
    "verdict",
    "wilcoxon",
]
