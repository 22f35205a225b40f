"""DeepLabV3's decoder on the coarsest map of any encoder (Chen et al. 2017), as segmentation-models-pytorch has it."""

from collections.abc import Mapping
from typing import Literal

from swath.encoders import InputContract, MapEncoder
from swath.segmenters._base import Segmenter
from swath.segmenters._decoders import Decoded, Pyramid, initialised, standing
from swath.segmenters._deeplab import DeepLabSettings, Enlarged, coarsest_of


class Config(DeepLabSettings):
    """DeepLabV3 (Chen et al. 2017): its decoder on an encoder's coarsest map, convolved at several rates."""

    name: Literal["deeplabv3"] = "deeplabv3"


def around(config: Config, encoder: MapEncoder) -> Decoded:
    """Put the decoder on the coarsest map, at a stride of 16; an encoder that would come to 32 is dilated, and so
    changed.

    Raises:
        ContractError: the encoder's maps are at other strides.
    """
    from segmentation_models_pytorch.decoders.deeplabv3.decoder import DeepLabV3Decoder

    stride, enlarge = coarsest_of(encoder)
    pyramid = Pyramid(encoder, [stride])
    decoder = DeepLabV3Decoder(
        pyramid.widths[-1], config.channels, config.rates, aspp_separable=False, aspp_dropout=config.dropout
    )
    return Decoded(encoder, pyramid, Enlarged(initialised(decoder), enlarge), config.channels)


def build(config: Config, contracts: Mapping[str, InputContract], classes: int) -> Segmenter:
    """A segmenter of one sensor's images, randomly initialised."""
    return standing(config, contracts, classes, around)
