"""Stored locations and chips: build them, read them, split them."""

from swath.corpus._part import Chip, Location, Part, footprint
from swath.corpus.format import FORMAT, BandStatistics, Corpus, CorpusInfo, LabelLayer, SensorLayout
from swath.corpus.loader import Loader
from swath.corpus.reader import Reader
from swath.corpus.sampler import Sampler, Selection
from swath.corpus.statistics import band_statistics
from swath.corpus.writer import CorpusWriter

__all__ = [
    "FORMAT",
    "BandStatistics",
    "Chip",
    "Corpus",
    "CorpusInfo",
    "CorpusWriter",
    "LabelLayer",
    "Loader",
    "Location",
    "Part",
    "Reader",
    "Sampler",
    "Selection",
    "SensorLayout",
    "band_statistics",
    "footprint",
]
