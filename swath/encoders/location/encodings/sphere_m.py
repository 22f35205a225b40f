"""One angle as it is and the other one scaled, in turn (Sphere2Vec's sphereM).

So that no term mixes two fine scales. Sphere2Vec's largest radius is one radian, 57.29578 degrees.
"""

from typing import Literal

from jaxtyping import Float64
from torch import Tensor

from swath.encoders.location.encodings._base import Encoding
from swath.encoders.location.encodings._scales import MultiScale, ScaleSettings


class Config(ScaleSettings):
    """Between which radii there are waves, and how many."""

    name: Literal["sphere-m"] = "sphere-m"


class SphereM(MultiScale):
    """The terms (sin LAT, cos LAT cos lon, cos lat cos LON, cos LAT sin lon, cos lat sin LON), from -1 to 1.

    Capitals are scaled angles.
    """

    def terms(self, angle: Float64[Tensor, "n 2 1"], scaled: Float64[Tensor, "n 2 s"]) -> list[Float64[Tensor, "n s"]]:
        """Products of one scaled angle and one as it is."""
        (lon, lat), (own_lon, own_lat) = scaled.unbind(1), angle.unbind(1)
        return [
            lat.sin(),
            lat.cos() * own_lon.cos(),
            own_lat.cos() * lon.cos(),
            lat.cos() * own_lon.sin(),
            own_lat.cos() * lon.sin(),
        ]


def build(config: Config) -> Encoding:
    """The waves of these radii."""
    return SphereM(config, terms=5)
