"""SINR's residual network (Cole et al. 2023, https://arxiv.org/abs/2306.02564; Mac Aodha et al. 2019)."""

from typing import Literal

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from swath.encoders.location.networks._base import NetworkSettings


class Config(NetworkSettings):
    """Depth and dropout; every layer is as wide as the embedding."""

    name: Literal["fcnet"] = "fcnet"
    blocks: int = Field(default=4, ge=1)
    """Residual blocks of two layers each."""
    dropout: float = Field(default=0.5, ge=0, lt=1)
    """Share of a block's inner features that is left out in training."""


class Residual(nn.Module):
    """x + ReLU(Linear(Dropout(ReLU(Linear(x)))))."""

    def __init__(self, width: int, dropout: float):
        super().__init__()
        self.inner = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, width), nn.ReLU()
        )

    def forward(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """The features and what the block makes of them."""
        return x + self.inner(x)


def build(config: Config, features: int, dim: int) -> nn.Module:
    """A layer to the embedding's width, and the blocks."""
    blocks = [Residual(dim, config.dropout) for _ in range(config.blocks)]
    return nn.Sequential(nn.Linear(features, dim), nn.ReLU(), *blocks)
