"""Points and polygons from the user's files: CSV tables, or anything that GeoPandas opens."""

from pathlib import Path

import geopandas as gpd
import pandas as pd

from swath.errors import CorpusError

LON = ("lon", "lng", "longitude", "long", "x")
LAT = ("lat", "latitude", "y")


def points(path: Path, key: str) -> pd.DataFrame:
    """A table with the columns `lon` and `lat` in degrees and whatever else the file holds, names in lower case.

    Raises:
        CorpusError: no such file, or no coordinates in it.
    """
    if path.suffix.lower() in {".csv", ".txt"}:
        table = _csv(path, key)
        columns = {name.lower(): name for name in table.columns}
        lon, lat = (_first(columns, names, path, key) for names in (LON, LAT))
        table = table.rename(columns={lon: "lon", lat: "lat"})
    else:
        shapes = vector(path, key)
        centres = shapes.geometry.representative_point()
        table = pd.DataFrame(shapes.drop(columns=shapes.geometry.name)).assign(lon=centres.x, lat=centres.y)
    table.columns = [str(name).lower() for name in table.columns]
    good = table["lat"].between(-90, 90) & table["lon"].between(-360, 360)
    if not good.all() or table.empty:
        row = "it has no rows" if table.empty else f"row {int((~good).to_numpy().argmax()) + 1} is the first"
        raise CorpusError(f"coordinates are not degrees: {row}", where=f"{path}, for {key}", remedy="mend the file")
    return table.reset_index(drop=True)


def _csv(path: Path, key: str) -> pd.DataFrame:
    try:
        return pd.read_csv(path, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise CorpusError(f"cannot read the table: {error}", where=f"{path}, for {key}", remedy="give a CSV") from None


def _first(columns: dict[str, str], wanted: tuple[str, ...], path: Path, key: str) -> str:
    for name in wanted:
        if name in columns:
            return columns[name]
    raise CorpusError(
        f"no column of it is called {' or '.join(wanted)}",
        where=f"{path}, for {key}",
        remedy=f"rename one of {', '.join(columns)}",
    )


def vector(path: Path, key: str) -> gpd.GeoDataFrame:
    """Shapes of a file in WGS 84.

    Raises:
        CorpusError: the file cannot be read, is empty, or says no reference system.
    """
    try:
        shapes = gpd.read_parquet(path) if path.suffix == ".parquet" else gpd.read_file(path)
    except (OSError, ValueError, RuntimeError) as error:
        raise CorpusError(
            f"cannot read the shapes: {str(error).splitlines()[0]}",
            where=f"{path}, for {key}",
            remedy="give a file that GDAL opens, such as GeoJSON, GeoPackage or Shapefile, or GeoParquet",
        ) from None
    if shapes.crs is None or shapes.empty:
        what = "it says no reference system" if shapes.crs is None else "it holds no shape"
        raise CorpusError(what, where=f"{path}, for {key}", remedy="mend the file")
    return gpd.GeoDataFrame(shapes.to_crs("EPSG:4326"))
