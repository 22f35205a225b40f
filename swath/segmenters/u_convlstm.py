"""U-ConvLSTM: a U-Net whose deepest maps a convolutional LSTM reads (Rustowicz et al. 2019, PASTIS' version).

1.5 million parameters. Skips are means over the dates; chips need a multiple of 8 pixels.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from swath.encoders import InputContract
from swath.encoders.unet_3d import pastis_init
from swath.segmenters._base import OneSensor, Series, channels_of_one, check_size, mean_over_dates
from swath.segmenters._convlstm import ConvLSTM
from swath.segmenters._unet import Contracting, Expanding, SpatialUNet
from swath.settings import PluginSettings


class Config(PluginSettings):
    """U-ConvLSTM (Rustowicz et al. 2019, in PASTIS' version): its widths, finest first, and the size of the LSTM."""

    name: Literal["u-convlstm"] = "u-convlstm"
    encoder_widths: tuple[int, ...] = (64, 64, 64, 128)
    decoder_widths: tuple[int, ...] = (32, 32, 64, 128)
    hidden: int = Field(default=64, ge=1)
    """Channels of the LSTM's state."""
    init: Literal["torch", "pastis"] = "pastis"
    """Initial weights: torch's, or those of PASTIS' code."""


class Maps(nn.Module):
    """The half before the decoder: maps without dates, finest first."""

    def __init__(self, config: Config, channels: int):
        super().__init__()
        deepest = config.encoder_widths[-1]
        self.contracting = Contracting(channels, config.encoder_widths, "zeros")
        self.lstm = ConvLSTM(deepest, config.hidden)
        self.out = nn.Conv2d(config.hidden, deepest, 3, padding=1)
        if config.init == "pastis":
            self.apply(pastis_init)

    def forward(self, series: Series) -> list[Tensor]:
        """Means of the skips, and the LSTM's cell state."""
        check_size(series, "u-convlstm", 8, 8)
        *maps, deepest = self.contracting(series.pixels, series.frames)
        out = self.out(self.lstm(deepest, series.frames))
        return [*(mean_over_dates(each, series.frames) for each in maps), out]


def network(config: Config, channels: Sequence[int], classes: int) -> SpatialUNet:
    """The network with an encoder for each sensor, given the number of its bands."""
    maps = [width * len(channels) for width in config.encoder_widths]
    expanding = Expanding(maps, config.decoder_widths, classes, "zeros")
    if config.init == "pastis":
        expanding.apply(pastis_init)
    return SpatialUNet([Maps(config, count) for count in channels], expanding)


def build(config: Config, contracts: Mapping[str, InputContract], classes: int) -> OneSensor:
    """A segmenter of one sensor's images, randomly initialised."""
    return OneSensor(contracts, network(config, [channels_of_one(contracts, config.name)], classes))
