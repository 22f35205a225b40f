"""Longitude and latitude themselves, in radians: (lon, lat).

It jumps at the antimeridian, and a pole has as many values as there are longitudes. Russwurm et al. 2024 take pi away
from both, which is of no consequence to what can be learnt.
"""

from typing import Literal

from jaxtyping import Float64
from torch import Tensor

from swath.encoders.location.encodings._base import Encoding, EncodingSettings


class Config(EncodingSettings):
    """The coordinates have no settings."""

    name: Literal["direct"] = "direct"


class Direct(Encoding):
    """(lon, lat) in radians: from -pi to pi, and from -pi / 2 to pi / 2."""

    WRAPS = False
    ONE_POLE = False

    def features(self, lonlat: Float64[Tensor, "n 2"]) -> Float64[Tensor, "n 2"]:
        """Radians of degrees."""
        return lonlat.deg2rad()


def build(config: Config) -> Encoding:  # noqa: ARG001 - every plug-in is built this way
    """The coordinates as they are."""
    return Direct(2)
