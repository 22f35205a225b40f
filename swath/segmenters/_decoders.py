"""From an encoder of single dates to features of every pixel: what the decoders' files share.

The decoders themselves are those of segmentation-models-pytorch. They take a pyramid: maps whose pixels are 2, 4, 8
and so on pixels of the input wide. The library is imported when a decoder is built, not when a recipe is read: it takes
seconds.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from swath import encoders
from swath.batch import Image
from swath.encoders import DenseEncoder, InputContract, MapEncoder, seen_frames
from swath.encoders.timm import Config as Timm
from swath.errors import ContractError
from swath.segmenters._base import (
    Segmenter,
    SegmenterPlugin,
    channels_of_one,
    counted,
    laid_on_dates,
    mean_over_dates,
)
from swath.settings import PluginSettings


class DecoderSettings(PluginSettings):
    """Base of the `Config` of segmenters that can stand on any encoder with maps of features."""

    encoder: Timm | None = None
    """Encoder below the decoder where the segmenter stands alone, as a reference: ResNet-18 by default. Under
    the probe `segment` the encoder that is judged takes its place, and this must be empty."""


@runtime_checkable
class DecoderPlugin(SegmenterPlugin, Protocol):
    """A segmenter that can stand on any encoder with maps of features."""

    def around(self, config: Any, encoder: MapEncoder) -> "Decoded":
        """Features of every pixel from an encoder's maps; it is not copied.

        Raises:
            ContractError: the encoder's maps are none that it can use.
        """
        ...


def offered(encoder: MapEncoder) -> dict[int, int]:
    """Channels of the maps that an encoder offers, by their stride: how many pixels of the input one of theirs is wide.

    Of several maps of one stride the last counts. Of a transformer's only map, a simple feature pyramid is made
    (ViTDet: a quarter, a half, once and twice its stride).

    Raises:
        ContractError: a stride is no power of two.
    """
    sizes = encoder.map_sizes()
    if odd := [stride for _, stride in sizes if stride not in (1, 2, 4, 8, 16, 32, 64)]:
        raise ContractError(
            f"the encoder's maps have a stride of {odd[0]:g} pixels, decoders need powers of two",
            remedy="choose another model, such as one of patches of 16 pixels",
        )
    if len(sizes) > 1:
        return {int(stride): channels for channels, stride in sizes}
    ((width, stride),) = sizes
    return {int(stride * by): int(width * min(by, 1)) for by in (0.25, 0.5, 1, 2) if stride * by >= 1}


class Pyramid(nn.Module):
    """Maps of an encoder at the strides that a decoder asks for; a stride that the encoder lacks has no channels."""

    def __init__(self, encoder: MapEncoder, strides: Sequence[int]):
        super().__init__()
        channels, sizes = offered(encoder), encoder.map_sizes()
        self.strides, self.multiple = tuple(strides), max(channels)
        self.widths = [channels.get(stride, 0) for stride in strides]
        self._at = {int(stride): number for number, (_, stride) in enumerate(sizes)}
        self._first = int(sizes[0][1])
        self.resize = nn.ModuleDict()
        if len(sizes) == 1:
            wanted = [stride for stride in strides if stride in channels]
            self.resize.update({str(stride): _resized(sizes[0][0], self._first, stride) for stride in wanted})

    def forward(self, maps: list[Float[Tensor, "n _ _ _"]]) -> list[Float[Tensor, "n _ _ _"]]:
        """The maps in the order of the strides, of those that the encoder gives."""
        return [self._level(stride, maps) for stride in self.strides]

    def _level(self, stride: int, maps: list[Tensor]) -> Tensor:
        if str(stride) in self.resize:
            return self.resize[str(stride)](maps[0])
        if stride in self._at:
            return maps[self._at[stride]]
        h, w = (side * self._first // stride for side in maps[0].shape[2:])
        return maps[0].new_empty(maps[0].shape[0], 0, h, w)  # `len` would be a constant of an exported graph


def needed(pyramid: Pyramid, name: str) -> Pyramid:
    """The pyramid, checked to have all of its maps.

    Raises:
        ContractError: the encoder has no map at some stride that the decoder of that name needs.
    """
    if gaps := [str(stride) for stride, width in zip(pyramid.strides, pyramid.widths, strict=True) if not width]:
        raise ContractError(
            f"the encoder has no map at a stride of {' and '.join(gaps)} pixels, which {name} needs",
            remedy="take the decoder unet, or linear",
        )
    return pyramid


def _resized(width: int, own: int, stride: int) -> nn.Module:
    """A layer that brings a transformer's map to another stride: enlarges it by learnt 2 x 2 kernels, or takes
    2 x 2 maxima.
    """
    if stride > own:
        return nn.MaxPool2d(stride // own)
    layers: list[nn.Module] = []
    while own > stride:
        own, wide, width = own // 2, width, width // 2
        layers += [nn.ConvTranspose2d(wide, width, 2, stride=2), nn.BatchNorm2d(width), nn.GELU()]
    return nn.Sequential(*layers)


class Decoded(DenseEncoder):
    """An encoder of single dates, and a decoder that makes features of every pixel of its maps.

    Chips of any size: they are padded at the right and at the bottom to a multiple of the encoder's largest stride,
    with the mean of each band as for invalid pixels, and what comes out is cut to their size. Of several dates the
    encoder's maps are averaged, over those that have a valid pixel.
    """

    def __init__(self, encoder: MapEncoder, pyramid: Pyramid, decoder: nn.Module, width: int, kernel: int = 1):
        """Join an encoder, a pyramid and a decoder.

        Args:
            encoder: frozen or not; it is not copied.
            pyramid: picks the maps.
            decoder: takes them as a list, gives features of any resolution.
            width: of these.
            kernel: height and width of the last convolution, from features to classes.
        """
        super().__init__(encoder, encoder.contract, encoder.dim, encoder.example_px)
        self.pyramid, self.decoder, self.dense_dim, self._kernel = pyramid, decoder, width, kernel

    def encode(self, pixels: Float[Tensor, "n c h w"], valid: Bool[Tensor, "n h w"]) -> Float[Tensor, "n d"]:
        """Embeddings by the encoder alone, without the decoder."""
        return self.backbone.encode(pixels, valid)

    @property
    def backbone(self) -> MapEncoder:
        """The encoder below the decoder, which keeps its weights when it is frozen."""
        assert isinstance(self.network, MapEncoder)
        return self.network

    def head(self, classes: int) -> nn.Module:
        """A new last layer: a convolution with the library's initial weights (Xavier's)."""
        from segmentation_models_pytorch.base.initialization import initialize_head

        head = nn.Conv2d(self.dense_dim, classes, self._kernel, padding=self._kernel // 2)
        initialize_head(head)
        return head

    def dense(self, image: Image) -> Float[Tensor, "b d h w"]:
        """Features of every pixel."""
        seen = seen_frames(image.valid)
        frames = seen | ~seen.any(dim=1, keepdim=True)
        return self.decoded(self.standardize(image.pixels, image.valid, image.band_ids), frames)

    def decoded(self, pixels: Float[Tensor, "b t c h w"], frames: Bool[Tensor, "b t"]) -> Float[Tensor, "b d h w"]:
        """Features of every pixel of standardised series, in which some dates count."""
        h, w = pixels.shape[3:]
        there = F.pad(counted(pixels, frames), (0, -w % self.pyramid.multiple, 0, -h % self.pyramid.multiple))
        if not torch.compiler.is_exporting():  # other libraries lay pixels out as they like
            there = there.contiguous(memory_format=torch.channels_last)
        self._check_batch(there)
        maps = [_mean(one, frames) for one in self.backbone.maps(there)]
        features = self.decoder(self.pyramid(maps))
        size = there.shape[2:]
        if features.shape[2:] != size:
            features = F.interpolate(features, size=size, mode="bilinear", align_corners=False)
        return features[:, :, :h, :w]

    def _check_batch(self, pixels: Float[Tensor, "n c h w"]) -> None:
        if self.backbone.training and len(pixels) == 1 and max(pixels.shape[2:]) == self.pyramid.multiple:
            raise ContractError(
                "the encoder makes one pixel of the only picture of a batch, and its norms cannot learn from that",
                remedy="use more labels or larger chips, or keep the backbone frozen",
            )


def _mean(maps: Float[Tensor, "n d h w"], frames: Bool[Tensor, "b t"]) -> Float[Tensor, "b d h w"]:
    if frames.shape[1] == 1:
        return maps
    return mean_over_dates(laid_on_dates(maps, frames), frames)


class Standing(Segmenter):
    """A decoder on an encoder that is randomly initialised with it: both are trained on the labels."""

    def __init__(self, sensor: str, dense: Decoded, classes: int):
        super().__init__({sensor: dense.contract})
        self.sensor, self.dense, self.head = sensor, dense, dense.head(classes)

    def forward(self, images: dict[str, Image]) -> Float[Tensor, "b k h w"]:
        """Logits of every pixel; chips of any size."""
        series = self.series(images, self.sensor)
        return self.head(self.dense.decoded(series.pixels, series.frames))


def standing(
    config: DecoderSettings,
    contracts: Mapping[str, InputContract],
    classes: int,
    around: Callable[[Any, MapEncoder], Decoded],
) -> Standing:
    """A decoder around the encoder that its settings name, for one sensor.

    Raises:
        ContractError: the encoder's maps are none that the decoder can use.
        RecipeError: there are several sensors, or timm has no such model.
    """
    channels_of_one(contracts, config.name)
    ((sensor, contract),) = contracts.items()
    return Standing(sensor, around(config, with_maps(encoders.build(config.encoder or Timm(), contract))), classes)


def with_maps(encoder: encoders.Encoder) -> MapEncoder:
    """The encoder itself, which has to have maps of features.

    Raises:
        ContractError: it has none.
    """
    if isinstance(encoder, DenseEncoder):
        raise ContractError(
            "the encoder has features of every pixel and a decoder of its own", remedy="take the probe fine-tune"
        )
    if not isinstance(encoder, MapEncoder):
        raise ContractError(
            "the encoder has no maps of features, so there is nothing to segment from",
            remedy="take one of the kind timm, or a task of whole locations",
        )
    return encoder


def initialised(decoder: nn.Module) -> nn.Module:
    """A decoder with the library's initial weights (He's)."""
    from segmentation_models_pytorch.base.initialization import initialize_decoder

    initialize_decoder(decoder)
    return decoder
