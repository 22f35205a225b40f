"""Both angles as points on circles: (cos lon, sin lon, cos lat, sin lat).

Mac Aodha et al. 2019, https://arxiv.org/abs/1906.05272, whose latitude goes once around in 180 degrees: in SINR both
poles look alike. Russwurm et al. 2024 take the angles as they are. Continuous at the antimeridian; a pole still has a
value for each longitude.
"""

from typing import Literal

import torch
from jaxtyping import Float64
from torch import Tensor

from swath.encoders.location.encodings._base import Encoding, EncodingSettings


class Config(EncodingSettings):
    """How far the circle of latitudes reaches."""

    name: Literal["wrap"] = "wrap"
    latitude_period: Literal[180, 360] = 360
    """Degrees in which latitude comes back to where it was: 180 in SINR, to which the poles are one place."""


class Wrap(Encoding):
    """(cos lon, sin lon, cos lat, sin lat), each from -1 to 1; latitude doubled where its period is 180 degrees."""

    WRAPS = True
    ONE_POLE = False

    def __init__(self, latitude_period: int):
        super().__init__(4)
        self.turns = 360 / latitude_period

    def features(self, lonlat: Float64[Tensor, "n 2"]) -> Float64[Tensor, "n 4"]:
        """Cosine and sine of both angles."""
        lon, lat = lonlat.deg2rad().T
        lat = self.turns * lat
        return torch.stack([lon.cos(), lon.sin(), lat.cos(), lat.sin()], dim=1)


def build(config: Config) -> Encoding:
    """The points on both circles."""
    return Wrap(config.latitude_period)
