"""Encoders of the place itself: a positional encoding of longitude and latitude, and a network on it.

`encodings` holds the fixed functions, `networks` what is trained. As an encoder (`name: location` in a recipe) it takes
an image of the bands `location/lon` and `location/lat`, which every corpus has.
"""

from typing import TYPE_CHECKING, Literal, TypeAlias

from pydantic import ConfigDict, Field

from swath import plugins
from swath.encoders._contract import InputContract
from swath.encoders._plugin import StartableSettings
from swath.encoders.location import encodings, networks
from swath.encoders.location._encoder import LOCATION, LocationEncoder, Tower, check_image, lonlat_of
from swath.encoders.location.encodings import EncodingSettings, check_degrees, spherical_harmonics
from swath.encoders.location.networks import NetworkSettings, siren

__all__ = [
    "LOCATION",
    "Config",
    "LocationEncoder",
    "Tower",
    "build",
    "check_degrees",
    "check_image",
    "encodings",
    "lonlat_of",
    "networks",
    "tower",
]

if TYPE_CHECKING:
    EncodingConfig: TypeAlias = EncodingSettings
    NetworkConfig: TypeAlias = NetworkSettings
else:
    EncodingConfig = plugins.union("swath.encoders.location.encodings", EncodingSettings)
    NetworkConfig = plugins.union("swath.encoders.location.networks", NetworkSettings)


class Config(StartableSettings):
    """Which encoding, and which network reads it."""

    model_config = ConfigDict(defer_build=True)

    name: Literal["location"] = "location"
    encoding: EncodingConfig = Field(default_factory=spherical_harmonics.Config)
    """From degrees to features."""
    network: NetworkConfig | None = Field(default_factory=siren.Config)
    """From features to the embedding; null: the features are the embedding."""


def tower(encoding: EncodingSettings, network: NetworkSettings | None, dim: int = networks.USUAL_DIM) -> Tower:
    """An encoding and a network with random weights on it, from degrees to an embedding.

    Args:
        encoding: its settings.
        network: its settings; None: the features are the embedding.
        dim: length of the embedding of a network whose settings do not say it.

    Raises:
        RecipeError: there is none of such a name.
    """
    return Tower.of(encodings.build(encoding), network, dim)


def build(config: Config, contract: InputContract) -> LocationEncoder:
    """The encoder of locations.

    Raises:
        RecipeError: it is to be fed other bands.
    """
    return LocationEncoder(tower(config.encoding, config.network), contract)
