"""Shapes from a user's vector file: points and polygons with their columns, in the file's own reference system.

Files are opened by the one GDAL driver that their ending names, after their first bytes were looked at: GDAL would
follow a virtual data set of another name to files and hosts anywhere.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyogrio
import shapely
from jaxtyping import Bool, Shaped
from numpy import ndarray
from pyproj import CRS
from rasterio.warp import transform_bounds
from shapely.errors import ShapelyError

from swath import _parquet
from swath._progress import console
from swath.errors import CorpusError

X = ("lon", "lng", "longitude", "long", "x")
Y = ("lat", "latitude", "y")
"""Names of columns of coordinates, in lower case: of the east (`X`) and of the north (`Y`)."""
DRIVERS = {
    ".gpkg": ("GPKG", b"SQLite format 3\0"),
    ".geojson": ("GeoJSON", b"{"),
    ".json": ("GeoJSON", b"{"),
    ".shp": ("ESRI Shapefile", b"\0\0\x27\x0a"),
    ".fgb": ("FlatGeobuf", b"fgb"),
}
"""By file ending, GDAL's driver and how such a file begins."""
VIRTUAL = (b"<OGRVRT", b"<VRTDataset")
PART = 100_000
"""Shapes that are read at a time, where not all are kept."""
TURN = 360
"""Degrees around the globe."""
MORE = 0.01
"""Share of a box's width by which it is made wider on all sides, since it is bent in another reference system."""
EDGES = 64
"""Parts of a box's side than which edges are no longer, where they are bent: they are off by a 4,000th of the bend."""
EDGE_M, MOST_EDGES = 5_000.0, 1_000
"""Metres that an edge may be long on its way to degrees, half a metre beside the ground that is meant; and of shapes as
wide as a continent, into how many parts their width is cut at most."""
MAX_TABLE_GB = 4.0
"""Gigabytes that a GeoParquet file may take in memory."""
KINDS = "GeoPackage (.gpkg), GeoJSON (.geojson), Shapefile (.shp), FlatGeobuf (.fgb), GeoParquet (.parquet), or CSV"


def read(
    path: Path, key: str, table: str | None = None, crs: str | None = None, limit_gb: float = MAX_TABLE_GB
) -> gpd.GeoDataFrame:
    """Shapes of a file, with its reference system.

    Args:
        path: of one of `KINDS`; a CSV holds points.
        key: recipe key that named it, for messages.
        table: of a file that has several.
        crs: of a file that says none; of a CSV WGS 84 if not given.
        limit_gb: what GeoParquet may take in memory; other kinds take no more than a few times their size.

    Raises:
        CorpusError: the file is not there, of another kind, damaged, empty or too large, has several tables, or nobody
            says its reference system.
    """
    with _saying(path, key):
        if (whole := _whole(path, key, crs, limit_gb)) is None:
            layer, _ = _layer(path, key, table)
            whole = gpd.GeoDataFrame(pyogrio.read_dataframe(path.resolve(), layer=layer))
    if whole.empty:
        raise CorpusError("it holds no shape", where=f"{path}, for {key}", remedy="mend the file")
    return _with_crs(whole, crs, path, key)


def parts(
    path: Path, key: str, *, columns: bool = True, limit_gb: float = MAX_TABLE_GB
) -> Iterator[tuple[int, gpd.GeoDataFrame]]:
    """The shapes of a file, a hundred thousand at a time, so that of millions only what is kept takes memory.

    GeoParquet and CSV are read whole, as by `read`.

    Args:
        path: of one of `KINDS`.
        key: see `read`; `limit_gb` too.
        columns: also read what the file says of the shapes.
        limit_gb: see there.

    Yields:
        How many shapes came before, and the shapes.

    Raises:
        CorpusError: as `read`.
    """
    with _saying(path, key):
        whole, layer, count = _whole(path, key, None, limit_gb), "", 0
        if whole is None:
            layer, count = _layer(path, key, None)
    if not (count if whole is None else len(whole)):
        raise CorpusError("it holds no shape", where=f"{path}, for {key}", remedy="mend the file")
    if whole is not None:
        yield 0, _with_crs(whole, None, path, key)
        return
    wanted = None if columns else []
    for start in range(0, count, PART):
        with _saying(path, key):
            part = pyogrio.read_dataframe(
                path.resolve(), layer=layer, skip_features=start, max_features=PART, columns=wanted
            )
        yield start, _with_crs(gpd.GeoDataFrame(part), None, path, key)


def near(shapes: gpd.GeoDataFrame, crs: str, bounds: tuple[float, float, float, float]) -> Bool[ndarray, " n"]:
    """Which shapes may meet a box: those whose own boxes meet it, with a little more on all sides.

    Args:
        shapes: with a reference system.
        crs: of the box.
        bounds: west, south, east and north; of what is not finite nothing can be said, and all may.
    """
    if not np.isfinite(bounds).all():
        return np.ones(len(shapes), bool)
    if not (frames := _frames(shapes, crs, bounds)):
        return np.ones(len(shapes), bool)
    left, low, right, high = shapely.bounds(shapes.geometry.to_numpy()).T
    meets = [(left <= e) & (right >= w) & (low <= n) & (high >= s) for w, s, e, n in frames]
    return np.any(meets, axis=0)


def moved(shapes: gpd.GeoDataFrame, crs: str, bounds: tuple[float, float, float, float]) -> Shaped[ndarray, " n"]:
    """Shapes in the reference system of a box, without what lies far outside of it.

    Edges are straight in the file's reference system: they get more corners, so that they bend as they should.

    Args:
        shapes: valid ones, with a reference system.
        crs: of the box.
        bounds: west, south, east and north.
    """
    own, frames = shapes.geometry.to_numpy(), _frames(shapes, crs, bounds)
    if frames:
        west, south, east, north = frames[0]
        own = shapely.intersection(own, shapely.union_all([shapely.box(*frame) for frame in frames]))
        own = shapely.segmentize(own, max(east - west, north - south) / EDGES)
    return gpd.GeoSeries(own, crs=shapes.crs).to_crs(crs).to_numpy()


def in_degrees(shapes: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Shapes in WGS 84; as in `moved`, long edges get more corners, and nothing is left out."""
    crs, own = CRS.from_user_input(shapes.crs), shapes.geometry.to_numpy()
    if crs.is_geographic:
        return gpd.GeoDataFrame(shapes.to_crs("EPSG:4326"))
    west, south, east, north = shapely.bounds(own).T
    metres = next((axis.unit_conversion_factor for axis in crs.axis_info), 1.0)
    with np.errstate(invalid="ignore"):  # a corner may be at infinity
        step = np.maximum(EDGE_M / metres, np.maximum(east - west, north - south) / MOST_EDGES)
    known = np.isfinite(step)
    bent = np.array(own, object)
    bent[known] = shapely.segmentize(bent[known], step[known])
    return gpd.GeoDataFrame(shapes.set_geometry(gpd.GeoSeries(bent, shapes.index, crs)).to_crs("EPSG:4326"))


def _frames(
    shapes: gpd.GeoDataFrame, crs: str, bounds: tuple[float, float, float, float]
) -> list[tuple[float, float, float, float]]:
    """A box that surely holds another one, in the shapes' reference system; none where that is unknown.

    Across the antimeridian it is there twice, as shapes on either side may be counted on beyond 180 degrees.
    """
    west, south, east, north = transform_bounds(crs, shapes.crs, *bounds, densify_pts=21)
    if not np.isfinite([west, south, east, north]).all():
        return []
    turns = [0, -TURN] if west > east else [0]
    east += TURN if west > east else 0
    x, y = MORE * (east - west), MORE * (north - south)
    return [(west - x + turn, south - y, east + x + turn, north + y) for turn in turns]


def mended(shapes: Shaped[ndarray, " n"]) -> Shaped[ndarray, " n"]:
    """Shapes, of which what is invalid is made valid: all that lies within an outline of theirs and in no hole.

    So parts that overlap are joined, a ring that runs twice around the same ground encloses it, and a hole takes
    nothing but what is within its outline. Lines and points to which an outline collapses are dropped.
    """
    return shapely.make_valid(shapes, method="structure", keep_collapsed=False)


@contextmanager
def _saying(path: Path, key: str) -> Iterator[None]:
    """Say what is wrong with a file in words of swath's."""
    if not path.is_file():
        raise CorpusError("there is no such file", where=f"{path}, for {key}", remedy="mend the path")
    try:
        yield
    except (OSError, ValueError, TypeError, RuntimeError, pa.ArrowException, ShapelyError, sqlite3.Error) as error:
        raise CorpusError(
            f"cannot read the shapes: {str(error).splitlines()[0]}", where=f"{path}, for {key}", remedy=f"give {KINDS}"
        ) from None


def _whole(path: Path, key: str, crs: str | None, limit_gb: float) -> gpd.GeoDataFrame | None:
    """The shapes of a file that GDAL does not read; None of one that it does."""
    suffix = path.suffix.lower()
    if suffix in {".csv", ".txt"}:
        return _csv_points(path, key, crs)
    return _parquet_shapes(path, key, limit_gb) if suffix == ".parquet" else None


def _parquet_shapes(path: Path, key: str, limit_gb: float) -> gpd.GeoDataFrame:
    if (size := _parquet.decoded_size(path, limit := int(limit_gb * 1e9))) > limit:
        raise CorpusError(
            f"it would take {size / 1e9:,.1f} GB to read, the limit is {limit_gb:g}",
            where=f"{path}, for {key}",
            remedy="leave out columns and shapes that are not needed, or, for a label layer and if there is memory, "
            "raise its max_table_gb",
        )
    return gpd.read_parquet(path)


def _layer(path: Path, key: str, table: str | None) -> tuple[str, int]:
    """The table of a file that is read, and how many shapes it holds."""
    suffix = path.suffix.lower()
    if suffix not in DRIVERS:
        what = f"shapes are not read from {suffix or 'such'} files"
        raise CorpusError(what, where=f"{path}, for {key}", remedy=f"give {KINDS}")
    driver, begins = DRIVERS[suffix]
    with path.open("rb") as file:
        head = file.read(2**16)
    plain = head.removeprefix(b"\xef\xbb\xbf").lstrip() if begins == b"{" else head
    if not plain.startswith(begins) or any(mark in head for mark in VIRTUAL):
        raise CorpusError(f"it is no {driver} file", where=f"{path}, for {key}", remedy=f"give {KINDS}")
    path = path.resolve()
    if driver == "GPKG":
        _check_stored(path, key, table)
    tables = [str(name) for name, kind in pyogrio.list_layers(path) if kind is not None]
    if table is None and len(tables) != 1:
        raise CorpusError(
            f"it has {len(tables)} tables of shapes: {', '.join(tables)}",
            where=f"{path}, for {key}",
            remedy="say which: table: NAME",
        )
    if table is not None and table not in tables:
        raise CorpusError(
            f"it has no table {table!r}", where=f"{path}, for {key}", remedy=f"its tables: {', '.join(tables)}"
        )
    info = pyogrio.read_info(path, layer=table or tables[0])
    if info["driver"] != driver:
        what = f"it is a {info['driver']} file, not {driver}"
        raise CorpusError(what, where=f"{path}, for {key}", remedy=f"give {KINDS}")
    # memory is taken for as many as the head says
    if info["features"] > path.stat().st_size:
        what = f"it says that it holds {info['features']:,} shapes, more than it has bytes"
        raise CorpusError(what, where=f"{path}, for {key}", remedy="mend the file")
    return table or tables[0], int(info["features"])


def _check_stored(path: Path, key: str, table: str | None) -> None:
    """Raise CorpusError unless the one table that is read of a GeoPackage, and those that describe it, are stored.

    A view, a virtual table or a generated column is computed while it is read, which may go on for ever.
    """
    beside = path.with_name(f"{path.name}-wal").exists()  # holds what is not in the file yet
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro{'' if beside else '&immutable=1'}", uri=True)) as file:
        made = "SELECT name, sql FROM sqlite_master WHERE type IN ('table', 'view')"
        entries = {str(name).lower(): str(sql) for name, sql in file.execute(made)}
        for name in entries:
            if name.startswith("gpkg_"):
                _check_entry(file, name, entries[name], f"{path}, for {key}")
        listed = "SELECT table_name FROM gpkg_contents WHERE data_type = 'features'"
        names = [str(name) for (name,) in file.execute(listed)] if table is None else [table]
        if len(names) == 1 and (name := names[0].lower()) in entries:
            _check_entry(file, name, entries[name], f"{path}, for {key}")


def _check_entry(file: sqlite3.Connection, name: str, sql: str, where: str) -> None:
    columns = file.execute("SELECT name, hidden FROM pragma_table_xinfo(?)", (name,)).fetchall()
    computed = [f"column {column!r} of {name}" for column, hidden in columns if hidden]
    if sql.upper().split()[:2] != ["CREATE", "TABLE"]:
        computed = [name]
    if computed:
        remedy = "save its shapes as a table, such as with ogr2ogr -nln NAME NEW.gpkg OLD.gpkg NAME"
        raise CorpusError(f"{computed[0]} is not stored but computed when it is read", where=where, remedy=remedy)


def _csv_points(path: Path, key: str, crs: str | None) -> gpd.GeoDataFrame:
    rows = csv(path, key, missing=("",))  # "NA" may be a region or a class
    x, y = coordinates(rows, path, key)
    if crs is None:
        check_degrees(rows, x, y, path, key)
    return gpd.GeoDataFrame(rows, geometry=gpd.points_from_xy(rows[x], rows[y]), crs=crs or "EPSG:4326")


def csv(path: Path, key: str, missing: Sequence[str] | None = None) -> pd.DataFrame:
    """Read a CSV file as a table, without interpretation.

    Args:
        path: of it.
        key: recipe key that named it, for messages.
        missing: what stands in a cell without a value; all that pandas takes for it, such as `NA`, if not given.

    Raises:
        CorpusError: it cannot be read, two columns have one name, or rows have more cells than there are names.
    """
    try:
        table = pd.read_csv(path, encoding="utf-8-sig", keep_default_na=missing is None, na_values=missing)
        names = pd.read_csv(path, encoding="utf-8-sig", header=None, nrows=1, dtype=str).iloc[0].dropna()
    except (OSError, ValueError) as error:
        raise CorpusError(f"cannot read the table: {error}", where=f"{path}, for {key}", remedy="give a CSV") from None
    if twice := names[names.duplicated()].tolist():
        what, remedy = f"two columns are called {twice[0]!r}", "rename one of them"
    elif not table.index.equals(pd.RangeIndex(len(table))):  # pandas takes the first cells for names of rows
        what, remedy = "rows have more cells than the first line has names", "mend the first line, or the ends of lines"
    else:
        return table
    raise CorpusError(what, where=f"{path}, for {key}", remedy=remedy)


def coordinates(table: pd.DataFrame, path: Path, key: str) -> tuple[str, str]:
    """Names of the columns of a table that hold its coordinates: east, then north.

    Raises:
        CorpusError: it has none.
    """
    columns = {str(name).lower(): str(name) for name in table.columns}
    chosen = []
    for names in (X, Y):
        known = [columns[name] for name in names if name in columns]
        if not known:
            raise CorpusError(
                f"no column of it is called {' or '.join(names)}",
                where=f"{path}, for {key}",
                remedy=f"rename one of {', '.join(map(str, table.columns))}",
            )
        chosen.append(known[0])
    return chosen[0], chosen[1]


def check_degrees(table: pd.DataFrame, x: str, y: str, path: Path, key: str) -> None:
    """Raise CorpusError unless the table has rows, and all of them longitudes and latitudes in these columns.

    What look like radians are said to do so.
    """
    lon, lat = pd.DataFrame(table[[x, y]]).apply(pd.to_numeric, errors="coerce").to_numpy(float).T
    where = f"{path}, for {key}"
    lost = np.asarray((pd.isna(table[x]) | pd.isna(table[y])).to_numpy(bool))
    if lost.any():
        raise CorpusError(
            f"{lost.sum()} of {len(lost)} rows have no {x} or no {y}: row {int(lost.argmax()) + 1} is the first",
            where=where,
            remedy="fill them in, or take these rows out of the table",
        )
    good = (np.abs(lon) <= 360) & (np.abs(lat) <= 90)
    if not good.all() or not len(good):
        row = f"row {int((~good).argmax()) + 1} is the first" if len(good) else "it has no rows"
        raise CorpusError(f"coordinates are not degrees: {row}", where=where, remedy="mend the file")
    if np.abs(lon).max() <= np.pi and np.abs(lat).max() <= np.pi / 2:
        # no land is there
        said = f"{path}: all points lie in the Gulf of Guinea, within 3.15 degrees of longitude and 1.58 of latitude 0"
        console().print(f"{said}; if these are radians, give degrees", style="yellow", soft_wrap=True, markup=False)


def _with_crs(shapes: gpd.GeoDataFrame, crs: str | None, path: Path, key: str) -> gpd.GeoDataFrame:
    if shapes.crs is None:
        if crs is None:
            remedy = "mend the file; a Shapefile lacks its .prj"
            raise CorpusError("it says no reference system", where=f"{path}, for {key}", remedy=remedy)
        return shapes.set_crs(crs)
    if crs is not None and shapes.crs != crs:
        raise CorpusError(
            f"it says the reference system {shapes.crs.to_string()}, the recipe {crs}",
            where=f"{path}, for {key}",
            remedy="leave crs out, or mend the file",
        )
    return shapes
