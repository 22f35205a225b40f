"""Embeddings of a user's polygons: the mean of what lies inside, a row each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from jaxtyping import Bool, Float, Int, Shaped
from numpy import ndarray

from swath.corpus import Corpus
from swath.corpus.ground import vector
from swath.errors import ContractError, CorpusError
from swath.products.embeddings._build import Storage, Written, embedded, store
from swath.products.embeddings._parts import ROWS, Parts
from swath.products.embeddings._plan import Plan, outlines
from swath.products.embeddings._table import OWN

EQUAL_AREA = "EPSG:6933"
SHOWN = 5
"""Numbers of shapes that a message names."""


def build_zones(
    encoder: Path | str,
    data: Corpus | Path | str,
    zones: Path,
    to: Path,
    *,
    bands: Sequence[str] | None = None,
    images: Mapping[str, Any] | None = None,
    storage: Storage | None = None,
    batch_size: int = 64,
    trusted: bool = False,
) -> Written:
    """Embed the polygons of a vector file into a GeoParquet file: one row a polygon.

    A polygon's vector is the mean of those of the locations whose footprints it touches, weighted by the area that they
    share (where only coordinates of locations are known: the mean of those inside). Beside the file's own columns a row
    has `count` (locations), `covered` (share of the polygon that they cover) and `valid` (share of usable pixels in
    what they share). `uid` is the number of the shape in the file, from 1.

    Args:
        encoder: where one is saved.
        data: a corpus or its folder, or a folder of GeoTIFFs of one size.
        zones: polygons in any reference system; GeoPackage, GeoJSON, Shapefile, FlatGeobuf or GeoParquet.
        to: Parquet file to write.
        bands: as in `build_index`; `images`, `storage`, `batch_size` and `trusted` likewise.
        images: see there.
        storage: see there.
        batch_size: see there.
        trusted: see there.

    Returns:
        What was written; its notes count the shapes that are left out: empty, self-crossing, or where nothing lies.

    Raises:
        CorpusError: the file cannot be read, holds other shapes than polygons, or none of them can be embedded.
        ContractError: as in `build_index`; or labels of the corpus are named, which polygons have not.
    """
    if storage is not None and storage.labels is not None:
        raise ContractError(
            "polygons have no labels of the corpus", where=str(zones), remedy=f"leave the labels {storage.labels} out"
        )
    read: list[tuple[gpd.GeoDataFrame, list[str]]] = []

    def touched(corpus: Corpus) -> Int[ndarray, " m"]:
        footprints = outlines(corpus.locations)
        shapes, left_out = read_polygons(zones, "--zones", footprints)
        if shapes.empty:
            raise CorpusError(
                "no location lies in any of the polygons",
                where=f"{zones}, for --zones",
                remedy=_where(corpus),
            )
        read.append((shapes, left_out.notes))
        return np.unique(shapely.STRtree(footprints).query(shapes.geometry.to_numpy(), predicate="intersects")[1])

    with embedded(
        encoder,
        data,
        to,
        bands=bands,
        images=images,
        among=touched,
        batch_size=batch_size,
        trusted=trusted,
    ) as (rows, parts, header):
        ((shapes, notes),) = read
        table, vectors, outside = _means(shapes, rows, parts)
        if len(outside):
            notes.append(_counted(outside, "that touch locations without sharing ground with them"))
        folder = parts.folder / "zones"
        folder.mkdir(exist_ok=True)
        means = Parts(folder, len(table))
        for number in range(len(means)):
            means.write(number, vectors[number * ROWS : (number + 1) * ROWS])
        written = store(table, means, header.model_copy(update={"rows": "zones"}), to, storage or Storage())
        return replace(written, notes=(*notes, *written.notes))


@dataclass
class LeftOut:
    """Shapes of a file that cannot be used, by their numbers in it from 1."""

    empty: list[int] = field(default_factory=list)
    crossed: list[int] = field(default_factory=list)
    away: list[int] = field(default_factory=list)
    """Sound polygons that meet none of the footprints."""
    reason: str = ""
    """What is wrong with the first that crosses itself."""

    @property
    def notes(self) -> list[str]:
        """A sentence on each kind."""
        kinds = (
            (self.empty, "that are empty", ""),
            (self.crossed, "that cross themselves", f" ({self.reason})"),
            (self.away, "where no location lies", ""),
        )
        return [_counted(numbers, why) + more for numbers, why, more in kinds if numbers]


def read_polygons(
    path: Path, key: str, footprints: Shaped[ndarray, " n"] | None = None
) -> tuple[gpd.GeoDataFrame, LeftOut]:
    """Sound polygons in WGS 84, indexed by their number in the file from 1, and the others.

    Args:
        path: of a vector file, which may hold millions: what is left out takes no memory.
        key: option that named it, for messages.
        footprints: in WGS 84, None where unknown; where given, polygons that meet none of them are left out.

    Raises:
        CorpusError: it cannot be read, holds other shapes, or no polygon that is neither empty nor crosses itself.
    """
    out = LeftOut()
    kept = []
    for before, shapes in vector.parts(path, key):
        numbered = gpd.GeoDataFrame(shapes.set_index(pd.RangeIndex(before + 1, before + 1 + len(shapes))))
        sound = _sound(numbered, out, f"{path}, for {key}")
        kept.append(vector.in_degrees(sound) if footprints is None else _meeting(sound, footprints, out))
    found = gpd.GeoDataFrame(pd.concat(kept))
    if found.empty and not out.away:
        raise CorpusError(
            f"no polygon can be used: {'; '.join(out.notes)}", where=f"{path}, for {key}", remedy="mend the shapes"
        )
    return found, out


def _sound(shapes: gpd.GeoDataFrame, out: LeftOut, where: str) -> gpd.GeoDataFrame:
    given = shapes.geometry
    empty = (given.isna() | given.is_empty).to_numpy(bool)
    other = ~empty & ~given.geom_type.isin(["Polygon", "MultiPolygon"]).to_numpy(bool)
    if other.any():
        first = int(other.argmax())
        raise CorpusError(
            f"shape {shapes.index[first]} is a {given.iloc[first].geom_type}, not a polygon",
            where=where,
            remedy="give polygons; buffer points and lines",
        )
    broken = ~empty & ~given.is_valid.to_numpy(bool)
    out.empty += shapes.index[empty].tolist()
    out.crossed += shapes.index[broken].tolist()
    if broken.any() and not out.reason:
        out.reason = shapely.is_valid_reason(given.iloc[int(broken.argmax())])
    return gpd.GeoDataFrame(shapes[~(empty | broken)])


def _meeting(shapes: gpd.GeoDataFrame, footprints: Shaped[ndarray, " n"], out: LeftOut) -> gpd.GeoDataFrame:
    west, south, east, north = shapely.total_bounds(footprints).tolist()
    at = np.flatnonzero(vector.near(shapes, "EPSG:4326", (west, south, east, north)))
    there = vector.in_degrees(gpd.GeoDataFrame(shapes.iloc[at]))
    own = np.unique(shapely.STRtree(footprints).query(there.geometry.to_numpy(), predicate="intersects")[0])
    out.away += np.delete(shapes.index.to_numpy(), at[own]).tolist()
    return gpd.GeoDataFrame(there.iloc[own])


def _counted(numbers: Sequence[int] | pd.Index, why: str) -> str:
    shown = ", ".join(map(str, list(numbers)[:SHOWN])) + (", …" if len(numbers) > SHOWN else "")
    return f"{len(numbers):,} polygons are left out {why}: number {shown}"


def _where(corpus: Corpus) -> str:
    ours = gpd.GeoSeries(outlines(corpus.locations)).dropna()
    if not len(ours):
        return "embed a corpus whose locations have coordinates"
    west, south, east, north = ours.total_bounds
    return f"the locations lie within {west:.3f}, {south:.3f}, {east:.3f}, {north:.3f}"


def _means(
    shapes: gpd.GeoDataFrame, rows: Plan, parts: Parts
) -> tuple[gpd.GeoDataFrame, Float[ndarray, "z d"], list[int]]:
    """A row for each polygon in which something lies, its mean vector, and the numbers of the others."""
    zone, row, weight = _shares(shapes.geometry.to_numpy(), rows.table.geometry.to_numpy())
    count = np.bincount(zone, minlength=len(shapes))
    total = np.bincount(zone, weight, len(shapes))
    sums = np.zeros((len(shapes), parts.read(0, 1).shape[1]))
    by_row = np.argsort(row, kind="stable")
    for start in range(0, len(row), ROWS):
        some = by_row[start : start + ROWS]
        first, last = int(row[some[0]]), int(row[some[-1]])
        vectors = parts.read(first, last + 1)[row[some] - first]
        np.add.at(sums, zone[some], weight[some, None] * vectors)
    there = count > 0
    area = gpd.GeoSeries(shapes.geometry, crs="EPSG:4326").to_crs(EQUAL_AREA).area.to_numpy()
    outlined = ~np.isin(np.arange(len(shapes)), zone[shapely.get_dimensions(rows.table.geometry.to_numpy())[row] < 2])
    usable = np.bincount(zone, weight * rows.table["valid"].to_numpy(float)[row], len(shapes))
    dates = _dates(zone, row, rows.table, len(shapes))
    own = {name if name not in OWN else f"zone_{name}": shapes[name] for name in shapes if name != "geometry"}
    table = pd.DataFrame(
        {
            "uid": shapes.index.astype(str),
            "sensor": rows.table["sensor"].iloc[0],
            **dates,
            "valid": usable / np.maximum(total, np.finfo(float).tiny),
            "count": count,
            "covered": np.where(outlined, np.minimum(_covered(zone, row, shapes, rows) / area, 1.0), np.nan),
            **{name: column.to_numpy() for name, column in own.items()},
        }
    )
    kept = gpd.GeoDataFrame(table[there], geometry=shapes.geometry.to_numpy()[there], crs="EPSG:4326")
    means = (sums[there] / total[there, None]).astype(np.float32)
    return gpd.GeoDataFrame(kept.reset_index(drop=True)), means, shapes.index[~there].tolist()


def _shares(
    zones: Shaped[ndarray, " z"], footprints: Shaped[ndarray, " n"]
) -> tuple[Int[ndarray, " m"], Int[ndarray, " m"], Float[ndarray, " m"]]:
    """Pairs of polygon and row that share ground, and the area in m²; 1 each where a row is a point.

    Footprints that only touch a polygon share nothing with it.
    """
    zone, row = shapely.STRtree(footprints).query(zones, predicate="intersects")
    shared = gpd.GeoSeries(shapely.intersection(zones[zone], footprints[row]), crs="EPSG:4326").to_crs(EQUAL_AREA)
    weight = shared.area.to_numpy()
    bare = _points_in(zone, footprints[row], len(zones))
    weight = np.where(bare, 1.0, weight)
    return zone[weight > 0], row[weight > 0], weight[weight > 0]


def _points_in(zone: Int[ndarray, " m"], footprints: Shaped[ndarray, " m"], zones: int) -> Bool[ndarray, " m"]:
    """Pairs of the polygons in which some location is a point: there all locations count the same."""
    has_point = np.bincount(zone, shapely.get_dimensions(footprints) < 2, zones) > 0
    return has_point[zone]


def _covered(
    zone: Int[ndarray, " m"], row: Int[ndarray, " m"], shapes: gpd.GeoDataFrame, rows: Plan
) -> Float[ndarray, " z"]:
    """Area in m² of each polygon that footprints cover, where they overlap only once."""
    footprints, polygons = rows.table.geometry.to_numpy(), shapes.geometry.to_numpy()
    by_zone = np.argsort(zone, kind="stable")
    own = np.split(row[by_zone], np.searchsorted(zone[by_zone], np.arange(1, len(shapes))))
    unions = [shapely.union_all(footprints[rows]) for rows in own]
    shared = shapely.intersection(polygons, unions)
    return gpd.GeoSeries(shared, crs="EPSG:4326").to_crs(EQUAL_AREA).area.to_numpy()


def _dates(zone: Int[ndarray, " m"], row: Int[ndarray, " m"], table: gpd.GeoDataFrame, zones: int) -> dict[str, Any]:
    """First and last date of what lies in each polygon."""
    last = table["last_date"] if "last_date" in table else table["date"]
    pairs = pd.DataFrame({"zone": zone, "date": table["date"].iloc[row].array, "last_date": last.iloc[row].array})
    by_zone = pairs.groupby("zone").agg({"date": "min", "last_date": "max"}).reindex(range(zones))
    return {name: by_zone[name].array for name in ("date", "last_date")}
