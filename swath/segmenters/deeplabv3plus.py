"""DeepLabV3+'s decoder on a coarse and a fine map of any encoder (Chen et al. 2018): RS-BYOL's protocol on DFC2020.

As segmentation-models-pytorch has it: the coarse map is convolved at several rates, enlarged by four, and joined to the
fine one.
"""

from collections.abc import Mapping
from typing import Literal

from torch import Tensor, nn

from swath.encoders import InputContract, MapEncoder
from swath.segmenters._base import Segmenter
from swath.segmenters._decoders import Decoded, Pyramid, initialised, needed, standing
from swath.segmenters._deeplab import STRIDE, DeepLabSettings, Enlarged, coarsest_of


class Config(DeepLabSettings):
    """DeepLabV3+ (Chen et al. 2018): its decoder on a coarse map, convolved at several rates, and a fine map."""

    name: Literal["deeplabv3plus"] = "deeplabv3plus"


def around(config: Config, encoder: MapEncoder) -> Decoded:
    """Put the decoder on the coarsest map, at a stride of 16, and on one of a quarter of its stride.

    An encoder that would come to a stride of 32 is dilated where that is possible, and so changed.

    Raises:
        ContractError: the encoder's maps are at other strides, or there is none of a quarter.
    """
    from segmentation_models_pytorch.decoders.deeplabv3.decoder import DeepLabV3PlusDecoder

    stride, enlarge = coarsest_of(encoder)
    pyramid = needed(Pyramid(encoder, [stride // enlarge // 4, stride]), config.name)
    fine, coarse = pyramid.widths
    decoder = DeepLabV3PlusDecoder(
        (0, 0, fine, coarse),  # it looks at the third and the last
        encoder_depth=5,
        out_channels=config.channels,
        atrous_rates=config.rates,
        output_stride=STRIDE,
        aspp_separable=True,
        aspp_dropout=config.dropout,
    )
    joined = Enlarged(_ThirdAndLast(initialised(decoder)), enlarge)
    return Decoded(encoder, pyramid, joined, config.channels)


class _ThirdAndLast(nn.Module):
    """The two maps where the library's decoder looks for them."""

    def __init__(self, decoder: nn.Module):
        super().__init__()
        self.decoder = decoder

    def forward(self, maps: list[Tensor]) -> Tensor:
        fine, coarse = maps
        return self.decoder([fine, fine, fine, coarse])


def build(config: Config, contracts: Mapping[str, InputContract], classes: int) -> Segmenter:
    """A segmenter of one sensor's images, randomly initialised."""
    return standing(config, contracts, classes, around)
