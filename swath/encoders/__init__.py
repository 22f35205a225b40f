"""Encoders: networks that turn an `Image` into an embedding.

An encoder is one file in this folder that defines `Config` and `build(config, contract) -> Encoder` (`EncoderPlugin`);
it is found by its module name. What else is known of it, its `Config` says: `EncoderSettings`, `StartableSettings`.
"""

from swath import plugins
from swath.encoders._adopt import adopt
from swath.encoders._base import Encoder, Standardize
from swath.encoders._checkpoint import (
    EncoderCard,
    build,
    fresh,
    load,
    load_card,
    load_seen,
    own_start,
    save,
    saw_unknown_places,
    untrained,
)
from swath.encoders._contract import InputContract
from swath.encoders._dense import DenseEncoder, backbone_of, head_of
from swath.encoders._export import Library, export
from swath.encoders._foreign import StartReport
from swath.encoders._maps import MapEncoder
from swath.encoders._norm import FrameBatchNorm
from swath.encoders._plugin import EncoderPlugin, EncoderSettings, StartableSettings
from swath.encoders._published import PublishedCard, published_card, published_names
from swath.encoders._series import SeriesEncoder, seen_frames, temporal_mean
from swath.encoders._spectrum import NearestBand, nearest_band
from swath.encoders._tokens import Patches, TokenEncoder, TokenGrid, sees_series

__all__ = [
    "DenseEncoder",
    "Encoder",
    "EncoderCard",
    "EncoderPlugin",
    "EncoderSettings",
    "FrameBatchNorm",
    "InputContract",
    "Library",
    "MapEncoder",
    "NearestBand",
    "Patches",
    "PublishedCard",
    "SeriesEncoder",
    "Standardize",
    "StartReport",
    "StartableSettings",
    "TokenEncoder",
    "TokenGrid",
    "adopt",
    "backbone_of",
    "build",
    "export",
    "fresh",
    "head_of",
    "load",
    "load_card",
    "load_seen",
    "names",
    "nearest_band",
    "own_start",
    "published_card",
    "published_names",
    "save",
    "saw_unknown_places",
    "seen_frames",
    "sees_series",
    "temporal_mean",
    "untrained",
]


def names() -> list[str]:
    """Names of all kinds of encoders."""
    return plugins.names(__name__)
