"""Waves along three directions 120 degrees apart, like grid cells of the brain (Space2Vec's theory)."""

from typing import Literal

from jaxtyping import Float64
from torch import Tensor

from swath.encoders.location.encodings._base import Encoding
from swath.encoders.location.encodings._scales import MultiScale, ScaleSettings


class Config(ScaleSettings):
    """Between which radii there are waves, and how many."""

    name: Literal["theory"] = "theory"


class Theory(MultiScale):
    """Sine and cosine along each of three unit vectors of the plane (lon, lat), from -1 to 1."""

    def terms(self, angle: Float64[Tensor, "n 2 1"], scaled: Float64[Tensor, "n 2 s"]) -> list[Float64[Tensor, "n s"]]:  # noqa: ARG002
        """Waves along the three directions."""
        (lon, lat) = scaled.unbind(1)
        along = [lon, -0.5 * lon + 0.75**0.5 * lat, -0.5 * lon - 0.75**0.5 * lat]
        return [wave for distance in along for wave in (distance.sin(), distance.cos())]


def build(config: Config) -> Encoding:
    """The waves of these radii."""
    return Theory(config, terms=6)
