"""How a corpus lies on disk, and the one writer.

`format` is what corpus.json says and the opened `Corpus`; `part` what a build hands to the `writer`; `index` the tables
of locations and chips, `arrays` the pixels, masks and label maps; `codes` class codes, `digests` what the content hash
is made of, `statistics` the moments of every band.
"""

from swath.corpus.store import arrays, codes, digests, index
from swath.corpus.store.format import (
    FORMAT,
    BandStatistics,
    Corpus,
    CorpusInfo,
    LabelLayer,
    SensorLayout,
    label_path,
    pixel_path,
    truth_path,
    valid_path,
)
from swath.corpus.store.part import Chip, Location, Part, footprint, split_at_antimeridian, usable
from swath.corpus.store.statistics import band_statistics
from swath.corpus.store.writer import CorpusWriter

__all__ = [
    "FORMAT",
    "BandStatistics",
    "Chip",
    "Corpus",
    "CorpusInfo",
    "CorpusWriter",
    "LabelLayer",
    "Location",
    "Part",
    "SensorLayout",
    "arrays",
    "band_statistics",
    "codes",
    "digests",
    "footprint",
    "index",
    "label_path",
    "pixel_path",
    "split_at_antimeridian",
    "truth_path",
    "usable",
    "valid_path",
]
