"""A small index in memory, on the ground, for the tests of the explorer."""

from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from swath.products.explore import Explorer
from tests.products.search.test_exact import index_of

ROWS, DIMS = 60, 8
WEST, NORTH, SIDE = 11.0, 50.0, 0.01


def box(first, last):
    """A polygon over whole columns of the row of squares, as high as they are."""
    return shapely.box(WEST + SIDE * first, NORTH - SIDE, WEST + SIDE * last, NORTH)


def made_index(folder: Path, located=True, dates="one"):
    """A row of squares, west to east; three clusters of vectors, one after the other, of very different dimensions."""
    rng = np.random.default_rng(0)
    centres = 2 * rng.normal(size=(3, DIMS))
    vectors = centres[np.arange(ROWS) * 3 // ROWS] + rng.normal(size=(ROWS, DIMS))
    vectors = (vectors * np.geomspace(0.01, 100, DIMS) + 5).astype(np.float32)
    uids = [f"s{i // 2:03d}" if dates == "each" else f"s{i:03d}" for i in range(ROWS)]
    index = index_of(vectors, uids=uids, dates=dates)
    if dates == "each":
        index.table["date"] = pd.date_range("2020-01-01", periods=ROWS, freq="7h", tz="UTC")
    if located:
        shapes = [box(i, i + 1) for i in range(ROWS)]
        index = replace(index, table=gpd.GeoDataFrame(index.table.drop(columns="geometry"), geometry=shapes, crs=4326))
    return replace(index, path=folder / "x.parquet")


def made(folder: Path, **given) -> Explorer:
    """An explorer of it, with three classes."""
    explorer = Explorer.open(made_index(folder, **given))
    explorer.declare_missing(["water", "forest", "<b>crop</b>"])
    return explorer
