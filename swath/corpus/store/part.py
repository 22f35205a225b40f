"""What a source hands to the writer, and the checks that this must pass."""

import datetime as dt
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from affine import Affine
from jaxtyping import Bool, Integer, Shaped
from numpy import ndarray
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer
from shapely.affinity import translate
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from swath.corpus.store.codes import codes_of_map
from swath.corpus.store.format import CorpusInfo, SensorLayout
from swath.corpus.store.index import LOCATION_COLUMNS
from swath.errors import UNPRINTABLE, CorpusError, nearest

LONGEST_ID = 500
"""Most characters of a location's id."""
EXACT = 2**53
"""Whole numbers up to this are exact as floating-point numbers."""
KINDS = {bool: "true or false", (int, float): "a number", str: "text"}
"""Types that a scalar label may have, in words; `bool` comes first because Python counts it among whole numbers."""
HALF = 180
"""Longitude of the antimeridian in degrees."""


@dataclass(frozen=True, slots=True)
class Location:
    """A fixed footprint on the ground."""

    uid: str
    """Id, unique within the corpus."""
    lonlat: tuple[float, float] | None = None
    """Centre in degrees, WGS 84; by default that of the footprint."""
    footprint: BaseGeometry | None = None
    """Outline in WGS 84; by default computed from `crs` and `transform`."""
    crs: str | None = None
    """Native reference system, such as `EPSG:32631`."""
    transform: tuple[float, float, float, float, float, float] | None = None
    """Pixel (column, row) corners to native coordinates: the six numbers a, b, c, d, e, f of an affine transform,
    for the chips with the finest pixels."""
    group: str | None = None
    """Name shared by locations that must stay on the same side of a split, such as adjacent chips; by default
    the uid."""
    split: str | None = None
    """The provider's split, such as `train`, `val` or `test`."""
    scalars: dict[str, float | int | str | bool | None] = field(default_factory=dict)
    """Scalar labels by name."""


@dataclass(frozen=True, slots=True, eq=False)
class Chip:
    """The pixels of one location, one sensor and one acquisition."""

    uid: str
    """Id of the location."""
    sensor: str
    pixels: Shaped[ndarray, "c y x"]
    """Counts as the provider stores them, bands in the order of the sensor's layout."""
    valid: Bool[ndarray, "rows columns"] | None = None
    """False where a pixel must not be used. Nodata and NaN need not be marked: the writer recognises them."""
    datetime: dt.datetime | None = None
    """Acquisition time; without a time zone it is taken as UTC."""
    tag: str | None = None
    """Name of the date where dates are unknown, such as `before` and `after`."""
    cloud: float | None = None
    """Share of cloudy pixels, 0 to 1."""
    source: str = ""
    """Name of the provider's item or file."""
    orbit: str | None = None
    """Pass or relative orbit, such as `ascending`."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Whole locations with all of their chips and labels, committed at once."""

    locations: list[Location]
    chips: list[Chip]
    labels: dict[str, Integer[ndarray, "n y x"]] = field(default_factory=dict)
    """Class codes by layer, one map per location; a layer that is left out is void everywhere."""


def footprint(crs: str, transform: tuple[float, ...], px: int) -> Polygon | MultiPolygon:
    """Outline of a chip of `px` by `px` pixels in WGS 84, degrees; in two parts across the antimeridian.

    Raises:
        CorpusError: it lies nowhere on Earth.
    """
    native = GeoBox((px, px), Affine(*transform), crs).extent.geom
    outline = gpd.GeoSeries([native], crs=crs).to_crs("EPSG:4326").iloc[0]
    if not np.abs(outline.bounds).max() < 3 * HALF:
        raise CorpusError(
            f"a chip at {transform[2]:g}, {transform[5]:g} in {crs} lies nowhere on Earth",
            where="the georeference of its image",
            remedy="mend the reference system or the position: metres may have been taken for degrees",
        )
    if _width(outline) > HALF and (not CRS(crs).is_geographic or _width(native) <= HALF):
        # corners on both sides of the antimeridian: those in the west lie beyond 180
        outline = shapely.transform(outline, lambda xy: np.column_stack([xy[:, 0] % 360, xy[:, 1]]))
        if _width(outline) > HALF:  # around a pole: all that is as near to it as the farthest corner
            _, south, _, north = outline.bounds
            return shapely.box(-HALF, -90, HALF, north) if south < 0 else shapely.box(-HALF, south, HALF, 90)
    return split_at_antimeridian(outline)


def _width(outline: BaseGeometry) -> float:
    return outline.bounds[2] - outline.bounds[0]


def split_at_antimeridian(outline: Polygon) -> Polygon | MultiPolygon:
    """An outline with all longitudes between -180 and 180 degrees."""
    if outline.bounds[0] >= -HALF and outline.bounds[2] <= HALF:
        return outline
    turns = (translate(outline, 360 * k).intersection(shapely.box(-HALF, -90, HALF, 90)) for k in (-1, 0, 1))
    parts = [part for part in turns if isinstance(part, Polygon) and not part.is_empty]
    return parts[0] if len(parts) == 1 else MultiPolygon(parts)


def _centre(crs: str, transform: tuple[float, ...], px: int) -> tuple[float, float]:
    """Longitude and latitude of a chip's centre."""
    x, y = Affine(*transform) @ (px / 2, px / 2)
    lon, lat = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(x, y)
    return (lon + HALF) % 360 - HALF, lat


def location_record(location: Location, px: int, digest: str) -> dict[str, Any]:
    """The location as a row of the index, completed by what follows from its other fields."""
    outline = location.footprint
    if outline is None and location.crs and location.transform:
        outline = footprint(location.crs, location.transform, px)
    centre = location.lonlat
    if centre is None and outline is not None:
        centre = (outline.centroid.x, outline.centroid.y)
        if _width(outline) > HALF and location.crs and location.transform:
            # the centroid of two parts at both ends of the world lies in neither
            centre = _centre(location.crs, location.transform, px)
    lon, lat = centre or (np.nan, np.nan)
    return {
        "uid": location.uid,
        "geometry": outline,
        "crs": location.crs,
        "transform": None if location.transform is None else [float(number) for number in location.transform],
        "group": location.group or location.uid,
        "split": location.split,
        "lon": lon,
        "lat": lat,
        "digest": digest,
        **{name: _plain(value) for name, value in location.scalars.items()},
    }


def _plain(value: Any) -> Any:
    """A scalar label as a plain Python value; dates become text."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is pd.NA or value is pd.NaT:
        return None
    return value.isoformat() if isinstance(value, dt.date) else value


def scalar_kinds(locations: Iterable[Location], known: Mapping[str, str]) -> dict[str, str]:
    """Type of each scalar label, in words: text, number, or true or false.

    Args:
        locations: new ones.
        known: what the labels of the locations before them are.

    Raises:
        CorpusError: a label is something else, or not the same in all locations: a column of a table has one type.
    """
    kinds = dict(known)
    for location in locations:
        for name, value in location.scalars.items():
            try:
                kind = kind_of(value)
            except ValueError as error:
                raise CorpusError(
                    f"the scalar label {name!r} {error}", where=location.uid, remedy="give it as text"
                ) from None
            if kind is not None and kinds.setdefault(name, kind) != kind:
                raise CorpusError(
                    f"the scalar label {name!r} is {kind} ({_plain(value)!r}), and {kinds[name]} in locations before",
                    where=location.uid,
                    remedy="give one type in all locations, such as text",
                )
    return kinds


def kind_of(value: Any) -> str | None:
    """Type of a scalar label in words; None for a missing one. Raises ValueError, whose text continues the
    label's name.
    """
    value = _plain(value)
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return None
    if isinstance(value, int) and abs(value) > EXACT:
        raise ValueError(f"is {value}, which a column with missing values would round")
    for types, kind in KINDS.items():
        if isinstance(value, types):
            return kind
    raise ValueError(f"is of type {type(value).__name__}, not text, a number, or true or false")


def usable(chip: Chip, layout: SensorLayout) -> Bool[ndarray, "y x"]:
    """True where the source says so, and every band holds a finite physical value that is not nodata."""
    good = layout.usable(chip.pixels)
    return good if chip.valid is None else good & chip.valid


def check_part(part: Part, info: CorpusInfo, committed: Collection[str]) -> None:
    """Raise CorpusError unless the part can be stored in this corpus."""
    for location in part.locations:
        _check_names(location)
    _check_locations(part.locations, committed)
    uids = {location.uid for location in part.locations}
    for chip in part.chips:
        _check_chip(chip, info, uids)
    for name, codes in part.labels.items():
        _check_labels(name, codes, part, info)
    for name, layer in info.labels.items():
        if name not in part.labels and layer.void is None:
            raise CorpusError(
                f"the part has no labels {name!r}, and the layer has no void code",
                where=_named(part.locations),
                remedy="give the labels, or declare a void code",
            )


def _check_names(location: Location) -> None:
    """Raise unless an id is a few words of text: it names files and stands in tables, and Parquet takes UTF-8 only."""
    given = {"id": location.uid, "group": location.group, "split": location.split}
    texts = {part: text for part, text in given.items() if text is not None}
    scalars = {f"scalar label {name!r}": text for name, text in location.scalars.items() if isinstance(text, str)}
    for part, text in {**texts, **scalars}.items():
        if not isinstance(text, str):
            raise CorpusError(
                f"the {part} of a location is {text!r}, not text",
                where=str(location.uid),
                remedy=f"give text: str({part})",
            )
        if UNPRINTABLE.search(text) or (part == "id" and not 0 < len(text) <= LONGEST_ID):
            raise CorpusError(
                f"the {part} of a location cannot be {text[:60]!r}",
                where=repr(location.uid[:60])[1:-1],
                remedy=f"give text in UTF-8 without control characters; an id has 1 to {LONGEST_ID} characters",
            )


def _check_locations(locations: list[Location], committed: Collection[str]) -> None:
    for uid, count in Counter(location.uid for location in locations).items():
        if count > 1 or uid in committed:
            raise CorpusError(
                f"two locations have the id {uid!r}", where=uid, remedy="make ids unique: one per place on the ground"
            )
    reserved = {*LOCATION_COLUMNS, "geometry"}
    for location in locations:
        if taken := reserved & location.scalars.keys():
            raise CorpusError(
                f"{min(taken)!r} cannot be the name of a scalar label", where=location.uid, remedy="rename it"
            )


def _check_chip(chip: Chip, info: CorpusInfo, uids: set[str]) -> None:
    where = f"{chip.uid} {chip.sensor} {chip.source}".strip()
    if UNPRINTABLE.search(text := " ".join((chip.source, chip.tag or "", chip.orbit or ""))):
        raise CorpusError(
            f"the source, tag or orbit of a chip is no plain text: {text[:100]!r}",
            where=repr(where[:100])[1:-1],
            remedy="rename the file: UTF-8 without control characters",
        )
    if chip.uid not in uids:
        raise CorpusError(f"a chip of {chip.uid!r} came without its location", where=where, remedy="add it to the part")
    if chip.sensor not in info.sensors:
        raise CorpusError(
            f"the corpus has no sensor {chip.sensor!r}", where=where, remedy=nearest(chip.sensor, info.sensors)
        )
    layout = info.sensors[chip.sensor]
    expected = (len(layout.bands), info.chip_px, info.chip_px)
    if chip.pixels.shape != expected:
        raise CorpusError(
            f"the pixels have shape (bands, y, x) = {chip.pixels.shape}, the corpus holds {expected}",
            where=where,
            remedy=f"give bands {', '.join(layout.bands)} and {info.chip_px} px chips, or declare others",
        )
    if chip.pixels.dtype != layout.dtype:
        raise CorpusError(
            f"the pixels are {chip.pixels.dtype}, the corpus holds {layout.dtype}",
            where=where,
            remedy=f"declare dtype {chip.pixels.dtype} for {chip.sensor}, or convert the file",
        )
    if chip.valid is not None and chip.valid.shape != expected[1:]:
        raise CorpusError(f"the validity mask has shape {chip.valid.shape}, the pixels {expected[1:]}", where=where)


def _check_labels(name: str, codes: ndarray, part: Part, info: CorpusInfo) -> None:
    where = f"label layer {name}"
    if name not in info.labels:
        raise CorpusError(f"the corpus has no label layer {name!r}", remedy=nearest(name, info.labels))
    expected = (len(part.locations), info.chip_px, info.chip_px)
    if codes.shape != expected:
        raise CorpusError(
            f"the labels have shape {codes.shape}, the part {expected}",
            where=f"{where}, {_named(part.locations)}",
            remedy="a mask must cover the same pixels as its image",
        )
    if codes.dtype.kind not in "iu":
        raise CorpusError(f"the labels are {codes.dtype}, not whole numbers", where=where, remedy="give class codes")
    declared, void = info.labels[name].codes, info.labels[name].void
    for location, one in zip(part.locations, codes, strict=True):
        try:
            codes_of_map(one, declared, void)
        except ValueError as error:
            raise CorpusError(
                f"the label map {error}",
                where=f"{where}, {location.uid}",
                remedy="declare the code as a class or as void, or mend the map",
            ) from None


def _named(locations: list[Location]) -> str:
    names = [location.uid for location in locations[:3]]
    return ", ".join(names) + (", …" if len(locations) > 3 else "")
