"""Layers with sines in between (SIREN; Sitzmann et al. 2020, https://arxiv.org/abs/2006.09661), as SatCLIP has them."""

import math
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from swath.encoders.location.networks._base import NetworkSettings


class Config(NetworkSettings):
    """Width, depth, and how fast the sines turn."""

    name: Literal["siren"] = "siren"
    hidden: int = Field(default=256, ge=1)
    """Width of the layers with sines."""
    layers: int = Field(default=2, ge=1)
    """How many of them there are before the last layer, which has no sine."""
    first_frequency: float = Field(default=30.0, gt=0)
    """Factor inside the first layer's sine."""
    frequency: float = Field(default=1.0, gt=0)
    """Factor inside the others'."""
    dropout: float = Field(default=0.5, ge=0, lt=1)
    """Share of a layer's features that is left out before the sine, in training. SatCLIP's released code does so;
    Sitzmann et al. do not (0)."""


class Sine(nn.Module):
    """Linear, dropout, and the sine of the result times a factor."""

    def __init__(self, wide: int, out: int, frequency: float, bound: float, dropout: float):
        super().__init__()
        self.linear, self.frequency = linear(wide, out, bound), frequency
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "n i"]) -> Float[Tensor, "n o"]:
        """Features from -1 to 1."""
        return torch.sin(self.frequency * self.dropout(self.linear(x)))


def linear(wide: int, out: int, bound: float) -> nn.Linear:
    """A layer whose weights and biases are uniform within a bound."""
    layer = nn.Linear(wide, out)
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -bound, bound)
    return layer


def build(config: Config, features: int, dim: int) -> nn.Module:
    """The layers, initialised so that all sines' arguments are about equally wide at any depth."""
    deep = math.sqrt(6 / config.hidden) / config.frequency
    first = Sine(features, config.hidden, config.first_frequency, 1 / features, config.dropout)
    others = [
        Sine(config.hidden, config.hidden, config.frequency, deep, config.dropout) for _ in range(config.layers - 1)
    ]
    return nn.Sequential(first, *others, linear(config.hidden, dim, deep))
