"""Which locations train, validate and test, and whether a split is honest.

`partition` makes the parts, `audit` looks for what a split lets through, `seen` tells which locations an encoder was
trained on, and `subset` picks locations by their columns.
"""

from swath.corpus.splits.audit import SINGLE_PX, Leakage, copy_key, leakage, nearest_train_km
from swath.corpus.splits.partition import SplitConfig, independent, rotations, split, thin_parts, thin_test
from swath.corpus.splits.seen import first_few, places, refuse_seen
from swath.corpus.splits.subset import Only, rows_of

__all__ = [
    "SINGLE_PX",
    "Leakage",
    "Only",
    "SplitConfig",
    "copy_key",
    "first_few",
    "independent",
    "leakage",
    "nearest_train_km",
    "places",
    "refuse_seen",
    "rotations",
    "rows_of",
    "split",
    "thin_parts",
    "thin_test",
]
