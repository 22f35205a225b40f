"""A floor: random convolutional features (MOSAIKS; Rolf et al., Nature Communications 12, 4392, 2021)."""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from swath.encoders._base import Encoder
from swath.encoders._contract import InputContract
from swath.encoders._plugin import EncoderSettings
from swath.settings import Seed

_BIAS = -1.0


class Config(EncoderSettings):
    """Random convolutional features (MOSAIKS; Rolf et al. 2021): a floor of fixed random filters."""

    name: Literal["random-convolutions"] = "random-convolutions"
    features: int = Field(default=512, ge=2, multiple_of=2)
    """Length of the embedding, twice the number of filters."""
    kernel_size: int = Field(default=3, ge=1)
    """Height and width of the filters in pixels; 3 and 7 are usual."""
    seed: Seed = 0
    """Seed of the filters."""


class RandomConvolutions(nn.Module):
    """Convolve with fixed normal filters, add a bias of -1, and average the positive and the negative parts apart."""

    weight: Tensor

    def __init__(self, channels: int, config: Config):
        super().__init__()
        generator = torch.Generator().manual_seed(config.seed)
        shape = (config.features // 2, channels, config.kernel_size, config.kernel_size)
        # A buffer, not a parameter: never trained, and saved because another torch may draw other numbers.
        self.register_buffer("weight", torch.randn(shape, generator=generator))

    def forward(self, pixels: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """Averages of the positive parts, then of the negative parts (as positive numbers)."""
        bias = self.weight.new_full((len(self.weight),), _BIAS)
        response = F.conv2d(pixels, self.weight, bias)
        mean, positive = response.mean(dim=(2, 3)), response.clamp(min=0).mean(dim=(2, 3))
        return torch.cat([positive, positive - mean], dim=1)


def build(config: Config, contract: InputContract) -> Encoder:
    """Random filters for a contract's channels: the same for the same seed."""
    return Encoder(RandomConvolutions(contract.channels, config), contract, dim=config.features)
