"""The nearest places to what is looked for, and files of them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
from jaxtyping import Float64, Int
from numpy import ndarray

from swath._files import replacing, write_whole
from swath.errors import SwathError
from swath.products._shapes import write_geopackage
from swath.products.search._approximate import nearest_rows_approximately
from swath.products.search._exact import nearest_rows
from swath.products.search._index import Index
from swath.products.search._query import Asked, Query, kilometres, middle_of, query

PLACES = {".geojson", ".json", ".parquet", ".gpkg"}
"""Endings of files of places."""
MANY = 1_000_000
"""Rows from which on a message points at the approximate search."""


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """The nearest places, best first."""

    table: gpd.GeoDataFrame
    """rank (from 1), uid, sensor, date, score (cosine, -1 to 1), km (from the middle of what was looked for; NaN where
    unknown), geometry; and a zone's own columns."""
    rows: Int[ndarray, " n"]
    """Where each stands in the index."""
    query: Query
    notes: tuple[str, ...]
    """Sentences for people: what was looked for, what was left out."""


def find(index: Index | Path | str, asked: Asked, *, count: int = 20, approximate: bool = False) -> Results:
    """The places whose vectors are nearest to what is asked, by cosine.

    Exact: the same rows as a comparison of all vectors in float64, ties in the order of their ids. What was looked for
    is no answer. Where a location has several rows (dates), its best one counts.

    Args:
        index: what `swath embed` wrote, or where it lies.
        asked: what is looked for.
        count: how many places; all where there are fewer.
        approximate: by a graph beside the index, which is made at first and may miss some (extra `search`).

    Raises:
        SwathError: as in `query` and `Index.open`; or fewer than one place is wanted.
        ContractError: the image would be embedded by another encoder.
    """
    if count < 1:
        raise SwathError(f"{count} places cannot be found", remedy="give a number above 0: --count")
    index = index if isinstance(index, Index) else Index.open(index)
    looked_for = query(index, asked)
    rows, scores = _places(index, looked_for, count, approximate=approximate)
    own = index.table.iloc[rows].reset_index(drop=True)
    place = middle_of(index.table.geometry.iloc[looked_for.wanted].tolist())
    found = own.drop(columns=["valid", "chip"], errors="ignore")
    found.insert(0, "rank", np.arange(1, len(rows) + 1))
    found.insert(found.columns.get_loc("geometry"), "score", scores)
    found.insert(found.columns.get_loc("geometry"), "km", kilometres(place, own.geometry.tolist()))
    notes = list(looked_for.notes)
    if len(looked_for.rows):
        left = index.table["uid"].iloc[looked_for.rows].nunique()
        notes.append(f"{left:,} locations are what was looked for, and no answer")
    if len(rows) < count:
        notes.append(f"{len(rows):,} places, not {count:,}: there are no more")
    if len(index) > MANY and not approximate:
        notes.append(f"all {len(index):,} rows were looked at; an approximate search does not: --approximate")
    return Results(gpd.GeoDataFrame(found), rows, looked_for, tuple(notes))


def _places(
    index: Index, looked_for: Query, count: int, *, approximate: bool
) -> tuple[Int[ndarray, " n"], Float64[ndarray, " n"]]:
    """The best row of each of the nearest locations."""
    nearest = nearest_rows_approximately if approximate else nearest_rows
    uids = index.uids.to_numpy()
    # other dates of what was looked for are no answer either
    several = index.header.dates == "each"
    excluded = np.flatnonzero(np.isin(uids, uids[looked_for.rows])) if several else looked_for.rows
    wanted, most = count, len(index) - len(excluded)
    while True:
        rows, scores = nearest(index, looked_for.vector, wanted, excluded)
        _, first = np.unique(uids[rows].astype(str), return_index=True)
        if len(first) >= count or wanted >= most or not several:
            best = np.sort(first)[:count]
            return rows[best], scores[best]
        wanted *= 4


def write_results(results: Results, path: Path) -> Path:
    """Write the places as GeoJSON (.geojson, .json), GeoParquet (.parquet) or GeoPackage (.gpkg).

    Raises:
        SwathError: the ending is another one.
    """
    return write_places(results.table, path, results.notes)


def write_places(table: gpd.GeoDataFrame, path: Path, notes: Sequence[str] = ()) -> Path:
    """Write rows with a place each as GeoJSON (.geojson, .json), GeoParquet (.parquet) or GeoPackage (.gpkg).

    Args:
        table: in WGS 84; dates and footprints may be missing.
        path: of the file; its folder is made.
        notes: sentences that GeoJSON carries along.

    Raises:
        SwathError: the ending is another one.
    """
    check_places(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() in {".geojson", ".json"}:
        said = json.loads(table.to_json(drop_id=True, default=lambda when: when.isoformat()))
        said["notes"] = list(notes)
        write_whole(path, json.dumps(said, allow_nan=False))
    elif path.suffix.lower() == ".parquet":
        with replacing(path) as temporary:
            table.to_parquet(temporary, index=False, write_covering_bbox=True, schema_version="1.1.0")
    else:
        write_geopackage(table, path)
    return path


def check_places(path: Path) -> None:
    """Raise SwathError unless `write_places` can write such a file, before anything is computed for it."""
    if path.suffix.lower() not in PLACES:
        raise SwathError(
            f"places are not written as {path.suffix or 'such files'}",
            where=str(path),
            remedy="give a name that ends in .geojson, .parquet or .gpkg",
        )
