"""Stored locations and chips: build them, read them, split them."""

from pathlib import Path

from swath import plugins
from swath.corpus._part import Chip, Location, Part, footprint
from swath.corpus.check import Finding, check, info
from swath.corpus.format import FORMAT, BandStatistics, Corpus, CorpusInfo, LabelLayer, SensorLayout
from swath.corpus.loader import Loader
from swath.corpus.preview import preview
from swath.corpus.reader import Reader
from swath.corpus.sampler import Sampler, Selection
from swath.corpus.split import Leakage, SplitConfig, leakage, split
from swath.corpus.statistics import band_statistics
from swath.corpus.targets import TargetConfig, Targets, targets
from swath.corpus.writer import CorpusWriter
from swath.settings import Settings

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
    "Selection",
    "SensorLayout",
    "SplitConfig",
    "TargetConfig",
    "Targets",
    "band_statistics",
    "build",
    "check",
    "footprint",
    "info",
    "leakage",
    "preview",
    "split",
    "targets",
]


def build(config: Settings, target: Path, data: Path | None = None) -> None:
    """Make a corpus, or continue it, from the source that the configuration names.

    Args:
        config: the `Config` of a module in `swath.corpus.sources`.
        target: folder of the corpus.
        data: folder of the source's files; None for sources that need none.

    Raises:
        RecipeError: no such source.
        CorpusError: the files are not what the configuration says, or the corpus cannot be written.
    """
    plugins.find("swath.corpus.sources", getattr(config, "name")).build(config, target, data)  # noqa: B009  each has one
