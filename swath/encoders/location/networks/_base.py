"""What one file of this folder has to define to be a network of location encoders that recipes can name."""

from typing import Any, Protocol, cast, runtime_checkable

from pydantic import Field
from torch import nn

from swath import plugins
from swath.settings import PluginSettings

PACKAGE = "swath.encoders.location.networks"
USUAL_DIM = 256
"""Length of an embedding of which nothing is said: SatCLIP's and SINR's."""


class NetworkSettings(PluginSettings):
    """Base of every network's `Config`."""

    dim: int | None = Field(default=None, ge=1)
    """Length of the embedding; null: 256, or as long as that of the image encoder beside it."""


@runtime_checkable
class NetworkPlugin(Protocol):
    """A module of this folder, or one that an installed package offers."""

    Config: type[NetworkSettings]
    """Its settings in a recipe."""

    def build(self, config: Any, features: int, dim: int) -> nn.Module:
        """A network with random weights, from "n features" to "n dim"; what its settings say of `dim` is in there."""
        ...


def build(config: NetworkSettings, features: int, dim: int) -> nn.Module:
    """The network that `config.name` names.

    Args:
        config: its settings.
        features: number of features that its encoding has.
        dim: length of the embedding.

    Raises:
        RecipeError: there is none of that name.
    """
    return cast(NetworkPlugin, plugins.find(PACKAGE, config.name)).build(config, features, dim)


def names() -> list[str]:
    """Names of all networks."""
    return plugins.names(PACKAGE)
