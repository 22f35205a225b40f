"""Regions on the globe: which points lie inside, and points drawn from them true to area."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from jaxtyping import Bool, Float
from numpy import ndarray

from swath.corpus.ground import vector
from swath.corpus.ground.utm import NORTH, SOUTH
from swath.corpus.places._files import shapes
from swath.errors import CorpusError

GLOBE = (-180.0, SOUTH, 180.0, NORTH)


@dataclass(frozen=True, slots=True, eq=False)
class Area:
    """Disjoint polygons in WGS 84, none across the antimeridian."""

    parts: tuple[shapely.Polygon, ...]

    def contains(self, lon: Float[ndarray, " n"], lat: Float[ndarray, " n"]) -> Bool[ndarray, " n"]:
        """True for the points that lie inside."""
        points = np.asarray(shapely.points(lon, lat))
        inside = np.zeros(len(lon), bool)
        inside[shapely.STRtree(points).query(list(self.parts), predicate="intersects")[1]] = True
        return inside

    def draw(self, count: int, rng: np.random.Generator) -> tuple[Float[ndarray, " n"], Float[ndarray, " n"]]:
        """About `count` points inside, uniform on the sphere: drawn from the polygons' boxes, those outside dropped.

        Longitude is uniform and so is the sine of latitude (Archimedes), so no pole is crowded.
        """
        bounds = shapely.bounds(list(self.parts))
        west, south, east, north = bounds.T
        low, high = np.sin(np.radians(south)), np.sin(np.radians(north))
        weight = (east - west) * (high - low)
        box = rng.choice(len(bounds), count, p=weight / weight.sum())
        lon = west[box] + rng.random(count) * (east - west)[box]
        lat = np.degrees(np.arcsin(low[box] + rng.random(count) * (high - low)[box]))
        inside = np.zeros(count, bool)
        for part in np.unique(box):
            rows = box == part
            inside[rows] = shapely.contains_xy(self.parts[part], lon[rows], lat[rows])
        return lon[inside], lat[inside]


def area(given: Path | Sequence[float] | None, key: str = "area") -> Area:
    """The region that a setting means; the whole globe as far as UTM covers it if the setting is None.

    Raises:
        CorpusError: a file without polygons, or a box that is none.
    """
    if isinstance(given, Path):
        outlines = shapes(given, key)
        polygons = shapely.get_parts(shapely.union_all(vector.mended(outlines.geometry.to_numpy())))
        polygons = [one for one in polygons if isinstance(one, shapely.Polygon)]
        if not polygons:
            raise CorpusError("it holds no polygon", where=f"{given}, for {key}", remedy="give a file of polygons")
    else:
        polygons = _boxes(tuple(given or GLOBE), key)
    for polygon in polygons:
        shapely.prepare(polygon)
    return Area(tuple(polygons))


def _boxes(box: tuple[float, ...], key: str) -> list[shapely.Polygon]:
    west, south, east, north = box
    if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south < north <= 90 and west != east):
        raise CorpusError(
            f"{list(box)} is no box of degrees",
            where=key,
            remedy="give west, south, east, north, such as [5, 47, 15, 55]",
        )
    if west < east:
        return [shapely.box(west, south, east, north)]
    return [shapely.box(west, south, 180, north), shapely.box(-180, south, east, north)]
