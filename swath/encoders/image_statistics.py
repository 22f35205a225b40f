"""A floor: mean, standard deviation, minimum and maximum of each channel over its valid pixels."""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from swath.encoders._base import Encoder
from swath.encoders._contract import InputContract
from swath.encoders._plugin import EncoderSettings


class Config(EncoderSettings):
    """Means, deviations, minima and maxima of the channels: a floor that needs no network and has no settings."""

    name: Literal["image-statistics"] = "image-statistics"


class ImageStatistics(Encoder):
    """Means of all channels, then deviations (of the population), minima and maxima: `d = 4 c`, in standard units."""

    def __init__(self, contract: InputContract):
        super().__init__(nn.Identity(), contract, dim=4 * contract.channels)

    def encode(self, pixels: Float[Tensor, "n c h w"], valid: Bool[Tensor, "n h w"]) -> Float[Tensor, "n d"]:
        """The four statistics; all 0 where no pixel is valid."""
        missing, count = ~valid[:, None], valid.sum(dim=(1, 2))[:, None]
        mean = pixels.sum(dim=(2, 3)) / count.clamp(min=1)
        deviation = (pixels - mean[:, :, None, None]).masked_fill(missing, 0.0)
        std = (deviation.square().sum(dim=(2, 3)) / count.clamp(min=1)).sqrt()
        low = pixels.masked_fill(missing, torch.inf).amin(dim=(2, 3))
        high = pixels.masked_fill(missing, -torch.inf).amax(dim=(2, 3))
        return torch.cat([mean, std, low, high], dim=1).masked_fill(count == 0, 0.0)


def build(config: Config, contract: InputContract) -> Encoder:  # noqa: ARG001 - every plug-in is built this way
    """The statistics of a contract's channels."""
    return ImageStatistics(contract)
