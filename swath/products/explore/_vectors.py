"""Labels from vector files, and labels as one: points and polygons with a column of classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from jaxtyping import Float, Int, Shaped
from numpy import ndarray

from swath.corpus.ground import utm, vector
from swath.errors import CorpusError, nearest
from swath.products._shapes import write_geopackage
from swath.products.explore._labels import tidy

COLUMN = "class"
"""Name of the column of classes where none is said."""
NAMES = "swath_row"
"""Column of names of rows in files that swath wrote: these need no geometry to be found again."""
POINTS, POLYGONS = {"Point", "MultiPoint"}, {"Polygon", "MultiPolygon"}
SHOWN = 5


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """Where the rows of an index lie."""

    names: Mapping[str, int]
    """The row of each name."""
    footprints: Shaped[ndarray, " n"]
    """In WGS 84, missing where unknown."""
    middles: Float[ndarray, "n 2"]
    """Longitude and latitude, NaN where unknown."""
    side_m: float
    """How wide a footprint is of which the middle alone is known."""


def read_labels(
    path: Path, ground: Ground, column: str | None, key: str = "--open"
) -> tuple[list[tuple[str, Int[ndarray, " _"]]], list[str]]:
    """Classes and their rows from a vector file, and what is said of shapes that say nothing.

    A polygon is said of all rows whose middle lies inside, a point of those whose footprint holds it.

    Args:
        path: GeoPackage, GeoJSON, Shapefile, FlatGeobuf, GeoParquet or CSV of points or polygons.
        ground: of the index.
        column: that holds the classes; `class`, or the only one of texts, if not given.
        key: option that named it, for messages.

    Raises:
        CorpusError: it cannot be read, has no such column, holds lines, or says nothing of the index.
    """
    shapes = gpd.GeoDataFrame(vector.read(path, key))
    shapes.index = pd.RangeIndex(1, len(shapes) + 1)
    classes = shapes[_column(shapes, column, f"{path}, for {key}")].map(_name)
    notes = list[str]()
    by_name = NAMES in shapes
    unsaid = classes.eq("").to_numpy(bool)
    silent = unsaid if by_name else _unusable(shapes, unsaid, f"{path}, for {key}", notes)
    if unsaid.any():
        notes.append(_counted(shapes.index[unsaid], "without a class"))
    said = gpd.GeoDataFrame(shapes[~silent])
    pairs = _by_name(said, ground) if by_name else _by_place(said, ground)
    outside = said.index[~said.index.isin(pairs["shape"].to_numpy())]
    if len(outside):
        notes.append(_counted(outside, "where no location lies"))
    pairs["class"] = classes.loc[pairs["shape"]].to_numpy()
    pairs = pairs.drop_duplicates(["row", "class"])
    torn = pairs.duplicated("row", keep=False)
    if several := len(np.unique(pairs["row"].to_numpy()[torn])):
        notes.append(f"{several:,} locations lie in shapes of several classes, and get none")
    kept = pairs[~torn]
    if kept.empty:
        raise CorpusError(
            f"it says the class of no location: {'; '.join(notes) or 'all lie elsewhere'}",
            where=f"{path}, for {key}",
            remedy="give shapes where the index has locations",
        )
    found = {str(name): np.sort(rows.to_numpy(np.int64)) for name, rows in kept.groupby("class")["row"]}
    return sorted(found.items()), notes


def _column(shapes: gpd.GeoDataFrame, column: str | None, where: str) -> str:
    columns = [str(name) for name in shapes.columns if name != shapes.geometry.name]
    texts = [name for name in columns if pd.api.types.is_string_dtype(shapes[name])]
    chosen = column or (COLUMN if COLUMN in columns else texts[0] if len(texts) == 1 else None)
    if chosen is None:
        raise CorpusError(
            "nobody says which column holds the classes",
            where=where,
            remedy=f"say it: --column; there are {', '.join(columns) or 'none'}",
        )
    if chosen not in columns:
        raise CorpusError(f"it has no column {chosen!r}", where=where, remedy=nearest(chosen, columns))
    return chosen


def _name(value: object) -> str:
    """A class as text; nothing of what is missing, and no decimals of a whole number."""
    if value is None or value is pd.NA or value != value:
        return ""
    return tidy(str(int(value) if isinstance(value, float) and value.is_integer() else value))


def _unusable(
    shapes: gpd.GeoDataFrame, unsaid: Shaped[ndarray, " s"], where: str, notes: list[str]
) -> Shaped[ndarray, " s"]:
    """Which shapes say nothing; those that are empty or cross themselves are counted."""
    given = shapes.geometry
    empty = (given.isna() | given.is_empty).to_numpy(bool)
    other = ~empty & ~given.geom_type.isin(POINTS | POLYGONS).to_numpy(bool)
    if other.any():
        number = int(other.argmax())
        raise CorpusError(
            f"shape {number + 1} is a {given.iloc[number].geom_type}, neither point nor polygon",
            where=where,
            remedy="give points or polygons",
        )
    broken = ~empty & ~given.is_valid.to_numpy(bool)
    for what, why in ((empty, "that are empty"), (broken, "that cross themselves")):
        if what.any():
            notes.append(_counted(shapes.index[what], why))
    return empty | broken | unsaid


def _counted(numbers: Sequence[int] | pd.Index, why: str) -> str:
    shown = ", ".join(map(str, list(numbers)[:SHOWN])) + (", …" if len(numbers) > SHOWN else "")
    return f"{len(numbers):,} shapes are left out {why}: number {shown}"


def _by_name(shapes: gpd.GeoDataFrame, ground: Ground) -> pd.DataFrame:
    names = zip(shapes.index, shapes[NAMES].astype(str), strict=True)
    found = [(shape, ground.names[name]) for shape, name in names if name in ground.names]
    return pd.DataFrame(found, columns=["shape", "row"], dtype=np.int64)


def _by_place(shapes: gpd.GeoDataFrame, ground: Ground) -> pd.DataFrame:
    """Pairs of shape and row: middles inside of polygons, and footprints around points."""
    there = vector.in_degrees(shapes).geometry
    is_point = there.geom_type.isin(POINTS).to_numpy(bool)
    drawn = there.to_numpy()
    middles = points_at(ground.middles)
    polygon, inside = shapely.STRtree(middles).query(drawn[~is_point], predicate="contains")
    point, around = shapely.STRtree(_squares(ground)).query(drawn[is_point], predicate="intersects")
    shape = np.concatenate([np.flatnonzero(~is_point)[polygon], np.flatnonzero(is_point)[point]])
    return pd.DataFrame({"shape": shapes.index[shape], "row": np.concatenate([inside, around])})


def points_at(middles: Float[ndarray, "n 2"]) -> Shaped[ndarray, " n"]:
    """Points of longitudes and latitudes; None where these are unknown."""
    points = np.full(len(middles), None, object)
    known = ~np.isnan(middles).any(axis=1)
    points[known] = shapely.points(middles[known])
    return points


def _squares(ground: Ground) -> Shaped[ndarray, " n"]:
    """Footprints, and squares around middles of which no more is known."""
    bare = shapely.get_dimensions(ground.footprints) == 0
    lon, lat = ground.middles[bare].T
    north = ground.side_m / 2 / utm.METRES_PER_DEGREE
    east = north / np.maximum(np.cos(np.radians(lat)), 1e-6)
    squares = ground.footprints.copy()
    squares[bare] = shapely.box(lon - east, lat - north, lon + east, lat + north)
    return squares


def write_shapes(table: gpd.GeoDataFrame, path: Path) -> Path:
    """Write a table of shapes as a GeoPackage, whole or not at all.

    Raises:
        CorpusError: the file's name has another ending.
    """
    if path.suffix.lower() != ".gpkg":
        raise CorpusError(
            f"labels are not written as {path.suffix or 'such files'}", where=str(path), remedy="give a .gpkg"
        )
    write_geopackage(table, path)
    return path
