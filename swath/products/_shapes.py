"""Tables of shapes as a GeoPackage, whole or not at all; and the boxes around shapes that catalogues are told."""

import tempfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import shapely
from jaxtyping import Shaped
from numpy import ndarray
from shapely.geometry.base import BaseGeometry

from swath._files import named, publish

HALF = 180.0
NEAR = 1.0
"""Degrees of longitude from the antimeridian within which shapes on both sides of it are beside each other."""


def box_around(shapes: Shaped[ndarray, " n"]) -> list[float]:
    """West, south, east and north of shapes in WGS 84, some of which may be None.

    As GeoJSON and STAC have it, west is the larger one where they lie on both sides of the antimeridian, and on less
    than half of the globe.
    """
    bounds = shapely.bounds(shapely.get_parts(shapes[~shapely.is_missing(shapes)]))
    bounds = bounds[np.argsort(bounds[:, 0], kind="stable")]
    (west, south), (east, north) = bounds[:, :2].min(axis=0).tolist(), bounds[:, 2:].max(axis=0).tolist()
    reached = np.maximum.accumulate(bounds[:, 2])
    gaps = bounds[1:, 0] - reached[:-1]
    if east < HALF - NEAR or west > NEAR - HALF or not (gaps > HALF).any():
        return [west, south, east, north]
    widest = int(gaps.argmax())
    return [float(bounds[widest + 1, 0]), south, float(reached[widest]), north]


def outline_of(box: list[float]) -> BaseGeometry:
    """The area of a box of degrees: two polygons where it lies across the antimeridian."""
    west, south, east, north = box
    if west <= east:
        return shapely.box(west, south, east, north)
    return shapely.union(shapely.box(west, south, 180, north), shapely.box(-180, south, east, north))


def write_geopackage(table: gpd.GeoDataFrame, path: Path) -> None:
    """Write a table of shapes as the only layer of a GeoPackage, called like the file; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with named(path), tempfile.TemporaryDirectory(dir=path.parent, prefix=".swath-") as folder:
        fresh = Path(folder) / "shapes.gpkg"
        pyogrio.write_dataframe(table, fresh, layer=path.stem, driver="GPKG")
        publish(fresh, path)
