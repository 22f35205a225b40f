"""Sines and cosines of both coordinates at many scales (Space2Vec's grid).

The order is that of the scales; Russwurm et al. 2024 write all of longitude first.
"""

from typing import Literal

from jaxtyping import Float64
from torch import Tensor

from swath.encoders.location.encodings._base import Encoding
from swath.encoders.location.encodings._scales import MultiScale, ScaleSettings


class Config(ScaleSettings):
    """Between which radii there are waves, and how many."""

    name: Literal["grid"] = "grid"


class Grid(MultiScale):
    """The terms (sin lon, cos lon, sin lat, cos lat), each from -1 to 1."""

    def terms(self, angle: Float64[Tensor, "n 2 1"], scaled: Float64[Tensor, "n 2 s"]) -> list[Float64[Tensor, "n s"]]:  # noqa: ARG002
        """Waves along either axis."""
        (lon, lat) = scaled.unbind(1)
        return [lon.sin(), lon.cos(), lat.sin(), lat.cos()]


def build(config: Config) -> Encoding:
    """The waves of these radii."""
    return Grid(config, terms=4)
