"""Reading a run directory, and what its tables say: who is compared with whom, and is a difference distinguishable."""

from swath.products.tables.clouds import (
    CloudChart,
    cloud_charts,
    difference_by_cloud,
    level_curves,
    level_gains,
    of_panel,
)
from swath.products.tables.notes import left_out, remarks, rows_by_reason
from swath.products.tables.panels import (
    Pair,
    Panel,
    Score,
    Verdict,
    band_of,
    contrasts,
    headline_panel,
    is_radar,
    panels_of,
)
from swath.products.tables.run import Run, base, load, seconds_in_all, stage_name
from swath.products.tables.sentences import VERDICTS, against, evidence, headline, outcome

__all__ = [
    "VERDICTS",
    "CloudChart",
    "Pair",
    "Panel",
    "Run",
    "Score",
    "Verdict",
    "against",
    "band_of",
    "base",
    "cloud_charts",
    "contrasts",
    "difference_by_cloud",
    "evidence",
    "headline",
    "headline_panel",
    "is_radar",
    "left_out",
    "level_curves",
    "level_gains",
    "load",
    "of_panel",
    "outcome",
    "panels_of",
    "remarks",
    "rows_by_reason",
    "seconds_in_all",
    "stage_name",
]
