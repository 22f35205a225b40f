"""Reading a run directory, and what its tables say: who is compared with whom, and is a difference distinguishable."""

from swath.products.tables.claims import VERDICTS, ClaimInWords, claims_in_short, claims_of, decided, notes_by_text
from swath.products.tables.clouds import (
    CloudChart,
    cloud_charts,
    difference_by_cloud,
    level_curves,
    level_gains,
)
from swath.products.tables.notes import left_out, of_lines, remarks, rows_by_reason
from swath.products.tables.panels import (
    Panel,
    band_of,
    contrasts,
    headline_panel,
    is_radar,
    panels_of,
)
from swath.products.tables.run import Run, load, seconds_in_all, stage_name
from swath.products.tables.sentences import ROLES, against, evidence, failures, judged, outcome
from swath.products.tables.sweep import Confirmation, Sweep

__all__ = [
    "ROLES",
    "VERDICTS",
    "ClaimInWords",
    "CloudChart",
    "Confirmation",
    "Panel",
    "Run",
    "Sweep",
    "against",
    "band_of",
    "claims_in_short",
    "claims_of",
    "cloud_charts",
    "contrasts",
    "decided",
    "difference_by_cloud",
    "evidence",
    "failures",
    "headline_panel",
    "is_radar",
    "judged",
    "left_out",
    "level_curves",
    "level_gains",
    "load",
    "notes_by_text",
    "of_lines",
    "outcome",
    "panels_of",
    "remarks",
    "rows_by_reason",
    "seconds_in_all",
    "stage_name",
]
