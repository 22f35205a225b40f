"""Reading raster files, with every failure turned into a message that names the file."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from jaxtyping import Shaped
from numpy import ndarray
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader

from swath.errors import CorpusError


class BadFileError(CorpusError):
    """A file that cannot be used; `on_bad_file: skip` leaves it out."""


@dataclass(frozen=True, slots=True)
class File:
    """A file that matched."""

    path: Path
    name: str
    """Relative to the data folder, for messages and the index."""
    fields: dict[str, str] = field(default_factory=dict)
    """What an id expression found in the name; groups that took no part are absent."""
    key: str = "corpus.source"
    """Recipe key that named it, such as `corpus.source.images.0`."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel of a file."""

    file: File
    number: int
    """From 1."""
    only: bool = False
    """The file must have no other channel."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says about itself."""

    height: int
    width: int
    count: int
    """Number of channels."""
    dtype: str
    nodata: float | None
    crs: str | None
    """None where there is no georeference, or one that cannot be related to longitude and latitude."""
    transform: Affine | None
    """Pixel corners (column, row) to native coordinates; None without `crs`."""
    metres: float | None
    """Size of a pixel, where the native coordinates are metres."""


@contextmanager
def explained(file: File) -> Iterator[None]:
    """Turn what the raster library raises into a message that names the file."""
    try:
        yield
    except (RasterioError, OSError) as error:
        cause = error.__cause__ or error
        raise BadFileError(
            f"{file.name} cannot be read: {str(cause).splitlines()[0]}",
            where=f"{file.path}, for {file.key}",
            remedy="get the file again, or leave such files out: corpus.source.on_bad_file=skip",
        ) from error


def header(file: File) -> Header:
    """Read a file's header."""
    with explained(file), rasterio.open(file.path) as source:
        return header_of(source)


def header_of(source: DatasetReader) -> Header:
    """The header of an open file."""
    crs = source.crs
    if crs is not None and not (crs.is_projected or crs.is_geographic):
        crs = None
    metres = crs is not None and crs.is_projected and crs.linear_units_factor[1] == 1
    return Header(
        height=source.height,
        width=source.width,
        count=source.count,
        dtype=source.dtypes[0],
        nodata=source.nodata,
        crs=None if crs is None else crs.to_string(),
        transform=None if crs is None else source.transform,
        metres=abs(source.transform.a) if metres else None,
    )


def whole(file: File, check: Callable[[Header], None]) -> tuple[Shaped[ndarray, "c y x"], Header]:
    """All pixels of a file and its header, which is checked before the pixels are read."""
    with explained(file), rasterio.open(file.path) as source:
        head = header_of(source)
        check(head)
        return source.read(), head


def read(channels: Sequence[Channel]) -> list[Shaped[ndarray, "y x"]]:
    """Pixels of channels, in this order; each file is opened once."""
    pixels: dict[tuple[str, int], Any] = {}
    for file in {channel.file.name: channel.file for channel in channels}.values():
        numbers = [channel.number for channel in channels if channel.file.name == file.name]
        with explained(file), rasterio.open(file.path) as source:
            pixels.update(
                ((file.name, number), band) for number, band in zip(numbers, source.read(numbers), strict=True)
            )
    return [pixels[channel.file.name, channel.number] for channel in channels]


def enlarged(pixels: Shaped[ndarray, "y x"], shape: tuple[int, int], file: File) -> Shaped[ndarray, "y2 x2"]:
    """Coarser bands repeated to the grid of the finest, whose pixels they cover a whole number of times."""
    factor = shape[0] // pixels.shape[0]
    if (pixels.shape[0] * factor, pixels.shape[1] * factor) != shape:
        size, finest = (f"{width} x {height}" for height, width in (pixels.shape, shape))
        raise BadFileError(
            f"{file.name} has {size} pixels, which do not divide the {finest} of the finest band",
            where=f"{file.path}, for {file.key}",
            remedy="bring the bands of an image onto one grid, or leave it out: corpus.source.on_bad_file=skip",
        )
    return pixels if factor == 1 else np.repeat(np.repeat(pixels, factor, axis=0), factor, axis=1)


def corner(transform: Affine, column: int, row: int) -> tuple[float, float]:
    """Native coordinates of a pixel's corner."""
    x = transform.a * column + transform.b * row + transform.c
    y = transform.d * column + transform.e * row + transform.f
    return x, y
