"""Where the rows of an index lie on the page: on the ground, or, where no coordinates are known, by their vectors."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import shapely
from jaxtyping import Float, Float32
from numpy import ndarray

from swath.products.search import Index

TURN = 360
SAMPLE = 20_000
"""Rows, evenly spread, on which statistics of an index are computed where it has more."""


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Positions of all rows."""

    kind: Literal["ground", "components"]
    xy: Float[ndarray, "n 2"]
    """Longitude and latitude of the middle, NaN where unknown; or the first two principal components. Of locations on
    both sides of the antimeridian longitudes go on beyond 180, so that they lie side by side."""
    boxes: Float32[ndarray, "n 4"]
    """West, south, east and north of the footprint; NaN where unknown, and of components."""

    @property
    def lonlat(self) -> Float[ndarray, "n 2"]:
        """On the ground: longitude from -180 to 180, and latitude."""
        lon, lat = self.xy.T
        return np.column_stack([np.where(lon > TURN / 2, lon - TURN, lon), lat])


def layout_of(index: Index) -> Layout:
    """Lay an index out: on the ground, unless no row has coordinates."""
    shapes = index.table.geometry.to_numpy()
    if shapely.is_missing(shapes).all():
        return Layout("components", _components(index), np.full((len(index), 4), np.nan, np.float32))
    middles = shapely.centroid(shapes)
    xy = np.column_stack([shapely.get_x(middles), shapely.get_y(middles)])
    bounds = shapely.bounds(shapes)
    # a footprint across the antimeridian has a part on either side, and its box would span the globe
    split = bounds[:, 2] - bounds[:, 0] > 180
    for row in np.flatnonzero(split):
        largest = max(shapely.get_parts(shapes[row]), key=shapely.area)
        xy[row], bounds[row] = largest.centroid.coords[0], largest.bounds
    if _meets_across(xy[:, 0]):
        east = xy[:, 0] < 0
        xy[east, 0] += TURN
        bounds[east, 0::2] += TURN
    return Layout("ground", xy, bounds.astype(np.float32))


def _meets_across(lon: Float[ndarray, " n"]) -> bool:
    """Whether all longitudes lie within half a turn across the antimeridian, and in no other way."""
    known = lon[np.isfinite(lon)]
    return len(known) > 0 and bool(np.ptp(known) > TURN / 2 > np.ptp(known % TURN))


def sample_of(index: Index) -> Float32[ndarray, "m d"]:
    """Vectors of all rows, or of `SAMPLE` of them where there are more."""
    rows = np.arange(len(index))
    if len(index) > SAMPLE:
        rows = np.linspace(0, len(index) - 1, SAMPLE).astype(np.int64)
    return index.stored.decode(rows)


def _components(index: Index) -> Float[ndarray, "n 2"]:
    sample = sample_of(index).astype(np.float64)
    mean = sample.mean(axis=0)
    _, axes = np.linalg.eigh(np.cov(sample - mean, rowvar=False).reshape(sample.shape[1], -1))
    first = axes[:, ::-1][:, :2]
    found = np.concatenate([(index.stored.decode(rows) - mean) @ first for rows in blocks(len(index))])
    return np.pad(found, ((0, 0), (0, 2 - found.shape[1])))


def blocks(count: int, size: int = 2048) -> list[slice]:
    """Consecutive rows, so many at a time that a core's cache holds their vectors."""
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]
