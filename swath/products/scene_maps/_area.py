"""The area that a map is cut to: the polygons of a vector file."""

from collections.abc import Iterator
from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely
from jaxtyping import Int
from numpy import ndarray

from swath._progress import console
from swath.corpus.ground import vector
from swath.errors import CorpusError
from swath.products.windows import Zone

POLYGONS = [shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON]


def area_of(path: Path, zones: list[Zone]) -> list[shapely.STRtree | None]:
    """The polygons of a file in the reference system of each zone, by where they lie; None where they do not reach.

    Polygons that cross themselves are mended, and it is said how many; so it is of those outside of all zones, and of
    points, lines and empty shapes.

    Raises:
        CorpusError: the file cannot be read or says no reference system, it holds no polygon, or none of them lies in
            a zone.
    """
    kept: list[list[ndarray]] = [[np.empty(0, object)] for _ in zones]
    kinds: set[str] = set()
    total = polygons = broken = reached = 0
    for _, shapes in vector.parts(path, "--clip", columns=False):
        geometries = shapes.geometry.to_numpy()
        has_area = np.isin(shapely.get_type_id(geometries), POLYGONS) & ~shapely.is_empty(geometries)
        kinds |= {"nothing" if one is None else one.geom_type for one in geometries[~has_area]}
        own = geometries[has_area]
        crossed = ~shapely.is_valid(own)
        own[crossed] = vector.mended(own[crossed])
        here = np.zeros(len(own), bool)
        for number, inside, at in _meeting(gpd.GeoDataFrame(geometry=own, crs=shapes.crs), zones):
            kept[number].append(inside)
            here[at] = True
        total, polygons = total + len(shapes), polygons + len(own)
        broken, reached = broken + int(crossed.sum()), reached + int(here.sum())
    if not polygons:
        said = ", ".join(sorted(kinds))
        raise CorpusError(f"it holds no polygon, but {said}", where=f"{path}, for --clip", remedy="give polygons")
    if not reached:
        raise CorpusError(
            "none of its polygons lies in the input",
            where=f"{path}, for --clip",
            remedy=f"the input covers {', '.join(f'{_shown(zone)} in {zone.crs}' for zone in zones)}",
        )
    for count, what in (
        (total - polygons, "no polygons, and left out"),
        (broken, "polygons that cross themselves, and mended"),
        (polygons - reached, "polygons out of the input"),
    ):
        if count:
            console().print(f"{count} of the {total} shapes of {path.name} are {what}", soft_wrap=True)
    joined = [np.concatenate(of_zone) for of_zone in kept]
    return [shapely.STRtree(parts) if len(parts) else None for parts in joined]


def _meeting(shapes: gpd.GeoDataFrame, zones: list[Zone]) -> Iterator[tuple[int, ndarray, Int[ndarray, " m"]]]:
    """Number of a zone, the polygons that meet it, in its reference system one by one, and positions of the shapes."""
    boxes, systems = shapely.box(*np.array([_bounds(zone) for zone in zones]).T), [zone.crs for zone in zones]
    for crs in dict.fromkeys(systems):
        numbers = np.array([number for number, one in enumerate(systems) if one == crs])
        west, south, east, north = shapely.total_bounds(boxes[numbers]).tolist()
        at = np.flatnonzero(vector.near(shapes, crs, (west, south, east, north)))
        own = vector.moved(gpd.GeoDataFrame(shapes.iloc[at]), crs, (west, south, east, north))
        known = np.isfinite(shapely.bounds(own)).all(axis=1)
        at, own = at[known], own[known]
        zone, which = shapely.STRtree(own).query(boxes[numbers], predicate="intersects")
        for k, number in enumerate(numbers.tolist()):
            mine = np.sort(which[zone == k])
            parts = shapely.get_parts(shapely.get_parts(own[mine]))
            # cutting leaves lines along the cut, and a line would count as the pixels that it crosses
            yield number, parts[np.isin(shapely.get_type_id(parts), POLYGONS)], at[mine]


def _bounds(zone: Zone) -> tuple[float, float, float, float]:
    """West, south, east and north in native coordinates."""
    t = zone.transform
    xs, ys = sorted((t.c, t.c + t.a * zone.width)), sorted((t.f, t.f + t.e * zone.height))
    return xs[0], ys[0], xs[1], ys[1]


def _shown(zone: Zone) -> str:
    return " ".join(f"{value:,.6g}" for value in _bounds(zone))
