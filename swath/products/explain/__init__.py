"""Why a network says what it says: attribution by pixel, band and date, with checks beside every map.

`attributions` holds the methods, a file each; `explain` asks what was trained for a result of a run, and writes
pictures, GeoTIFFs and tables.
"""

from swath.products.explain import attributions
from swath.products.explain._checks import Removal, rank_correlation, removals
from swath.products.explain._explain import explain
from swath.products.explain._explained import Explained, Target
from swath.products.explain._types import Answer, Explanation

__all__ = [
    "Answer",
    "Explained",
    "Explanation",
    "Removal",
    "Target",
    "attributions",
    "explain",
    "rank_correlation",
    "removals",
]
