"""Reading raster files, with every failure turned into a message that names the file.

Images are handed on upright: one that is stored from south to north, or from east to west, is turned, pixels and
transform alike; and a file that says no position as the image is that it belongs to.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import isclose
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from jaxtyping import Bool, Shaped
from numpy import ndarray
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from swath.errors import CorpusError
from swath.sensors import Scaling

NARROWER = {"float64": "float32", "int64": "int32", "uint64": "uint32"}
"""Type in which pixels of a 64-bit type are stored, as a corpus holds at most 32 bits."""
ROUNDING = 1e-6
"""Accepted relative difference between a stored value and the file's; single precision has 6e-8."""
TINY = 1.2e-38
"""Values smaller than this become 0 in single precision, which loses nothing of any physical value."""
EXACT = 2**53
"""Whole numbers up to this are exact in double precision."""
UPRIGHT = (False, False)
"""Stands for an image in which neither rows nor columns are to be reversed."""
UNSAID = (1.0, 0.0)
"""Scale and offset of a file that states none."""
GIGABYTE = 10**9
MAX_IMAGE_GB = 4.0
"""Gigabytes that may be decoded at once: thirteen bands of a whole Sentinel-2 tile at 10 m take 3.1."""


class BadFileError(CorpusError):
    """A file that cannot be used; `on_bad_file: skip` leaves it out."""


@dataclass(frozen=True, slots=True)
class File:
    """A file that matched a pattern of the recipe."""

    path: Path
    name: str
    """Relative to the data folder, for messages and the index."""
    fields: dict[str, str] = field(default_factory=dict)
    """What the groups of an id expression found in the name; groups that took no part are absent."""
    key: str = "corpus.source"
    """Recipe key of the pattern, such as `corpus.source.images.0`."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel of a file."""

    file: File
    number: int
    """Number of the channel, from 1."""
    only: bool = False
    """Whether the file must have no other channel."""


@dataclass(frozen=True, slots=True)
class Header:
    """The content of a file's header."""

    height: int
    width: int
    crs: str | None
    """Reference system; None without a georeference, or with one that cannot be related to longitude and latitude."""
    transform: Affine | None
    """Transform from pixel corners (column, row) of the upright image to native coordinates; None without one."""
    turns: tuple[bool, bool] = UPRIGHT
    """Whether rows are stored from south to north, and columns from east to west."""
    dtypes: tuple[str, ...] = ()
    """NumPy type of each channel; all following lists are by channel too."""
    nodata: tuple[float | None, ...] = ()
    scalings: tuple[tuple[float, float], ...] = ()
    """Scale and offset of each channel's counts; `UNSAID` where the file states none."""
    masked: tuple[bool, ...] = ()
    """Whether a mask in the file or beside it (`.msk`) says which pixels exist."""
    alpha: tuple[int, ...] = ()
    """Numbers of the channels that the file declares as opacity: 0 where a pixel does not exist."""
    points: bool = False
    """Whether the file states its position only by ground control points or rational polynomials, which are not
    read."""
    block_bytes: int = 0
    """Bytes of the largest block, the smallest piece that can be decoded by itself."""

    @property
    def count(self) -> int:
        """Number of channels."""
        return len(self.dtypes)

    @property
    def turned(self) -> bool:
        """Whether windows of the file differ from those of the upright image."""
        return self.turns != UPRIGHT

    @property
    def dtype(self) -> str:
        """NumPy type of the first channel."""
        return self.dtypes[0]


@dataclass(frozen=True, slots=True)
class Cut:
    """A part of an upright image, in pixels of its finest band."""

    row: int
    column: int
    height: int
    width: int
    whole: tuple[int, int]
    """Height and width of the whole image."""

    def of(self, source: DatasetReader, unplaced: tuple[bool, bool] = UPRIGHT) -> Window:
        """The window of an open file that covers it, as the file is stored; of coarser pixels it may cover more."""
        factor = max(1, self.whole[0] // source.height)
        rows, columns = _covering(self.row, self.height, factor), _covering(self.column, self.width, factor)
        upside_down, mirrored = _turns(source, unplaced)
        rows = (source.height - rows[1], source.height - rows[0]) if upside_down else rows
        columns = (source.width - columns[1], source.width - columns[0]) if mirrored else columns
        return Window.from_slices(rows, columns)

    def trimmed(self, pixels: Shaped[ndarray, "y x"], factor: int) -> Shaped[ndarray, "y2 x2"]:
        """What `of` covers of coarser pixels, already repeated so many times, cut to the part itself."""
        row, column = self.row % factor, self.column % factor
        return pixels[row : row + self.height, column : column + self.width]


def _covering(start: int, length: int, factor: int) -> tuple[int, int]:
    """First and last (exclusive) of the pixels, so many times as large, that cover a stretch."""
    return start // factor, -(-(start + length) // factor)


@contextmanager
def explained(file: File) -> Iterator[None]:
    """Turn errors of the raster library inside the block into a message that names the file."""
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
    # the raster library hands out the identity where a file says no position
    transform = source.transform if _placed(source) else None
    rows, columns = _turns(source)
    return Header(
        height=source.height,
        width=source.width,
        crs=None if crs is None or transform is None else crs.to_string(),
        transform=None if transform is None else _upright(transform, source.height * rows, source.width * columns),
        turns=(rows, columns),
        dtypes=source.dtypes,
        nodata=source.nodatavals,
        scalings=tuple(zip(source.scales, source.offsets, strict=True)),
        masked=tuple(_has_mask(flags) for flags in source.mask_flag_enums),
        alpha=tuple(n for n, kind in enumerate(source.colorinterp, 1) if kind == ColorInterp.alpha),
        points=transform is None and bool(source.gcps[0] or source.rpcs),
        block_bytes=max(
            rows * columns * itemsize(dtype)
            for (rows, columns), dtype in zip(source.block_shapes, source.dtypes, strict=True)
        ),
    )


def itemsize(dtype: str) -> int:
    """Bytes of a value; NumPy does not know complex numbers of two 16-bit integers."""
    return 4 if dtype == "complex_int16" else np.dtype(dtype).itemsize


def _has_mask(flags: Sequence[MaskFlags]) -> bool:
    """Whether a channel has a mask other than nodata and opacity, which are recognised by their values."""
    return MaskFlags.alpha not in flags and list(flags) not in ([MaskFlags.all_valid], [MaskFlags.nodata])


def _placed(source: DatasetReader) -> bool:
    """Whether a file states its position."""
    return not (source.transform.is_identity or source.transform.is_degenerate)


def _turns(source: DatasetReader, unplaced: tuple[bool, bool] = UPRIGHT) -> tuple[bool, bool]:
    """Whether rows, and columns, are to be reversed so that the image is upright, or at least not mirrored.

    Args:
        source: an open file.
        unplaced: the answer for a file that says no position.
    """
    t = source.transform
    if not _placed(source):
        return unplaced
    if t.b == t.d == 0:
        return t.e > 0, t.a < 0
    return t.a * t.e - t.b * t.d > 0, False


def _upright(transform: Affine, height: int, width: int) -> Affine:
    """The transform after rows or columns are reversed, each where the number of them is not 0."""
    a, b, c, d, e, f = transform[:6]
    down, across = (-1 if height else 1), (-1 if width else 1)
    return Affine(a * across, b * down, c + a * width + b * height, d * across, e * down, f + d * width + e * height)


def _turned(
    pixels: Shaped[ndarray, "c y x"], source: DatasetReader, unplaced: tuple[bool, bool] = UPRIGHT
) -> Shaped[ndarray, "c y x"]:
    rows, columns = _turns(source, unplaced)
    return pixels[:, :: -1 if rows else 1, :: -1 if columns else 1]


def contradict(tags: tuple[float, float], scaling: Scaling) -> bool:
    """Whether a file's tags state another scale or offset than the declared one."""
    near = isclose(tags[0], scaling.scale, rel_tol=1e-3) and isclose(
        tags[1], scaling.offset, rel_tol=1e-3, abs_tol=1e-6
    )
    return tags != UNSAID and not near


# -- pixels ------------------------------------------------------------------------------------------------------------


def read_whole(
    file: File, check: Callable[[Header], None], missing: int | None = 0
) -> tuple[Shaped[ndarray, "c y x"], Header]:
    """All pixels of a file and its header, which is checked before the pixels are read.

    Args:
        file: which.
        check: raises BadFileError unless the header is as it should be.
        missing: the value that says in this format that a pixel is not there.

    Raises:
        BadFileError: it cannot be read, or it says of itself what no published format says: that its channels differ
            in type or are scaled, or, by a mask or by another nodata value than `missing`, that pixels are not there.
    """
    with explained(file), rasterio.open(file.path) as source:
        head = header_of(source)
        check(head)
        check_size(file, head.block_bytes, MAX_IMAGE_GB)
        problem = _unexpected(head) or _hidden(source, head)
        pixels = source.read() if problem is None else None
        if pixels is None or (problem := _filled(pixels, head, missing)):
            remedy = "is this an edition that was changed? get the file again, or leave it out: on_bad_file=skip"
            raise BadFileError(f"{file.name} {problem}", where=str(file.path), remedy=remedy)
        return _turned(pixels, source), head


def _unexpected(head: Header) -> str | None:
    if len(set(head.dtypes)) > 1:
        return f"has channels of several types: {', '.join(dict.fromkeys(head.dtypes))}"
    scaled = next((one for one in head.scalings if one != UNSAID), None)
    return None if scaled is None else f"says scale {scaled[0]:g} and offset {scaled[1]:g}, where this format has none"


def _hidden(source: DatasetReader, head: Header) -> str | None:
    numbers = [number for number, masked in enumerate(head.masked, 1) if masked]
    hidden = int((source.read_masks(numbers) == 0).sum()) if numbers else 0
    return f"has a mask that hides {hidden} values, where this format has none" if hidden else None


def _filled(pixels: Shaped[ndarray, "c y x"], head: Header, missing: int | None) -> str | None:
    for channel, value in enumerate(head.nodata):
        if value not in (None, missing) and (count := int((pixels[channel] == value).sum())):
            return f"says that {value:g} is nodata, and holds it at {count} pixels of channel {channel + 1}"
    return None


def read(
    channels: Sequence[Channel], unplaced: tuple[bool, bool] = UPRIGHT, cut: Cut | None = None
) -> list[Shaped[ndarray, "y x"]]:
    """Pixels of channels, in this order; each file is opened once.

    Args:
        channels: of any files.
        unplaced: whether rows, and columns, of files that say no position are reversed, as in the images beside them.
        cut: the part to read; None: the whole files.
    """
    pixels: dict[tuple[str, int], Any] = {}
    for file, numbers in _by_file(channels):
        with explained(file), rasterio.open(file.path) as source:
            # of one type at a time, as many as there are: the library reads no mixed ones, and blocks only once
            for kind in {source.dtypes[number - 1] for number in numbers}:
                alike = [number for number in numbers if source.dtypes[number - 1] == kind]
                stored = source.read(alike, window=None if cut is None else cut.of(source, unplaced))
                bands = _turned(stored, source, unplaced)
                pixels.update(((file.name, number), band) for number, band in zip(alike, bands, strict=True))
    return [pixels[channel.file.name, channel.number] for channel in channels]


def there(
    file: File,
    channels: Sequence[Channel],
    alpha: Sequence[int],
    unplaced: tuple[bool, bool] = UPRIGHT,
    cut: Cut | None = None,
) -> Bool[ndarray, "y x"]:
    """True where the masks of a file's channels, and its opacity channels `alpha`, say that pixels exist.

    `unplaced` and `cut` are as for `read`.
    """
    with explained(file), rasterio.open(file.path) as source:
        part = None if cut is None else cut.of(source, unplaced)
        height, width = source.shape if part is None else (round(part.height), round(part.width))
        none = np.ones((0, height, width), bool)
        masks = source.read_masks([channel.number for channel in channels], window=part) if channels else none
        opacity = source.read(list(alpha), window=part) if alpha else none
        seen = (masks != 0).all(axis=0) & (opacity != 0).all(axis=0)
        return _turned(seen[None], source, unplaced)[0]


def _by_file(channels: Sequence[Channel]) -> Iterator[tuple[File, list[int]]]:
    for file in {channel.file.name: channel.file for channel in channels}.values():
        yield file, [channel.number for channel in channels if channel.file.name == file.name]


def enlarged(pixels: Shaped[ndarray, "y x"], shape: tuple[int, int], file: File) -> Shaped[ndarray, "y2 x2"]:
    """Coarser bands repeated to the grid of the finest, whose pixels they cover a whole number of times."""
    return repeated(pixels, times(pixels.shape, shape, file))


def repeated(pixels: Shaped[ndarray, "y x"], factor: int) -> Shaped[ndarray, "y2 x2"]:
    """Every pixel as a square of so many by so many."""
    return pixels if factor == 1 else np.repeat(np.repeat(pixels, factor, axis=0), factor, axis=1)


def times(own: tuple[int, ...], shape: tuple[int, int], file: File) -> int:
    """How many pixels of the finest band, whose image has that shape, are as wide as one of a file's.

    Raises:
        BadFileError: that is no whole number.
    """
    factor = shape[0] // own[0]
    if (own[0] * factor, own[1] * factor) != shape:
        size, finest = (f"{width} x {height}" for height, width in (own, shape))
        raise BadFileError(
            f"{file.name} has {size} pixels, which do not divide the {finest} of the finest band",
            where=f"{file.path}, for {file.key}",
            remedy="bring the bands of an image onto one grid, or leave it out: corpus.source.on_bad_file=skip",
        )
    return factor


def narrowed(
    pixels: Shaped[ndarray, "*n y x"], valid: Bool[ndarray, "*n y x"], file: File
) -> Shaped[ndarray, "*n y x"]:
    """Pixels of 64 bits converted to 32; others unchanged.

    Raises:
        BadFileError: a valid value would become another one.
    """
    if pixels.dtype.name not in NARROWER:
        return pixels
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        stored = pixels.astype(NARROWER[pixels.dtype.name])
        exact = stored.astype(pixels.dtype)
        same = np.isclose(exact, pixels, rtol=ROUNDING, atol=TINY) if pixels.dtype.kind == "f" else exact == pixels
    lost = valid & ~same & np.isfinite(pixels)
    if lost.any():
        raise BadFileError(
            f"{file.name} holds {pixels[lost][0]:g}, which {stored.dtype} cannot, at {lost.sum()} pixels",
            where=f"{file.path}, for {file.key}",
            remedy=f"convert it to {stored.dtype}, say its nodata, or leave it out: corpus.source.on_bad_file=skip",
        )
    return stored


def nearest_pixels(
    channel: Channel, crs: str, transform: Affine, shape: tuple[int, int]
) -> tuple[Shaped[ndarray, "y x"], Bool[ndarray, "y x"]]:
    """A channel of a file in any reference system on another grid, whose pixels take the value that lies nearest.

    Returns:
        the values, and where the file has one: not outside of it, nor where its nodata, mask or opacity says none.

    Raises:
        BadFileError: it cannot be read, or holds whole numbers that are not exact on another grid.
    """
    height, width = shape
    with explained(channel.file), rasterio.open(channel.file.path) as source:
        opacity = [number for number in header_of(source).alpha if number != channel.number]
        hidden = {"src_alpha": opacity[0]} if opacity else {"add_alpha": source.nodata is None}
        grid = {"crs": crs, "transform": transform, "width": width, "height": height}
        with WarpedVRT(source, **grid, resampling=Resampling.nearest, **hidden) as warped:
            values, there = warped.read(channel.number), warped.read_masks(channel.number) != 0
    if (
        values.dtype.kind in "iu"
        and there.any()
        and max(abs(int(pick(values[there]))) for pick in (np.min, np.max)) > EXACT
    ):
        raise BadFileError(
            f"{channel.file.name} holds numbers beyond 2^53, which change when they are brought onto another grid",
            where=f"{channel.file.path}, for {channel.file.key}",
            remedy="give each location a map of its own on its image's grid: files and id",
        )
    return values, there


def check_size(file: File, size: int, limit_gb: float) -> None:
    """Raise BadFileError if so many bytes, which would have to be decoded at once, are beyond a limit."""
    if size > limit_gb * GIGABYTE:
        raise BadFileError(
            f"{file.name} would take {size / GIGABYTE:.1f} GB to read, the limit is {limit_gb:g}",
            where=f"{file.path}, for {file.key}",
            remedy="cut it into smaller files (tiles), raise corpus.source.max_image_gb if there is memory, "
            "or leave it out: corpus.source.on_bad_file=skip",
        )


def corner(transform: Affine, column: float | int, row: float | int) -> tuple[float, float]:
    """Native coordinates of a pixel's corner."""
    x = transform.a * column + transform.b * row + transform.c
    y = transform.d * column + transform.e * row + transform.f
    return x, y
