"""Late fusion: an encoder in space and time per sensor, their maps side by side into one decoder (PASTIS-R).

No official code of it is public; the paper's auxiliary losses and its dropping of dates are not part of it here. Each
sensor keeps its own dates.
"""

from collections.abc import Mapping
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from swath.batch import Image
from swath.encoders import InputContract
from swath.segmenters._base import Segmenter
from swath.segmenters._fusion import channels_of_all, network_of
from swath.settings import PluginSettings


class Config(PluginSettings):
    """Late fusion (Garnot et al. 2022): an encoder per sensor and a common decoder; of which network these are."""

    name: Literal["late-fusion"] = "late-fusion"
    network: Literal["u-tae", "u-convlstm"] = "u-tae"
    """Name of the network, which has its default settings; the 3-D U-Net has no maps without dates that could
    be joined."""


class Late(Segmenter):
    """A network with an encoder for each sensor and one decoder."""

    def __init__(self, contracts: Mapping[str, InputContract], network: nn.Module):
        super().__init__(contracts)
        self.network = network

    def forward(self, images: dict[str, Image]) -> Float[Tensor, "b k h w"]:
        """Logits of every pixel."""
        return self.network(*(self.series(images, sensor) for sensor in self.contracts))


def build(config: Config, contracts: Mapping[str, InputContract], classes: int) -> Late:
    """The segmenter of two sensors or more, whose chips are on one grid."""
    module = network_of(config.network)
    return Late(
        contracts,
        module.network(module.Config(name=config.network), channels_of_all(contracts, "late-fusion"), classes),
    )
