"""What a segmenter is, and series as its networks take them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int32
from torch import Tensor, nn

from swath.batch import Image
from swath.encoders import InputContract, Standardize, seen_frames
from swath.errors import ContractError, RecipeError
from swath.settings import PluginSettings


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Standardised images of one sensor, or of several on common dates."""

    pixels: Float[Tensor, "b t c h w"]
    """Standardised values: zero mean and unit variance by band; 0 where invalid."""
    valid: Bool[Tensor, "b t h w"]
    """True where a pixel is valid."""
    frames: Bool[Tensor, "b t"]
    """True for dates that count: those with a valid pixel, or all dates of a sample that has none."""
    days: Int32[Tensor, "b t"]
    """Days since 1970-01-01; arbitrary where a date does not count."""


class Segmenter(nn.Module, ABC):
    """Maps images by sensor to logits of every pixel; statistics are inside, as in an encoder."""

    def __init__(self, contracts: Mapping[str, InputContract]):
        super().__init__()
        self.contracts = dict(contracts)
        self.standardize = nn.ModuleDict({sensor: Standardize(c) for sensor, c in contracts.items()})

    @abstractmethod
    def forward(self, images: dict[str, Image]) -> Float[Tensor, "b k h w"]:
        """Logits of every pixel."""

    def series(self, images: dict[str, Image], sensor: str) -> Series:
        """A sensor's standardised series.

        Raises:
            ContractError: there is no image of it.
        """
        if sensor not in images:
            raise ContractError(
                f"the segmenter needs {sensor}", where=", ".join(images), remedy="read the sensors of its contracts"
            )
        image = images[sensor]
        pixels = self.standardize[sensor](image.pixels, image.valid, image.band_ids)
        seen = seen_frames(image.valid)
        return Series(pixels, image.valid, seen | ~seen.any(dim=1, keepdim=True), image.days)


@runtime_checkable
class SegmenterPlugin(Protocol):
    """A module of this folder, or one that an installed package offers."""

    Config: type[PluginSettings]
    """Its settings in a recipe."""

    def build(self, config: Any, contracts: Mapping[str, InputContract], classes: int) -> Segmenter:
        """The segmenter, randomly initialised, for sensors in the order of their contracts.

        Raises:
            RecipeError: it takes another number of sensors.
        """
        ...


class OneSensor(Segmenter):
    """A segmenter of one sensor's series, around a network that takes them."""

    def __init__(self, contracts: Mapping[str, InputContract], network: nn.Module):
        super().__init__(contracts)
        self.sensor, self.network = next(iter(contracts)), network

    def forward(self, images: dict[str, Image]) -> Float[Tensor, "b k h w"]:
        """Logits of every pixel."""
        return self.network(self.series(images, self.sensor))


def channels_of_one(contracts: Mapping[str, InputContract], name: str) -> int:
    """Number of bands of the only sensor.

    Raises:
        RecipeError: there are several.
    """
    if len(contracts) != 1:
        raise RecipeError(
            f"{name} takes the series of one sensor, it was given {', '.join(contracts) or 'none'}",
            remedy="choose one sensor, or the segmenters early-fusion or late-fusion",
        )
    return next(iter(contracts.values())).channels


def check_size(series: Series, name: str, smallest: int, multiple: int) -> None:
    """Raise RecipeError unless height and width are at least `smallest` and multiples of `multiple` pixels."""
    height, width = series.pixels.shape[3:]
    if min(height, width) < smallest or height % multiple or width % multiple:
        raise RecipeError(
            f"{name} cannot take chips of {height} x {width} pixels: it halves them {multiple.bit_length() - 1} times",
            remedy=f"chips of a multiple of {multiple} pixels, at least {smallest}; unet-3d takes any, down to one",
        )


def by_date(
    network: Callable[[Tensor], Tensor], x: Float[Tensor, "b t c h w"], frames: Bool[Tensor, "b t"]
) -> Float[Tensor, "b t d h2 w2"]:
    """Apply a network of single images to the dates that count; 0 at the others, which it never sees."""
    return laid_on_dates(network(counted(x, frames)), frames)


def counted(x: Float[Tensor, "b t *d"], frames: Bool[Tensor, "b t"]) -> Float[Tensor, "n *d"]:
    """The dates that count, one after the other; a graph, which has to fit any series, takes all."""
    return x.flatten(0, 1) if torch.compiler.is_exporting() else x[frames]


def laid_on_dates(x: Float[Tensor, "n *d"], frames: Bool[Tensor, "b t"]) -> Float[Tensor, "b t *d"]:
    """What was made of the dates that `counted` gives, as series; 0 at the others."""
    if torch.compiler.is_exporting():
        rest = (None,) * (x.ndim - 1)
        return torch.where(frames[:, :, *rest], x.unflatten(0, frames.shape), 0.0)
    out = x.new_zeros(*frames.shape, *x.shape[1:])
    out[frames] = x
    return out


def mean_over_dates(x: Float[Tensor, "b t c h w"], frames: Bool[Tensor, "b t"]) -> Float[Tensor, "b c h w"]:
    """Mean over the dates that count."""
    weight = frames.to(x.dtype)
    return torch.einsum("btchw,bt->bchw", x, weight / weight.sum(dim=1, keepdim=True).clamp(min=1))
