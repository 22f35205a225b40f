"""No decoder: each pixel's classes are a linear function of the encoder's maps there, as of DINOv2's linear probe.

All maps are normalised by batch norm without parameters, enlarged bilinearly and joined; a transformer has one.
"""

from collections.abc import Mapping
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from swath.encoders import InputContract, MapEncoder
from swath.segmenters._base import Segmenter
from swath.segmenters._decoders import Decoded, DecoderSettings, Pyramid, offered, standing


class Config(DecoderSettings):
    """No decoder: a linear function of the encoder's maps at each pixel (DINOv2's linear probe). It has no settings."""

    name: Literal["linear"] = "linear"


def around(config: Config, encoder: MapEncoder) -> Decoded:  # noqa: ARG001 - as every decoder
    """All maps that the encoder has, joined for each pixel.

    Raises:
        ContractError: the encoder's maps are at other strides than powers of two.
    """
    offered(encoder)
    pyramid = Pyramid(encoder, sorted({int(stride) for _, stride in encoder.map_sizes()}))
    return Decoded(encoder, pyramid, _Joined(pyramid.widths), sum(pyramid.widths))


class _Joined(nn.Module):
    """Joins maps of several sizes, enlarged to the size of the largest."""

    def __init__(self, widths: list[int]):
        super().__init__()
        self.norms = nn.ModuleList(nn.BatchNorm2d(width, affine=False) for width in widths)

    def forward(self, maps: list[Float[Tensor, "n _ _ _"]]) -> Float[Tensor, "n d h w"]:
        size = maps[0].shape[2:]
        alike = [norm(one) for norm, one in zip(self.norms, maps, strict=True)]
        return torch.cat([F.interpolate(one, size=size, mode="bilinear", align_corners=False) for one in alike], dim=1)


def build(config: Config, contracts: Mapping[str, InputContract], classes: int) -> Segmenter:
    """A segmenter of one sensor's images, randomly initialised."""
    return standing(config, contracts, classes, around)
