"""The synthetic landscape: a world with known truth, made from a seed."""

from swath.corpus.sources.synth._build import (
    CLEAR,
    CLOUD,
    OPTICAL,
    RADAR,
    SHADOW,
    Config,
    build,
    clear_counts,
    cloud_truth,
    locations,
    make,
    passes,
)

__all__ = [
    "CLEAR",
    "CLOUD",
    "OPTICAL",
    "RADAR",
    "SHADOW",
    "Config",
    "build",
    "clear_counts",
    "cloud_truth",
    "locations",
    "make",
    "passes",
]
