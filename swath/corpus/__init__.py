"""Stored locations and chips: build them, read them, split them."""

from swath.corpus.checks import Finding, Section, check, examine
from swath.corpus.labels.target import TargetConfig, Targets, targets
from swath.corpus.reading.loader import Loader
from swath.corpus.reading.reader import Reader
from swath.corpus.reading.sampler import Sampler, Selection, gaps
from swath.corpus.sources import build
from swath.corpus.splits.audit import Leakage, leakage
from swath.corpus.splits.partition import SplitConfig, rotations, split
from swath.corpus.store.format import FORMAT, BandStatistics, Corpus, CorpusInfo, LabelLayer, SensorLayout
from swath.corpus.store.part import Chip, Location, Part, footprint
from swath.corpus.store.statistics import band_statistics
from swath.corpus.store.writer import CorpusWriter
from swath.corpus.summary import info

__all__ = [
    "FORMAT",
    "BandStatistics",
    "Chip",
    "Corpus",
    "CorpusInfo",
    "CorpusWriter",
    "Finding",
    "LabelLayer",
    "Leakage",
    "Loader",
    "Location",
    "Part",
    "Reader",
    "Sampler",
    "Section",
    "Selection",
    "SensorLayout",
    "SplitConfig",
    "TargetConfig",
    "Targets",
    "band_statistics",
    "build",
    "check",
    "examine",
    "footprint",
    "gaps",
    "info",
    "leakage",
    "rotations",
    "split",
    "targets",
]
