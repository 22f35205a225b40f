"""Encoders: networks that turn an `Image` into an embedding.

An encoder is one file in this folder that defines `Config` and `build(config, contract) -> Encoder`; it is found by its
module name. One that has a branch per sensor (`InputContract.branches`) says so with `HAS_BRANCHES = True`, one whose
`Config.weights` may be a file of others than swath with `TAKES_FOREIGN_WEIGHTS = True`.
"""

from swath import plugins
from swath.encoders._base import Encoder, Standardize
from swath.encoders._checkpoint import Card, build, fresh, load, load_card, load_seen, own_start, save
from swath.encoders._contract import InputContract
from swath.encoders._dense import DenseEncoder, backbone_of, head_of
from swath.encoders._series import SeriesEncoder

__all__ = [
    "Card",
    "DenseEncoder",
    "Encoder",
    "InputContract",
    "SeriesEncoder",
    "Standardize",
    "backbone_of",
    "build",
    "fresh",
    "head_of",
    "load",
    "load_card",
    "load_seen",
    "names",
    "own_start",
    "save",
]


def names() -> list[str]:
    """Names of all kinds of encoders."""
    return plugins.names(__name__)
