"""From predictions to tables: values with intervals, and which differences mean anything."""

from swath.tasks.statistics import probabilities
from swath.tasks.statistics.claims import UNTESTED_FLOORS, Claim
from swath.tasks.statistics.clouds import at_level, cloud_share, gains
from swath.tasks.statistics.conditions import AS_IT_IS, elsewhere, under_conditions
from swath.tasks.statistics.jackknife import (
    Source,
    Spread,
    has_verdict,
    number_of_equal_groups,
    spread,
    spread_of_folds,
)
from swath.tasks.statistics.label_curves import LabelCurve, Reading, crossover, labels_saved
from swath.tasks.statistics.left_out import LeftOut, weighted_sum
from swath.tasks.statistics.panels import Panel, RowIdentity, TaskResults, band_parts
from swath.tasks.statistics.ranks import Ranking, rank_rows, too_few
from swath.tasks.statistics.significance import DeLong, delong, holm, mcnemar, nadeau_bengio, paired_t, wilcoxon
from swath.tasks.statistics.splits import RANDOM, Folds, over_splits
from swath.tasks.statistics.summary import (
    RunPair,
    StatisticsConfig,
    Summary,
    TaskRules,
    compare_runs,
    summarise,
    verdict,
)

__all__ = [
    "AS_IT_IS",
    "RANDOM",
    "UNTESTED_FLOORS",
    "Claim",
    "DeLong",
    "Folds",
    "LabelCurve",
    "LeftOut",
    "Panel",
    "Ranking",
    "Reading",
    "RowIdentity",
    "RunPair",
    "Source",
    "Spread",
    "StatisticsConfig",
    "Summary",
    "TaskResults",
    "TaskRules",
    "at_level",
    "band_parts",
    "cloud_share",
    "compare_runs",
    "crossover",
    "delong",
    "elsewhere",
    "gains",
    "has_verdict",
    "holm",
    "labels_saved",
    "mcnemar",
    "nadeau_bengio",
    "number_of_equal_groups",
    "over_splits",
    "paired_t",
    "probabilities",
    "rank_rows",
    "spread",
    "spread_of_folds",
    "summarise",
    "too_few",
    "under_conditions",
    "verdict",
    "weighted_sum",
    "wilcoxon",
]
