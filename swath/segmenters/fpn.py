"""A feature pyramid network's decoder on the four coarsest maps of any encoder (Lin et al. 2017; panoptic FPN 2019),
as segmentation-models-pytorch has it.
"""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from swath.encoders import InputContract, MapEncoder
from swath.segmenters._base import Segmenter
from swath.segmenters._decoders import Decoded, DecoderSettings, Pyramid, initialised, needed, offered, standing


class Config(DecoderSettings):
    """A feature pyramid network's decoder (Lin et al. 2017; Kirillov et al. 2019) on an encoder's four coarsest
    maps.
    """

    name: Literal["fpn"] = "fpn"
    channels: int = Field(default=256, ge=1)
    """Channels of each map of the pyramid."""
    out: int = Field(default=128, ge=32, multiple_of=32)
    """Channels in which the maps are joined: the length of a pixel's features."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    """Share of the joined channels that is left out in a training step."""


def around(config: Config, encoder: MapEncoder) -> Decoded:
    """A feature pyramid on the four coarsest maps of an encoder.

    Raises:
        ContractError: the encoder's maps are at other strides, or one is missing.
    """
    from segmentation_models_pytorch.decoders.fpn.decoder import FPNDecoder

    coarsest = max(offered(encoder))
    pyramid = needed(Pyramid(encoder, [coarsest // 8, coarsest // 4, coarsest // 2, coarsest]), config.name)
    decoder = FPNDecoder(
        pyramid.widths,
        encoder_depth=len(pyramid.widths),
        pyramid_channels=config.channels,
        segmentation_channels=config.out,
        dropout=config.dropout,
    )
    return Decoded(encoder, pyramid, initialised(decoder), config.out)


def build(config: Config, contracts: Mapping[str, InputContract], classes: int) -> Segmenter:
    """A segmenter of one sensor's images, randomly initialised."""
    return standing(config, contracts, classes, around)
