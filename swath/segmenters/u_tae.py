"""U-TAE: a U-Net whose dates are collapsed by temporal attention (Garnot & Landrieu 2021, arXiv 2107.07933).

Settings and 1.1 million parameters as in PASTIS' code; as there, the last convolution has a norm and a ReLU too.
Chips need a multiple of 8 pixels and at least 16, since convolutions reflect at the border of an eighth.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from torch import Tensor, nn

from swath.encoders import InputContract
from swath.encoders.unet_3d import pastis_init
from swath.segmenters._base import OneSensor, Series, channels_of_one, check_size
from swath.segmenters._ltae import TemporalAttention, weighted
from swath.segmenters._unet import Contracting, Expanding, SpatialUNet
from swath.settings import PluginSettings


class Config(PluginSettings):
    """U-TAE (Garnot and Landrieu 2021): widths, finest first, and the settings of its temporal attention."""

    name: Literal["u-tae"] = "u-tae"
    encoder_widths: tuple[int, ...] = (64, 64, 64, 128)
    decoder_widths: tuple[int, ...] = (32, 32, 64, 128)
    init: Literal["torch", "pastis"] = "pastis"
    """Initial weights, those of the attention too: torch's, or those of PASTIS' code."""


class Maps(nn.Module):
    """The half before the decoder: maps without dates, finest first."""

    def __init__(self, config: Config, channels: int):
        super().__init__()
        self.contracting = Contracting(channels, config.encoder_widths, "reflect")
        deepest = config.encoder_widths[-1]
        self.attention = TemporalAttention(deepest, deepest)
        if config.init == "pastis":
            self.contracting.apply(pastis_init)
            self.attention.init_as_pastis()

    def forward(self, series: Series) -> list[Tensor]:
        """Skips weighted by the attention, and what it makes of the deepest map."""
        check_size(series, "u-tae", 16, 8)
        *maps, deepest = self.contracting(series.pixels, series.frames)
        out, attention = self.attention(deepest, series.frames, series.days)
        return [*(weighted(each, attention) for each in maps), out]


def network(config: Config, channels: Sequence[int], classes: int) -> SpatialUNet:
    """The network with an encoder for each sensor, given the number of its bands."""
    maps = [width * len(channels) for width in config.encoder_widths]
    expanding = Expanding(maps, config.decoder_widths, classes, "reflect")
    if config.init == "pastis":
        expanding.apply(pastis_init)
    return SpatialUNet([Maps(config, count) for count in channels], expanding)


def build(config: Config, contracts: Mapping[str, InputContract], classes: int) -> OneSensor:
    """A segmenter of one sensor's images, randomly initialised."""
    return OneSensor(contracts, network(config, [channels_of_one(contracts, config.name)], classes))
