"""What makes a map of a window: a network that maps every pixel, or a classifier of chips moved over the raster."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64
from numpy import ndarray
from torch import Tensor, nn

from swath import sensors
from swath.batch import Image
from swath.products.windows import Span
from swath.sensors import LOCATION, band_id

Images = dict[str, Image]
BATCH_PIXELS = 2**21
"""Pixels of all dates of chips that are classified at a time."""


@runtime_checkable
class Predictor(Protocol):
    """Maps windows. It is sent to the processes that do the work, so it can be pickled."""

    @property
    def bands(self) -> tuple[str, ...]:
        """Keys of the bands that it reads."""
        ...

    @property
    def series(self) -> bool:
        """Whether it sees all dates of a place."""
        ...

    @property
    def cell(self) -> int:
        """Width, in pixels of the raster, of a pixel of the map."""
        ...

    @property
    def margin(self) -> int:
        """Pixels of the raster around a window that it needs as well."""
        ...

    @property
    def multiple(self) -> int:
        """Windows begin at multiples of so many pixels of the map."""
        ...

    @property
    def fixed(self) -> bool:
        """Whether all windows must have the same size."""
        ...

    @property
    def window(self) -> int:
        """Side, in pixels of the map, of a window where nothing else is asked for."""
        ...

    @property
    def overlap(self) -> int:
        """Pixels of the map that windows share where nothing else is asked for; 0 where borders do not matter."""
        ...

    def middles(self, span: Span, /) -> tuple[Float64[ndarray, " h"], Float64[ndarray, " w"]]:
        """Rows and columns of the raster, in pixels, in which the points lie whose longitude and latitude it is told.

        Args:
            span: of a window, in pixels of the map.
        """
        ...

    def check(self, images: Images, /) -> None:
        """Raise ContractError unless the pixels have the units and size that the network was made for."""
        ...

    def to(self, device: str) -> "Predictor":
        """The same on a device."""
        ...

    def __call__(self, images: Images, /) -> Float[Tensor, "k h w"]:
        """Probabilities of classes, or numbers, of each pixel of the map; images have a batch of one.

        The image of the location, where it is read, has a pixel for each of the `middles`.
        """
        ...


@dataclass(frozen=True, eq=False)
class Dense:
    """A network from images by sensor to logits "b k h w" of every pixel."""

    network: nn.Module
    bands: tuple[str, ...]
    series: bool
    check: Callable[[Images], None]
    """Raises ContractError unless units and pixel size are right."""
    multiple: int = 1
    window: int = 1024
    overlap: int = 64
    fixed: bool = False
    cell: int = 1
    margin: int = 0

    def middles(self, span: Span) -> tuple[Float64[ndarray, " h"], Float64[ndarray, " w"]]:
        """The middle of the window, as a chip that it learnt from is where its middle is."""
        return np.array([span.row + span.height / 2]), np.array([span.column + span.width / 2])

    def to(self, device: str) -> "Dense":
        """The same on a device."""
        self.network.to(device)
        return self

    def __call__(self, images: Images) -> Float[Tensor, "k h w"]:
        """Probabilities of the classes of each pixel."""
        with torch.inference_mode():
            return self.network(images)[0].float().softmax(dim=0)


@dataclass(frozen=True, eq=False)
class Chips:
    """A classifier of chips, moved over the raster: each pixel of the map is said of the chip around its middle."""

    classify: Callable[[Images], Float[Tensor, "b k"]]
    """From images of chips to probabilities of their classes, to numbers, or to an embedding."""
    network: nn.Module
    """What `classify` computes with, to be moved to a device."""
    bands: tuple[str, ...]
    series: bool
    check: Callable[[Images], None]
    chip: int
    """Side of a chip in pixels."""
    cell: int
    """Distance of the chips in pixels."""
    multiple: int = 1
    overlap: int = 0
    fixed: bool = False

    @property
    def margin(self) -> int:
        """Pixels around a window of which the chips of its edge see something."""
        return max(0, -(-(self.chip - self.cell) // 2))

    @property
    def window(self) -> int:
        """As many chips in a row as make about a thousand pixels."""
        return max(1, 1024 // max(self.cell, 4))

    def middles(self, span: Span) -> tuple[Float64[ndarray, " h"], Float64[ndarray, " w"]]:
        """The middle of the chip around each pixel of the map."""
        first = self.chip / 2 - (self.chip - self.cell) // 2
        rows, columns = span.row + np.arange(span.height), span.column + np.arange(span.width)
        return rows * self.cell + first, columns * self.cell + first

    def to(self, device: str) -> "Chips":
        """The same on a device."""
        self.network.to(device)
        return self

    def __call__(self, images: Images) -> Float[Tensor, "k h w"]:
        """What is said of the chip around each pixel of the map."""
        first = next(iter(rasters(images).values())).pixels
        rows, columns = ((side - 2 * self.margin) // self.cell for side in first.shape[3:])
        each = max(1, BATCH_PIXELS // (columns * first.shape[1] * self.chip**2))
        with torch.inference_mode():
            parts = [self._rows(images, row, min(row + each, rows), columns) for row in range(0, rows, each)]
        return torch.cat(parts, dim=1)

    def _rows(self, images: Images, start: int, stop: int, columns: int) -> Float[Tensor, "k h w"]:
        chips = {sensor: self._chips(image, start, stop) for sensor, image in rasters(images).items()}
        if LOCATION in images:
            chips[LOCATION] = _points(images[LOCATION], start, stop)
        said = self.classify(chips).float()
        return said.T.reshape(said.shape[1], stop - start, columns)

    def _chips(self, image: Image, start: int, stop: int) -> Image:
        """The chips of some rows of the map as a batch."""
        skip = self.margin - (self.chip - self.cell) // 2
        high = slice(start * self.cell + skip, (stop - 1) * self.cell + skip + self.chip)
        pixels = _cut(image.pixels[0][:, :, high, skip:], self.chip, self.cell)
        valid = _cut(image.valid[0][:, None, high, skip:], self.chip, self.cell)[:, :, 0]
        count = len(pixels)
        days, ids = image.days.expand(count, -1), image.band_ids.expand(count, -1)
        return Image(pixels, valid, days, ids, image.gsd_m, image.common_ids)


def _points(location: Image, start: int, stop: int) -> Image:
    """Where the chips of some rows of the map lie, as a batch of images of one pixel."""
    pixels = location.pixels[0, 0, :, start:stop].flatten(1).T[:, None, :, None, None]
    count = len(pixels)
    days, ids = location.days.expand(count, -1), location.band_ids.expand(count, -1)
    valid = location.valid[0, 0, start:stop].reshape(count, 1, 1, 1)
    return Image(pixels, valid, days, ids, location.gsd_m, location.common_ids)


def rasters(images: Images) -> Images:
    """The images of sensors, without the location."""
    return {sensor: image for sensor, image in images.items() if sensor != LOCATION}


def _cut(x: Tensor, side: int, step: int) -> Tensor:
    """Squares "n t c side side" of an array "t c h w", row by row."""
    squares = x.unfold(2, side, step).unfold(3, side, step)
    return squares.permute(2, 3, 0, 1, 4, 5).flatten(0, 1).contiguous()


def seen(validity: Sequence[Bool[Tensor, "t y x"]], margin: int, cell: int) -> Bool[Tensor, "h w"]:
    """Which pixels of a map have something to be made of: a valid pixel of any date of every sensor."""
    valid = torch.stack([each.any(dim=0) for each in validity]).all(dim=0)
    valid = valid[margin : valid.shape[0] - margin, margin : valid.shape[1] - margin]
    return valid if cell == 1 else valid.unfold(0, cell, cell).unfold(1, cell, cell).flatten(2).any(dim=2)


def trial(bands: Sequence[str], px: int, frame: int) -> tuple[Images, Images]:
    """Two made-up pictures of square shape by sensor, of which the second is white in a frame so many pixels wide.

    A network that says something else in their middle looks further than from there to the frame.
    """
    generator, images = torch.Generator().manual_seed(0), {}
    for key in bands:
        images.setdefault(key.partition("/")[0], []).append(band_id(key))
    one, other = {}, {}
    for sensor, ids in images.items():
        low, high = sensors.get(sensor).display_range
        pixels = low + (high - low) * torch.rand(1, 1, len(ids), px, px, generator=generator)
        framed = torch.full_like(pixels, high)
        inner = slice(frame, px - frame)
        framed[..., inner, inner] = pixels[..., inner, inner]
        rest = (torch.ones(1, 1, px, px, dtype=torch.bool), torch.tensor([[0]], dtype=torch.int32))
        known = torch.tensor([ids], dtype=torch.int32)
        one[sensor], other[sensor] = (Image(each, *rest, known, 10.0, tuple(ids)) for each in (pixels, framed))
    return one, other
