"""What one file of this folder has to define to be a positional encoding that recipes can name."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Protocol, cast, runtime_checkable

import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from swath import plugins
from swath.errors import ContractError
from swath.settings import PluginSettings

PACKAGE = "swath.encoders.location.encodings"


class EncodingSettings(PluginSettings):
    """Base of every encoding's `Config`."""


class Encoding(nn.Module, ABC):
    """A fixed function from locations to features; nothing in it is trained."""

    WRAPS: ClassVar[bool]
    """Whether it is continuous where longitude 180 becomes -180."""
    ONE_POLE: ClassVar[bool]
    """Whether a pole has one value, whatever longitude is said of it."""

    def __init__(self, dim: int):
        super().__init__()
        self.dim = dim
        """Number of features."""

    @torch.no_grad()
    def forward(self, lonlat: Float[Tensor, "n 2"]) -> Float64[Tensor, "n d"]:
        """Features of locations in degrees, nothing checked; see `check_degrees`."""
        return self.features(lonlat.double())

    @abstractmethod
    def features(self, lonlat: Float64[Tensor, "n 2"]) -> Float64[Tensor, "n d"]:
        """The formula: features of locations in degrees."""


@runtime_checkable
class EncodingPlugin(Protocol):
    """A module of this folder, or one that an installed package offers."""

    Config: type[EncodingSettings]
    """Its settings in a recipe."""

    def build(self, config: Any) -> Encoding:
        """The encoding of these settings."""
        ...


def build(config: EncodingSettings) -> Encoding:
    """The encoding that `config.name` names.

    Raises:
        RecipeError: there is none of that name.
    """
    return cast(EncodingPlugin, plugins.find(PACKAGE, config.name)).build(config)


def names() -> list[str]:
    """Names of all positional encodings."""
    return plugins.names(PACKAGE)


def check_degrees(lonlat: Float[Tensor, "n 2"]) -> None:
    """Raise ContractError, with the likely cause, unless these are longitudes and latitudes in degrees."""
    lost = int((~lonlat.isfinite()).any(dim=1).sum())
    if lost:
        raise ContractError(
            f"{lost} of {len(lonlat)} locations have no coordinates",
            remedy="leave those locations out, or give them coordinates",
        )
    lon, lat = lonlat.abs().T
    if (lat > 90).any():
        swapped = bool((lon <= 90).all())
        raise ContractError(
            f"latitudes reach {_farthest(lonlat[:, 1])}, and there are none beyond 90 degrees"
            + (": longitude and latitude are probably swapped" if swapped else ""),
            remedy="give longitude first, then latitude, in degrees on WGS 84",
        )
    if (lon > 180).any():
        raise ContractError(
            f"longitudes reach {_farthest(lonlat[:, 0])}",
            remedy="give them from -180 to 180: take 360 away from those beyond 180",
        )


def _farthest(degrees: Float[Tensor, " n"]) -> str:
    return f"{degrees[degrees.abs().argmax()].item():g}"
