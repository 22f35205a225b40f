"""Tables of shapes as a GeoPackage, whole or not at all."""

import tempfile
from pathlib import Path

import geopandas as gpd
import pyogrio

from swath._files import named, publish


def write_geopackage(table: gpd.GeoDataFrame, path: Path) -> None:
    """Write a table of shapes as the only layer of a GeoPackage, called like the file; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with named(path), tempfile.TemporaryDirectory(dir=path.parent, prefix=".swath-") as folder:
        fresh = Path(folder) / "shapes.gpkg"
        pyogrio.write_dataframe(table, fresh, layer=path.stem, driver="GPKG")
        publish(fresh, path)
