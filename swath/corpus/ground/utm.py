"""Locations on the UTM grid: zones, chips snapped to a provider's pixel grid, and their outlines in WGS 84."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import shapely
from jaxtyping import Bool, Float, Int, Shaped
from numpy import ndarray
from pyproj import Transformer
from shapely.geometry.base import BaseGeometry

SOUTH, NORTH = -80.0, 84.0
"""Latitudes between which UTM is defined; the poles have other projections."""
METRES_PER_DEGREE = 111_320.0
"""Metres in a degree of latitude, about."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """The square that a chip covers, and the pixel grid that its corners lie on."""

    px: int
    """Width and height in pixels."""
    gsd_m: float
    """Size of a pixel, in metres."""
    step_m: float | None = None
    """Corners lie on multiples of this many metres, so that coarser bands need no resampling; by default one pixel."""
    anchor_m: float = 0.0
    """Coordinate of a pixel edge of the provider's grid, in metres: Landsat's edges lie 15 m off the multiples of 30.
    """

    @property
    def side_m(self) -> float:
        """Width and height, in metres."""
        return self.px * self.gsd_m


def zone(lon: Float[ndarray, " n"], lat: Float[ndarray, " n"]) -> Int[ndarray, " n"]:
    """EPSG codes of the UTM zones, with the exceptions of Norway (32V) and Svalbard (31X to 37X)."""
    number = np.floor((lon + 180) / 6).astype(np.int64) % 60 + 1
    number = np.where((lat >= 56) & (lat < 64) & (lon >= 3) & (lon < 12), 32, number)
    svalbard = (lat >= 72) & (lon >= 0) & (lon < 42)
    number = np.where(svalbard, np.select([lon < 9, lon < 21, lon < 33], [31, 33, 35], 37), number)
    return np.where(lat >= 0, 32600, 32700) + number


@cache
def from_degrees(epsg: int) -> Transformer:
    """A transformer from longitude and latitude to a zone's metres."""
    return Transformer.from_crs(4326, epsg, always_xy=True)


@cache
def between(source: int, target: int) -> Transformer:
    """A transformer from one zone's metres to another's."""
    return Transformer.from_crs(source, target, always_xy=True)


def project(
    lon: Float[ndarray, " n"], lat: Float[ndarray, " n"], epsg: Int[ndarray, " n"]
) -> tuple[Float[ndarray, " n"], Float[ndarray, " n"]]:
    """Easting and northing in metres of points, each in its own zone.

    Args:
        lon: degrees.
        lat: degrees.
        epsg: EPSG code of each point's zone.
    """
    return _by_zone(epsg, lambda code, rows: from_degrees(code).transform(lon[rows], lat[rows]))


def unproject(
    x: Float[ndarray, " n"], y: Float[ndarray, " n"], epsg: Int[ndarray, " n"]
) -> tuple[Float[ndarray, " n"], Float[ndarray, " n"]]:
    """Longitude and latitude in degrees of points, each in its own zone.

    Args:
        x: easting in metres.
        y: northing in metres.
        epsg: EPSG code of each point's zone.
    """
    return _by_zone(epsg, lambda code, rows: from_degrees(code).transform(x[rows], y[rows], direction="INVERSE"))


def _by_zone(epsg: Int[ndarray, " n"], transform) -> tuple[Float[ndarray, " n"], Float[ndarray, " n"]]:
    first, second = np.empty(len(epsg)), np.empty(len(epsg))
    order = np.argsort(epsg, kind="stable")
    codes, starts = np.unique(epsg[order], return_index=True)
    for code, rows in zip(codes, np.split(order, starts[1:]), strict=True):
        first[rows], second[rows] = transform(int(code), rows)
    return first, second


def snapped(
    x: Float[ndarray, " n"], y: Float[ndarray, " n"], footprint: Footprint
) -> tuple[Float[ndarray, " n"], Float[ndarray, " n"]]:
    """West and north edges in metres of the chips centred nearest to these points, on the provider's grid.

    Args:
        x: easting in metres.
        y: northing in metres.
        footprint: size of a chip and the grid that its corners lie on.
    """
    step = footprint.step_m or footprint.gsd_m
    half = footprint.side_m / 2
    west = np.round((x - half - footprint.anchor_m) / step) * step + footprint.anchor_m
    north = np.round((y + half - footprint.anchor_m) / step) * step + footprint.anchor_m
    return west, north


def outlines(
    west: Float[ndarray, " n"], north: Float[ndarray, " n"], side_m: float, epsg: Int[ndarray, " n"]
) -> Shaped[ndarray, " n"]:
    """Outlines of squares in WGS 84; one that crosses the antimeridian is two polygons.

    Args:
        west: easting of the west edges in metres.
        north: northing of the north edges in metres.
        side_m: width and height in metres.
        epsg: EPSG code of each square's zone.
    """
    x = west[:, None] + np.array([0, side_m, side_m, 0])
    y = north[:, None] - np.array([0, 0, side_m, side_m])
    lon, lat = unproject(x.ravel(), y.ravel(), np.repeat(epsg, 4))
    lon, lat = lon.reshape(-1, 4), lat.reshape(-1, 4)
    crossing = _crosses(lon)
    lon[crossing] %= 360
    polygons = np.asarray(shapely.polygons(np.stack([lon, lat], axis=-1)))
    polygons[crossing] = [_halves(polygon) for polygon in polygons[crossing]]
    return polygons


def _crosses(lon: Float[ndarray, "n 4"]) -> Bool[ndarray, " n"]:
    return np.ptp(lon, axis=1) > 180


def _halves(polygon: shapely.Polygon) -> BaseGeometry:
    """The parts of a polygon on both sides of 180 degrees, given in longitudes from 0 to 360."""
    west = shapely.clip_by_rect(polygon, 0, -90, 180, 90)
    east = shapely.transform(shapely.clip_by_rect(polygon, 180, -90, 360, 90), lambda points: points - [360, 0])
    return shapely.union(west, east)
