"""The 3-D U-Net from scratch: logits of every date, averaged over the dates that are seen (PASTIS' benchmark)."""

from collections.abc import Mapping, Sequence
from typing import Literal

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from swath.encoders import InputContract, temporal_mean
from swath.encoders.unet_3d import UNet3d, final_convolution, pastis_init
from swath.segmenters._base import OneSensor, Series, channels_of_one
from swath.settings import PluginSettings


class Config(PluginSettings):
    """How wide the network is, and its initial weights."""

    name: Literal["unet-3d"] = "unet-3d"
    width: int = Field(default=8, ge=1)
    """f: PASTIS has 8, Rustowicz et al. 16."""
    init: Literal["torch", "pastis"] = "pastis"
    """Initial weights: torch's, or those of PASTIS' code."""


class SeriesUNet3d(nn.Module):
    """1,553,796 parameters with 10 bands and 20 classes."""

    def __init__(self, config: Config, channels: int, classes: int):
        super().__init__()
        self.unet = UNet3d(channels, config.width)
        self.final = final_convolution(config.width, classes)
        if config.init == "pastis":
            self.apply(pastis_init)

    def forward(self, series: Series) -> Float[Tensor, "b k h w"]:
        """Logits; single pixels and single dates are fine."""
        x = self.unet.expand(self.unet.contract(series.pixels.transpose(1, 2), series.valid))
        return temporal_mean(self.final(x), series.frames)


def network(config: Config, channels: Sequence[int], classes: int) -> SeriesUNet3d:
    """The network with the bands of all sensors as its channels."""
    return SeriesUNet3d(config, sum(channels), classes)


def build(config: Config, contracts: Mapping[str, InputContract], classes: int) -> OneSensor:
    """The segmenter of one sensor's series."""
    return OneSensor(contracts, network(config, [channels_of_one(contracts, config.name)], classes))
