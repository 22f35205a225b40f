"""Random waves over a map of equal areas, at several scales (GeoCLIP; Vivanco Cepeda et al. 2023, arXiv 2309.16020).

The map is the Equal Earth projection (Savric et al. 2018). It is cut at the antimeridian, where features jump, and
draws the poles as lines, along which they change.
"""

import math
from typing import Annotated, Literal

import torch
from jaxtyping import Float64
from pydantic import Field
from torch import Tensor

from swath.encoders.location.encodings._base import Encoding, EncodingSettings
from swath.settings import Seed

_EQUAL_EARTH = (1.340264, -0.081106, 0.000893, 0.003796)
_UNIT = 66.50336 / 180
"""GeoCLIP's scale of the map: about from -1 to 1 along the equator."""


class Config(EncodingSettings):
    """Which waves, and how many of each scale."""

    name: Literal["random-fourier"] = "random-fourier"
    sigmas: tuple[Annotated[float, Field(gt=0)], ...] = Field(default=(1.0, 16.0, 256.0), min_length=1)
    """Standard deviations of the waves' frequencies, in waves per half of the equator; the map's scales."""
    waves: int = Field(default=256, ge=1)
    """Random waves of each scale, which are two features each."""
    seed: Seed = 0
    """Seed of the waves."""


class RandomFourier(Encoding):
    """The cosines of all waves, then their sines: from -1 to 1."""

    WRAPS = False
    ONE_POLE = False

    waves: Tensor

    def __init__(self, config: Config):
        super().__init__(2 * config.waves * len(config.sigmas))
        generator = torch.Generator().manual_seed(config.seed)
        shape = (len(config.sigmas), config.waves, 2)
        drawn = torch.randn(shape, generator=generator, dtype=torch.float64)
        # A buffer that is saved: another torch may draw other numbers.
        self.register_buffer("waves", torch.tensor(config.sigmas, dtype=torch.float64)[:, None, None] * drawn)

    def features(self, lonlat: Float64[Tensor, "n 2"]) -> Float64[Tensor, "n d"]:
        """Cosine and sine of each wave at each location."""
        x, y = (axis[:, None, None] for axis in equal_earth(lonlat).mul(_UNIT).T)
        # two products, not a matrix product: those may be computed in less than float32
        turned = 2 * math.pi * (x * self.waves[..., 0] + y * self.waves[..., 1])
        return torch.cat([turned.cos(), turned.sin()], dim=2).flatten(1)


def equal_earth(lonlat: Float64[Tensor, "n 2"]) -> Float64[Tensor, "n 2"]:
    """Degrees on the Equal Earth map of a sphere of radius 1: x from -2.71 to 2.71, y from -1.32 to 1.32."""
    lon, lat = lonlat.deg2rad().T
    a1, a2, a3, a4 = _EQUAL_EARTH
    theta = torch.asin(math.sqrt(3) / 2 * lat.sin())
    square = theta**2
    sixth = square**3
    slope = a1 + 3 * a2 * square + sixth * (7 * a3 + 9 * a4 * square)
    x = 2 * math.sqrt(3) * lon * theta.cos() / (3 * slope)
    return torch.stack([x, theta * (a1 + a2 * square + sixth * (a3 + a4 * square))], dim=1)


def build(config: Config) -> Encoding:
    """Random waves: the same for the same seed."""
    return RandomFourier(config)
