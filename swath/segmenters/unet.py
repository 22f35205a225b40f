"""U-Net's decoder on the maps of any encoder (Ronneberger et al. 2015), as segmentation-models-pytorch has it.

SSL4EO-L's protocol of segmentation: nearest enlargement by two, the encoder's map of that size joined, two 3 x 3
convolutions with batch norm and ReLU; at full resolution nothing is joined.
"""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from swath.encoders import InputContract, MapEncoder
from swath.errors import ContractError
from swath.segmenters._base import Segmenter
from swath.segmenters._decoders import Decoded, DecoderSettings, Pyramid, initialised, offered, standing


class Config(DecoderSettings):
    """How wide it is."""

    name: Literal["unet"] = "unet"
    channels: tuple[int, ...] = Field(default=(256, 128, 64, 32, 16), min_length=1)
    """Channels after each enlargement, coarsest first; of an encoder that halves fewer times, the first ones."""


def around(config: Config, encoder: MapEncoder) -> Decoded:
    """A U-Net's decoder on an encoder's maps, whose strides are powers of two up to the coarsest.

    Raises:
        ContractError: the encoder's maps are at other strides, or there are more of them than widths.
    """
    from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder

    levels = max(offered(encoder)).bit_length() - 1
    if not 1 <= levels <= len(config.channels):
        raise ContractError(
            f"the encoder halves its input {levels} times, unet has widths for {len(config.channels)}",
            remedy="give the decoder as many channels",
        )
    pyramid = Pyramid(encoder, [2**level for level in range(levels + 1)])
    channels = config.channels[:levels]
    decoder = UnetDecoder(pyramid.widths, channels, n_blocks=levels)
    return Decoded(encoder, pyramid, initialised(decoder), channels[-1], kernel=3)


def build(config: Config, contracts: Mapping[str, InputContract], classes: int) -> Segmenter:
    """A segmenter of one sensor's images, randomly initialised."""
    return standing(config, contracts, classes, around)
