"""SphereC joined with the grid (Sphere2Vec's sphereC+)."""

from typing import Literal

from jaxtyping import Float64
from torch import Tensor

from swath.encoders.location.encodings._base import Encoding
from swath.encoders.location.encodings._scales import MultiScale, ScaleSettings


class Config(ScaleSettings):
    """Between which radii there are waves, and how many."""

    name: Literal["sphere-c-plus"] = "sphere-c-plus"


class SphereCPlus(MultiScale):
    """The terms (sin lat, cos lat, sin lon, cos lon, cos lat cos lon, cos lat sin lon), each from -1 to 1."""

    def terms(self, angle: Float64[Tensor, "n 2 1"], scaled: Float64[Tensor, "n 2 s"]) -> list[Float64[Tensor, "n s"]]:  # noqa: ARG002
        """Waves along either axis, and points of scaled angles."""
        (lon, lat) = scaled.unbind(1)
        return [lat.sin(), lat.cos(), lon.sin(), lon.cos(), lat.cos() * lon.cos(), lat.cos() * lon.sin()]


def build(config: Config) -> Encoding:
    """The waves of these radii."""
    return SphereCPlus(config, terms=6)
