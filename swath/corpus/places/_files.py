"""Points and polygons from the user's files, in degrees."""

from pathlib import Path

import geopandas as gpd
import pandas as pd

from swath.corpus.ground import vector


def points(path: Path, key: str) -> pd.DataFrame:
    """A table with the columns `lon` and `lat` in degrees and whatever else the file holds, names in lower case.

    Raises:
        CorpusError: no such file, or no coordinates in it.
    """
    if path.suffix.lower() in {".csv", ".txt"}:
        table = vector.csv(path, key)
        lon, lat = vector.coordinates(table, path, key)
        table = table.rename(columns={lon: "lon", lat: "lat"})
    else:
        drawn = shapes(path, key)
        centres = drawn.geometry.representative_point()
        table = pd.DataFrame(drawn.drop(columns=drawn.geometry.name)).assign(lon=centres.x, lat=centres.y)
    table.columns = [str(name).lower() for name in table.columns]
    vector.check_degrees(table, "lon", "lat", path, key)
    return table.reset_index(drop=True)


def shapes(path: Path, key: str) -> gpd.GeoDataFrame:
    """Shapes of a file in WGS 84.

    Raises:
        CorpusError: the file cannot be read, is empty, or says no reference system.
    """
    return vector.in_degrees(vector.read(path, key))
