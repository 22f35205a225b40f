"""What is looked for: places, images and what they must not be like, as one vector."""

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from jaxtyping import Float, Float64, Int, Shaped
from numpy import ndarray
from pyproj import Geod, Transformer

from swath.errors import ContractError, SwathError
from swath.products.embeddings import applied, embed, mark, read_polygons
from swath.products.search._index import Index

EARTH_M = 6_371_000.0
WGS84 = Geod(ellps="WGS84")
NEGATIVES = 0.2
"""Weight of the negatives' mean against that of the positives: 0.15 / 0.75 of Rocchio's usual weights."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a search is for; everything that is said counts together."""

    like: tuple[str, ...] = ()
    """Locations that are wanted: `UID`, or `UID@2020-05-31` for its row of one date."""
    unlike: tuple[str, ...] = ()
    """Locations that are not wanted."""
    at: tuple[float, float] | None = None
    """Longitude and latitude in degrees: the location that contains the point, or the nearest."""
    within: Path | None = None
    """Vector file of polygons: the locations whose middle lies inside."""
    image: Path | None = None
    """GeoTIFF in the encoder's bands, which is embedded."""
    encoder: Path | None = None
    """Where the index's encoder lies, for `image`; where the index says if not given."""
    negatives: float | None = None
    """Weight of `unlike`, 0.2 if not given: the query is mean(unit vectors wanted) - weight · mean(unit vectors not
    wanted)."""

    def __post_init__(self) -> None:
        if self.encoder is not None and self.image is None:
            raise SwathError("the encoder embeds an image, and none is given", remedy="leave it out, or give an image")
        if self.negatives is not None and not self.unlike:
            raise SwathError("there is a weight of what is not wanted, and nothing is", remedy="leave negatives out")


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """A vector to look for, and what it is made of."""

    vector: Float64[ndarray, " d"]
    rows: Int[ndarray, " m"]
    """Rows of the index that it is made of, ascending: they are no answer."""
    wanted: Int[ndarray, " w"]
    """Those of them that are wanted."""
    notes: tuple[str, ...]


def query(index: Index, asked: Asked) -> Query:
    """The vector that stands for what is asked.

    Rocchio's formula without an initial query: q = 1/|P| Σ p/‖p‖ - γ/|N| Σ n/‖n‖, P the rows and the image that are
    wanted, N the rows that are not, γ = `Asked.negatives`.

    Raises:
        SwathError: nothing is asked, a location or file is not there, or nothing remains of the sum.
        ContractError: the image would be embedded by another encoder than the index's.
    """
    notes: list[str] = []
    wanted = [index.rows_of(name) for name in asked.like]
    if asked.at is not None:
        rows, said = _at(index, *asked.at)
        wanted.append(rows)
        notes.append(said)
    if asked.within is not None:
        rows, said = _within(index, asked.within)
        wanted.append(rows)
        notes += said
    rows = np.unique(np.concatenate([*wanted, np.empty(0, np.int64)])).astype(np.int64)
    units = index.unit(rows)
    if asked.image is not None:
        units = np.concatenate([units, _embedded(index, asked.image, asked.encoder)])
    if not len(units):
        raise SwathError(
            "nothing is looked for", remedy="give a location (--like), a point (--at), polygons (--within) or an image"
        )
    others = np.unique(np.concatenate([*(index.rows_of(name) for name in asked.unlike), np.empty(0, np.int64)]))
    others = others.astype(np.int64)
    if len(both := np.intersect1d(rows, others)):
        raise SwathError(
            f"{index.table['uid'].iloc[both[0]]} is both wanted and not wanted", remedy="leave it out of one of the two"
        )
    vector = units.mean(axis=0)
    if len(others):
        weight = NEGATIVES if asked.negatives is None else asked.negatives
        vector = vector - weight * index.unit(others).mean(axis=0)
    if not np.linalg.norm(vector) > 1e-9:
        raise SwathError("what is looked for is a vector of length 0", remedy="look for something else")
    return Query(vector, np.union1d(rows, others), rows, tuple(notes))


def _at(index: Index, lon: float, lat: float) -> tuple[Int[ndarray, " m"], str]:
    if not (-180 <= lon <= 180 and -90 <= lat <= 90):
        swapped = "; they are probably swapped" if abs(lat) <= 180 and abs(lon) <= 90 else ""
        raise SwathError(
            f"{lon:g},{lat:g} is no longitude and latitude{swapped}", where="--at", remedy="give LON,LAT in degrees"
        )
    shapes = index.table.geometry.to_numpy()
    known = np.flatnonzero(~shapely.is_missing(shapes))
    if not len(known):
        raise SwathError("no location of the index has coordinates", where=str(index.path), remedy="use --like UID")
    near = known[_may_be_nearest(shapely.bounds(shapes[known]), lon, lat)]
    apart = _metres(shapes[near], lon, lat)
    uid = min(zip(apart.tolist(), index.table["uid"].iloc[near], strict=True))[1]
    rows = index.rows_of(uid)
    metres = float(apart.min())
    where = "contains the point" if metres == 0 else f"is the nearest to the point, {metres / 1000:,.3f} km away"
    return rows, f"{uid} {where}"


def _may_be_nearest(bounds: Float[ndarray, "n 4"], lon: float, lat: float) -> Int[ndarray, " m"]:
    """Positions of boxes that may hold the nearest shape, by a sphere and circles around the boxes."""
    west, south, east, north = np.radians(bounds).T
    centre_lon, centre_lat = (west + east) / 2, (south + north) / 2
    half = (
        np.hypot((east - west) * np.cos(np.clip(np.abs(centre_lat) - (north - south) / 2, 0, None)), north - south) / 2
    )
    there = np.radians([lon, lat])
    hav = (
        np.sin((centre_lat - there[1]) / 2) ** 2
        + np.cos(centre_lat) * np.cos(there[1]) * np.sin((centre_lon - there[0]) / 2) ** 2
    )
    apart = 2 * np.arcsin(np.sqrt(np.clip(hav, 0, 1)))
    # the ellipsoid is up to 0.6 % off the sphere
    return np.flatnonzero(apart * 0.99 - half <= ((apart + half) * 1.01).min())


def _metres(shapes: Shaped[ndarray, " n"], lon: float, lat: float) -> Float[ndarray, " n"]:
    """Distance from a point to shapes in degrees; 0 inside. A projection around the point keeps distances from it."""
    around = Transformer.from_crs("EPSG:4326", f"+proj=aeqd +lon_0={lon} +lat_0={lat}", always_xy=True)
    flat = shapely.transform(shapes, lambda xy: np.column_stack(around.transform(xy[:, 0], xy[:, 1])))
    return shapely.distance(flat, shapely.Point(0, 0))


def _within(index: Index, path: Path) -> tuple[Int[ndarray, " m"], list[str]]:
    polygons, left_out = read_polygons(path, "--within")
    shapes = index.table.geometry.to_numpy()
    middles = shapely.point_on_surface(shapes)  # of no shape none
    area = shapely.union_all(polygons.geometry.to_numpy())
    shapely.prepare(area)
    rows = np.flatnonzero(shapely.contains(area, middles))
    if not len(rows):
        raise SwathError(
            "no location has its middle in the polygons",
            where=f"{path}, for --within",
            remedy="draw them larger, or look for a point: --at",
        )
    places = index.table["uid"].iloc[rows].nunique()
    return rows, [*left_out.notes, f"{places:,} locations have their middle in the polygons"]


def _embedded(index: Index, image: Path, encoder: Path | None) -> Float64[ndarray, "1 d"]:
    """The unit vector of an image by the index's encoder, reduced as the index is."""
    lies = Path(index.header.encoder.path) if encoder is None else encoder
    if (ours := mark(lies).identity) != index.header.encoder.identity:
        raise ContractError(
            f"the index was made by another encoder ({index.header.encoder.identity[:12]}) than this ({ours[:12]})",
            where=str(lies),
            remedy=f"give the one that made it: {index.header.encoder.path}",
        )
    if not image.is_file():
        raise SwathError("there is no such image", where=str(image), remedy="mend the path")
    files = {"files": glob.escape(image.name)}
    found = embed(lies, image.parent, bands=index.header.bands, images=files).to_numpy()
    reduced = applied(index.header.reduction, index.path)(found.astype(np.float32)).astype(np.float64)
    return reduced / np.linalg.norm(reduced, axis=1, keepdims=True)


def middle_of(shapes: Sequence[object]) -> tuple[float, float] | None:
    """Longitude and latitude of the middle of some shapes on the sphere; None where none is known."""
    known = [shape for shape in shapes if isinstance(shape, shapely.Geometry)]
    if not known:
        return None
    points = np.radians([shapely.point_on_surface(shape).coords[0] for shape in known])
    xyz = np.stack(
        [np.cos(points[:, 1]) * np.cos(points[:, 0]), np.cos(points[:, 1]) * np.sin(points[:, 0]), np.sin(points[:, 1])]
    ).mean(axis=1)
    return float(np.degrees(np.arctan2(xyz[1], xyz[0]))), float(np.degrees(np.arctan2(xyz[2], np.hypot(*xyz[:2]))))


def kilometres(place: tuple[float, float] | None, shapes: Sequence[object]) -> Float[ndarray, " n"]:
    """Distance from a place to the middles of shapes; NaN where unknown."""
    apart = np.full(len(shapes), np.nan)
    for i, shape in enumerate(shapes):
        if place is not None and (middle := middle_of([shape])) is not None:
            apart[i] = WGS84.inv(*place, *middle)[2] / 1000
    return apart
