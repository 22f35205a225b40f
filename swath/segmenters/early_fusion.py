"""Early fusion: one network on the bands of all sensors, on the dates of the first (PASTIS-R, arXiv 2112.07558).

No official code of it is public. The paper interpolates radar to the optical dates; here the nearest date is taken, as
S4 pairs its series.
"""

from collections.abc import Mapping
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from swath.batch import Image
from swath.encoders import InputContract
from swath.segmenters._base import Segmenter
from swath.segmenters._fusion import channels_of_all, joined, network_of
from swath.settings import PluginSettings


class Config(PluginSettings):
    """Early fusion (Garnot et al. 2022): one network on the stacked bands of all sensors; which network that is."""

    name: Literal["early-fusion"] = "early-fusion"
    network: Literal["u-tae", "u-convlstm", "unet-3d"] = "u-tae"
    """Name of the network, which has its default settings."""


class Early(Segmenter):
    """Standardises each sensor by itself, then stacks their bands."""

    def __init__(self, contracts: Mapping[str, InputContract], network: nn.Module):
        super().__init__(contracts)
        self.network = network

    def forward(self, images: dict[str, Image]) -> Float[Tensor, "b k h w"]:
        """Logits of every pixel."""
        return self.network(joined([self.series(images, sensor) for sensor in self.contracts]))


def build(config: Config, contracts: Mapping[str, InputContract], classes: int) -> Early:
    """A segmenter of two sensors or more, randomly initialised."""
    module = network_of(config.network)
    channels = [sum(channels_of_all(contracts, "early-fusion"))]
    return Early(contracts, module.network(module.Config(name=config.network), channels, classes))
