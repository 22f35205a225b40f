"""What DeepLabV3 and DeepLabV3+ share: the coarsest map at a stride of 16, and rates of dilation."""

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from swath.encoders import MapEncoder
from swath.errors import ContractError
from swath.segmenters._decoders import DecoderSettings, offered

STRIDE = 16
"""Stride of the map that is convolved at several rates, in pixels of the input."""


class DeepLabSettings(DecoderSettings):
    """Settings of both DeepLab decoders: how wide they are, and how far they look."""

    channels: int = Field(default=256, ge=1)
    """Channels at each rate, and of a pixel's features."""
    rates: tuple[int, int, int] = (12, 24, 36)
    """Rates of dilation, in pixels of the coarsest map."""
    dropout: float = Field(default=0.5, ge=0, lt=1)
    """Probability that a value of the coarsest map, convolved at all rates, is dropped in a training step."""


def coarsest_of(encoder: MapEncoder) -> tuple[int, int]:
    """Stride of the encoder's coarsest map, and by how much that has to be enlarged.

    A last stage that would come to a stride of 32 is dilated instead where that is possible: the encoder is changed.
    """
    if _coarsest(encoder) > STRIDE:
        encoder.dilate()
    stride = _coarsest(encoder)
    return stride, max(1, stride // STRIDE)


def _coarsest(encoder: MapEncoder) -> int:
    offered(encoder)  # whether all strides are powers of two
    return max(int(stride) for _, stride in encoder.map_sizes())


class Enlarged(nn.Module):
    """A decoder whose coarsest map is enlarged before it is decoded."""

    def __init__(self, decoder: nn.Module, by: int):
        super().__init__()
        self.decoder, self.by = decoder, by

    def forward(self, maps: list[Float[Tensor, "n _ _ _"]]) -> Float[Tensor, "n d _ _"]:
        """The decoder's features of these maps, the coarsest one enlarged.

        Raises:
            ContractError: it is to learn from a single picture.
        """
        if self.training and len(maps[0]) == 1:
            raise ContractError(
                "deeplab normalises averages of whole pictures over the batch, and cannot learn from a single one",
                remedy="use more labels, or the decoder unet",
            )
        *finer, coarsest = maps
        if self.by > 1:
            coarsest = F.interpolate(coarsest, scale_factor=self.by, mode="bilinear", align_corners=False)
        return self.decoder([*finer, coarsest])
