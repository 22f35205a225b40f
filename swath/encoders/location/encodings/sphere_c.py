"""The point on the sphere with both angles divided by many radii (Sphere2Vec's sphereC).

At a radius of one radian it is the point itself; at others neither the antimeridian nor the poles close.
"""

from typing import Literal

from jaxtyping import Float64
from torch import Tensor

from swath.encoders.location.encodings._base import Encoding
from swath.encoders.location.encodings._scales import MultiScale, ScaleSettings


class Config(ScaleSettings):
    """Between which radii there are waves, and how many."""

    name: Literal["sphere-c"] = "sphere-c"


class SphereC(MultiScale):
    """The terms (sin lat, cos lat cos lon, cos lat sin lon), each from -1 to 1."""

    def terms(self, angle: Float64[Tensor, "n 2 1"], scaled: Float64[Tensor, "n 2 s"]) -> list[Float64[Tensor, "n s"]]:  # noqa: ARG002
        """Points of scaled angles."""
        (lon, lat) = scaled.unbind(1)
        return [lat.sin(), lat.cos() * lon.cos(), lat.cos() * lon.sin()]


def build(config: Config) -> Encoding:
    """The waves of these radii."""
    return SphereC(config, terms=3)
