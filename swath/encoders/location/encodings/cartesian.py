"""The point on the unit sphere: (cos lat cos lon, cos lat sin lon, sin lat). Continuous everywhere."""

from typing import Literal

import torch
from jaxtyping import Float64
from torch import Tensor

from swath.encoders.location.encodings._base import Encoding, EncodingSettings


class Config(EncodingSettings):
    """Points have no settings."""

    name: Literal["cartesian"] = "cartesian"


class Cartesian(Encoding):
    """(x, y, z) of length 1: x points to longitude 0 on the equator, z to the north pole."""

    WRAPS = True
    ONE_POLE = True

    def features(self, lonlat: Float64[Tensor, "n 2"]) -> Float64[Tensor, "n 3"]:
        """The point of each location."""
        lon, lat = lonlat.deg2rad().T
        return torch.stack([lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()], dim=1)


def build(config: Config) -> Encoding:  # noqa: ARG001 - every plug-in is built this way
    """Points on the sphere."""
    return Cartesian(3)
