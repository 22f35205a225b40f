"""From a corpus to batches: which chips are drawn, in which order, and how their pixels are fetched.

`sampler` chooses chips by seed and location, `pairing` brings the series of several sensors to common dates, `reader`
fetches pixels, and `loader` hands out batches in the order of an epoch.
"""

from swath.corpus.reading.loader import Loader, ahead_of, one_ahead
from swath.corpus.reading.reader import Reader, column_values, texts
from swath.corpus.reading.sampler import PADDING, Sampler, Selection, days, gaps

__all__ = [
    "PADDING",
    "Loader",
    "Reader",
    "Sampler",
    "Selection",
    "ahead_of",
    "column_values",
    "days",
    "gaps",
    "one_ahead",
    "texts",
]
