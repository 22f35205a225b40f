"""Stored locations and chips: build them, read them, split them."""

from swath.corpus._part import Chip, Location, Part, footprint
from swath.corpus.checks import Finding, Section, check, examine
from swath.corpus.format import FORMAT, BandStatistics, Corpus, CorpusInfo, LabelLayer, SensorLayout
from swath.corpus.info import info
from swath.corpus.leakage import Leakage, leakage
from swath.corpus.loader import Loader
from swath.corpus.reader import Reader
from swath.corpus.sampler import Sampler, Selection, gaps
from swath.corpus.sources import build
from swath.corpus.split import SplitConfig, rotations, split
from swath.corpus.statistics import band_statistics
from swath.corpus.targets import TargetConfig, Targets, targets
from swath.corpus.writer import CorpusWriter

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
