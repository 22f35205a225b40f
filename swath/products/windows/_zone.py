"""The rasters of one reference system as one mosaic, or as a series of them."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch
from affine import Affine
from jaxtyping import Bool, Float, Shaped
from numpy import ndarray
from pyproj import Transformer

from swath._device import CPU
from swath.batch import NO_DAY, Calibration, Counts, Image
from swath.corpus import SensorLayout
from swath.errors import CorpusError
from swath.products.windows._tiles import Span
from swath.products.windows._types import Raster
from swath.sensors import LOCATION, band_id

LATTICE = 0.02
"""Accepted distance, in pixels, between the lattices of two rasters of a mosaic."""
PIXEL_SIZE = 1e-6
"""Accepted relative difference between their pixel sizes."""
EPOCH = dt.date(1970, 1, 1)
HALF_TURN = 180


@dataclass(frozen=True, slots=True, eq=False)
class _Placed:
    """A raster and where it lies in the zone's grid."""

    raster: Raster
    row: int
    column: int


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """What counts as one date: rasters of one sensor, the first of which with a valid pixel says what is there."""

    rasters: tuple[_Placed, ...]
    day: int
    """Days since 1970-01-01; NO_DAY where it is unknown, or the rasters are of several days."""

    @property
    def layout(self) -> SensorLayout:
        """What the counts of its rasters mean."""
        return self.rasters[0].raster.layout

    def read(self, span: Span) -> tuple[Shaped[ndarray, "c y x"], Bool[ndarray, "y x"]]:
        """Counts of a window, and which pixels have a physical value; none where no raster reaches."""
        counts = np.zeros((len(self.layout.bands), span.height, span.width), self.layout.dtype)
        valid = np.zeros((span.height, span.width), bool)
        for placed in self.rasters:
            part = _common(span, placed)
            if part is None or valid[here := part.inside(span)].all():
                continue
            row, column = part.row - placed.row, part.column - placed.column
            pixels = placed.raster.read(row, column, part.height, part.width)
            new = pixels.valid & _has_value(pixels.counts, self.layout) & ~valid[here]
            np.copyto(counts[:, *here], pixels.counts, where=new)
            valid[here] |= new
        return counts, valid


def _has_value(counts: Shaped[ndarray, "c y x"], layout: SensorLayout) -> Bool[ndarray, "y x"]:
    """Where every band of counts has a physical value, as floating-point counts and decibels need not have."""
    if not layout.real:
        return np.ones(counts.shape[1:], bool)
    values = torch.from_numpy(counts.astype(np.float32))
    Calibration.of(layout.scale, layout.offset, decibel=layout.decibel).apply(values)
    return values.isfinite().all(dim=0).numpy()


def _common(span: Span, placed: _Placed) -> Span | None:
    """What a window and a raster have in common, in the zone's grid; None if that is nothing."""
    top, left = max(span.row, placed.row), max(span.column, placed.column)
    bottom = min(span.row + span.height, placed.row + placed.raster.height)
    right = min(span.column + span.width, placed.column + placed.raster.width)
    return Span(top, left, bottom - top, right - left) if bottom > top and right > left else None


@dataclass(frozen=True, eq=False)
class Zone:
    """The rasters of one reference system on one grid: a mosaic, or a series of them."""

    crs: str
    transform: Affine
    """From pixel corners (column, row) to native coordinates."""
    height: int
    width: int
    frames: Mapping[str, tuple[Frame, ...]]
    """By sensor, in time."""
    name: str
    """What tells the zones of an input apart: the reference system, or of a corpus the id of its first location."""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.height, self.width

    @cached_property
    def rasters(self) -> dict[str, Raster]:
        """A raster of each sensor, which says what all of them have in common."""
        return {sensor: frames[0].rasters[0].raster for sensor, frames in self.frames.items()}

    @property
    def days(self) -> dict[str, tuple[int, ...]]:
        """By sensor, days since 1970-01-01 of its dates; NO_DAY where unknown."""
        return {sensor: tuple(frame.day for frame in frames) for sensor, frames in self.frames.items()}

    @property
    def all_rasters(self) -> Iterator[Raster]:
        """Every raster of every sensor and date."""
        return (one.raster for frames in self.frames.values() for frame in frames for one in frame.rasters)

    @property
    def dates(self) -> tuple[dt.date, ...]:
        """The dates of all rasters, in time; none if a raster says none, as then nobody knows which they are."""
        found = {None if one.date is None else one.date.date() for one in self.all_rasters}
        return tuple(sorted(date for date in found if date is not None)) if None not in found else ()

    @property
    def masks_clouds(self) -> bool:
        """Whether clouds are hidden in any raster."""
        return any(raster.masks_clouds for raster in self.all_rasters)

    def read(self, span: Span, device: torch.device | str = CPU) -> dict[str, Image]:
        """A window by sensor, "1 t c h w" in physical units; what no raster covers, nodata and clouds are invalid.

        Args:
            span: of the window.
            device: where the images shall be. Counts travel there, and are decoded there.

        Raises:
            CorpusError: a file is bad.
        """
        return {sensor: counts.to(torch.device(device)).decode() for sensor, counts in self.counts(span).items()}

    def counts(self, span: Span) -> dict[str, Counts]:
        """The same window as stored counts, whose `decode` makes the images, and which know all that is invalid.

        Raises:
            CorpusError: a file is bad.
        """
        return {sensor: self._counts(sensor, frames, span) for sensor, frames in self.frames.items()}

    def location(self, bands: Sequence[str], rows: Float[ndarray, " h"], columns: Float[ndarray, " w"]) -> Image:
        """Where the points of a grid lie: an image "1 1 c h w" of longitude, latitude or both; invalid if nowhere.

        Args:
            bands: their names, in the order wanted.
            rows: of the points, in pixels from the upper edge of the first one; `columns` likewise.
            columns: see there.
        """
        across, down = np.meshgrid(columns, rows)
        xs, ys = self.transform @ (across, down)  # pyright: ignore[reportOperatorIssue]
        lon, lat = (np.asarray(one) for one in _to_degrees(self.crs).transform(xs, ys))
        known = np.isfinite(lon) & np.isfinite(lat)  # far beyond a raster there may be no ground
        lon, lat = np.where(known, lon, 0.0), np.where(known, lat, 0.0)
        degrees = {"lon": (lon + HALF_TURN) % (2 * HALF_TURN) - HALF_TURN, "lat": lat}
        ids = tuple(band_id(f"{LOCATION}/{name}") for name in bands)
        pixels = torch.from_numpy(np.stack([degrees[name] for name in bands]).astype(np.float32))
        return Image(
            pixels=pixels[None, None],
            valid=torch.from_numpy(known)[None, None],
            days=torch.tensor([[NO_DAY]], dtype=torch.int32),
            band_ids=torch.tensor([ids], dtype=torch.int32),
            gsd_m=1.0,
            common_ids=ids,
        )

    def _counts(self, sensor: str, frames: Sequence[Frame], span: Span) -> Counts:
        raster, layout = self.rasters[sensor], frames[0].layout
        read = [frame.read(span) for frame in frames]
        valid = np.stack([valid.reshape(-1) for _, valid in read])
        ids = tuple(band_id(f"{sensor}/{name}") for name in raster.bands)
        return Counts(
            stored=torch.from_numpy(np.stack([counts for counts, _ in read])[None]),
            known=None if valid.all() else torch.from_numpy(np.packbits(valid, axis=1)[None]),
            days=torch.tensor([[frame.day for frame in frames]], dtype=torch.int32),
            band_ids=torch.tensor([ids], dtype=torch.int32),
            gsd_m=raster.gsd_m,
            calibration=Calibration.of(layout.scale, layout.offset, decibel=layout.decibel),
            common_ids=ids,
        )


@lru_cache(8)
def _to_degrees(crs: str) -> Transformer:
    return Transformer.from_crs(crs, "EPSG:4326", always_xy=True)


def zones(rasters: Iterable[Raster], *, series: bool) -> list[Zone]:
    """The rasters by reference system, each on one grid.

    Args:
        rasters: of any sensors and dates.
        series: every day is a date of its own; else all are one mosaic, in which the earliest valid pixel counts.

    Raises:
        CorpusError: a raster says no position, or is rotated; two of a reference system are on different lattices; or
            no series is wanted and there are several dates of the same ground.
    """
    by_crs: dict[str, list[Raster]] = defaultdict(list)
    for raster in rasters:
        crs, _ = _position(raster)
        by_crs[crs].append(raster)
    return [_zone(crs, of_it, series=series) for crs, of_it in sorted(by_crs.items())]


def _position(raster: Raster) -> tuple[str, Affine]:
    if raster.crs is None or raster.transform is None:
        raise CorpusError(
            f"{raster.name} says no reference system, so nobody knows where its map would lie",
            where=raster.name,
            remedy="georeference it, such as by gdal_edit.py -a_srs EPSG:32631",
        )
    if raster.transform.b or raster.transform.d:
        raise CorpusError(
            f"{raster.name} is rotated against its reference system",
            where=raster.name,
            remedy="bring it onto a grid along the axes, such as by gdalwarp",
        )
    return raster.crs, raster.transform


def _zone(crs: str, rasters: list[Raster], *, series: bool) -> Zone:
    ordered = sorted(rasters, key=lambda one: (one.date is not None, one.date or dt.datetime.min, one.name))
    first = _position(ordered[0])[1]
    offsets = [_offset(ordered[0], first, one) for one in ordered]
    top, left = min(row for row, _ in offsets), min(column for _, column in offsets)
    placed = [_Placed(one, row - top, column - left) for one, (row, column) in zip(ordered, offsets, strict=True)]
    by_sensor: dict[str, list[_Placed]] = defaultdict(list)
    for one in placed:
        by_sensor[one.raster.sensor].append(one)
    return Zone(
        crs=crs,
        transform=first @ Affine.translation(left, top),
        height=max(one.row + one.raster.height for one in placed),
        width=max(one.column + one.raster.width for one in placed),
        frames={sensor: tuple(_frames(of_it, series=series)) for sensor, of_it in by_sensor.items()},
        name=crs.replace("EPSG:", "EPSG-"),
    )


def _offset(one: Raster, first: Affine, other: Raster) -> tuple[int, int]:
    """Row and column, in the first raster's grid, of the first pixel of another."""
    own = _position(other)[1]
    scale = max(abs(own.a / first.a - 1), abs(own.e / first.e - 1))
    column, row = (own.c - first.c) / first.a, (own.f - first.f) / first.e
    off = max(abs(column - round(column)), abs(row - round(row)))
    if scale > PIXEL_SIZE or off > LATTICE:
        sizes = f"pixels of {abs(first.a):g} and {abs(own.a):g}" if scale > PIXEL_SIZE else f"{off:.2f} pixels apart"
        raise CorpusError(
            f"{one.name} and {other.name} do not lie on one lattice: {sizes}",
            where=other.name,
            remedy="bring them onto one grid (gdalwarp -tr ... -tap), or map them one by one",
        )
    return round(row), round(column)


def _frames(placed: list[_Placed], *, series: bool) -> Iterator[Frame]:
    if not series:
        _refuse_series(placed)
        yield Frame(tuple(placed), _common_day(placed))
        return
    undated = [one for one in placed if one.raster.date is None]
    if undated and len(placed) > len(undated):
        raise CorpusError(
            f"{undated[0].raster.name} says no date, and others do: a series needs all of them",
            where=undated[0].raster.name,
            remedy="let the id expression of its images find the group `date`",
        )
    by_day: dict[int, list[_Placed]] = defaultdict(list)
    for one in placed:
        by_day[_day(one)].append(one)
    for day, of_it in sorted(by_day.items()):
        yield Frame(tuple(of_it), day)


def _refuse_series(placed: list[_Placed]) -> None:
    """Raise CorpusError where two rasters are the same ground at two dates, of which one date could not be chosen."""
    seen: dict[tuple[int, int, int, int], _Placed] = {}
    for one in placed:
        ground = (one.row, one.column, one.raster.height, one.raster.width)
        other = seen.setdefault(ground, one)
        if other is not one:
            days = sorted({str(each.raster.date or "no date") for each in placed})
            dated = any(each.raster.date is not None for each in placed)
            say = "say which date: --date 2020-06-01" if dated else "say by --source where an id has the group `date`"
            raise CorpusError(
                f"one date is mapped, and {other.raster.name} and {one.raster.name} show the same ground",
                where=", ".join(days[:6]) + (", ..." if len(days) > 6 else ""),
                remedy=f"{say}; or leave one of the files out",
            )


def _day(placed: _Placed) -> int:
    date = placed.raster.date
    return NO_DAY if date is None else (date.date() - EPOCH).days


def _common_day(placed: list[_Placed]) -> int:
    days = {_day(one) for one in placed}
    return days.pop() if len(days) == 1 else NO_DAY


def on_day(rasters: Sequence[Raster], date: dt.date) -> list[Raster]:
    """The rasters of one day.

    Raises:
        CorpusError: there is none; the message names the days.
    """
    chosen = [one for one in rasters if one.date is not None and one.date.date() == date]
    if not chosen:
        days = sorted({str(one.date.date()) for one in rasters if one.date is not None})
        raise CorpusError(f"nothing is of {date}", remedy=f"there is {', '.join(days) or 'no date at all'}")
    return chosen
