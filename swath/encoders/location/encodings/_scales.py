"""The frequencies that Space2Vec's and Sphere2Vec's encodings have in common.

Mai et al. 2020, https://arxiv.org/abs/2003.00824; Mai et al. 2023, https://arxiv.org/abs/2306.17624.
"""

from abc import abstractmethod

import torch
from jaxtyping import Float64
from pydantic import Field, model_validator
from torch import Tensor

from swath.encoders.location.encodings._base import Encoding, EncodingSettings


class ScaleSettings(EncodingSettings):
    """From how coarse to how fine its waves are: radii in geometric steps, the finest first."""

    scales: int = Field(default=10, ge=1)
    """Number of radii."""
    min_radius: float = Field(default=1.0, gt=0)
    """The finest: within so many degrees a wave goes on by one radian."""
    max_radius: float = Field(default=360.0, gt=0)
    """The coarsest, likewise. Sphere2Vec's largest is one radian, 57.29578 degrees: then its coarsest wave is the
    sine of the angle itself."""

    @model_validator(mode="after")
    def _in_order(self) -> "ScaleSettings":
        if self.min_radius > self.max_radius:
            raise ValueError(f"min_radius {self.min_radius:g} is more than max_radius {self.max_radius:g}")
        return self


class MultiScale(Encoding):
    """The same terms at every scale: all terms of the finest radius first, then those of the next."""

    WRAPS = False  # the waves of most radii do not fit a whole number of times around the Earth
    ONE_POLE = False

    per_radius: Tensor

    def __init__(self, config: ScaleSettings, terms: int):
        super().__init__(terms * config.scales)
        step = torch.arange(config.scales, dtype=torch.float64) / max(1, config.scales - 1)
        radii = config.min_radius * (config.max_radius / config.min_radius) ** step
        self.register_buffer("per_radius", 1 / radii, persistent=False)

    def features(self, lonlat: Float64[Tensor, "n 2"]) -> Float64[Tensor, "n d"]:
        """The terms of all scales, scale after scale."""
        scaled = lonlat[:, :, None] * self.per_radius
        return torch.stack(self.terms(lonlat.deg2rad()[:, :, None], scaled), dim=2).flatten(1)

    @abstractmethod
    def terms(self, angle: Float64[Tensor, "n 2 1"], scaled: Float64[Tensor, "n 2 s"]) -> list[Float64[Tensor, "n s"]]:
        """The terms of each scale.

        Args:
            angle: longitude and latitude in radians.
            scaled: both divided by each radius.
        """
