"""Stored locations and chips: build them, read them, split them."""

from swath.corpus import _moved, cluster, painting  # noqa: F401  old names of modules
from swath.corpus.checks import Finding, Section, check, examine
from swath.corpus.labels import TargetConfig, Targets, targets
from swath.corpus.reading import Loader, Reader, Sampler, Selection, gaps
from swath.corpus.sources import build
from swath.corpus.splits import Leakage, SplitConfig, leakage, rotations, split
from swath.corpus.store import (
    FORMAT,
    BandStatistics,
    Chip,
    Corpus,
    CorpusInfo,
    CorpusWriter,
    LabelLayer,
    Location,
    Part,
    SensorLayout,
    band_statistics,
    footprint,
)
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
    "cluster",
    "examine",
    "footprint",
    "gaps",
    "info",
    "leakage",
    "painting",
    "rotations",
    "split",
    "targets",
]
