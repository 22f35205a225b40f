"""A table of points, such as stations or sightings: locations with scalar labels and no pixels.

It is what location encoders are judged on, and what species and the like are learnt from: where, and what was found.
"""

import hashlib
from pathlib import Path
from typing import Any, Literal

import geopandas as gpd
import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from swath.corpus.ground import vector
from swath.corpus.store import CorpusInfo, CorpusWriter, Location, Part
from swath.errors import CorpusError, nearest
from swath.settings import PluginSettings, Seed, Settings


class Area(Settings):
    """A scalar label that says in which polygon of a vector file a point lies."""

    column: str
    """Name of the scalar label."""
    file: Path
    """Polygons: GeoPackage, GeoJSON, Shapefile, FlatGeobuf or GeoParquet. A relative path is looked for in the data
    folder, and then where the command is run."""
    attribute: str | None = None
    """Column of the file whose value the label is; a point in no polygon has none."""
    inside: str = "inside"
    """The label of points in any polygon, where no attribute is named."""
    outside: str = "outside"
    """The label of all others, likewise."""


class Config(PluginSettings):
    """Which table, and what becomes of its columns."""

    name: Literal["points"] = "points"
    file: Path
    """CSV with longitude and latitude in degrees, or a file of points. A relative path is looked for in the data
    folder, and then where the command is run."""
    values: dict[str, str] = Field(default_factory=dict)
    """Scalar labels: name in the corpus -> column of the file."""
    units: dict[str, str] = Field(default_factory=dict)
    """Units of those that are numbers, by name in the corpus, `1` where they have none."""
    areas: tuple[Area, ...] = ()
    """Scalar labels from polygons."""
    uniform: int = Field(default=0, ge=0)
    """So many more points, evenly drawn on the sphere, with labels from polygons alone. A label `origin` then says
    `file` or `uniform`."""
    seed: Seed = 0
    """Seed of these points."""
    licence: str | None = None
    """Licence of the table."""

    @model_validator(mode="after")
    def _names_fit(self) -> "Config":
        names = [*self.values, *(area.column for area in self.areas), *(["origin"] if self.uniform else [])]
        if "geometry" in names:
            raise ValueError("'geometry' cannot be the name of a scalar label: points have theirs under that name")
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two scalar labels are called {twice!r}")
        if unknown := next((name for name in self.units if name not in self.values), None):
            raise ValueError(f"units.{unknown}: no value is called that; {nearest(unknown, self.values)}")
        return self


def build(config: Config, target: Path, data: Path | None = None) -> None:
    """Make the corpus: a location of its own group for each point, in the file's order.

    Raises:
        CorpusError: a file cannot be read, has no such column, or was changed since the corpus was made of it; a value
            with a unit is no number; or a point lies nowhere on Earth or in two polygons.
    """
    if (target / "corpus.json").exists() and CorpusInfo.read(target).complete:
        check_unchanged(config, target, data)
        return
    path, *layers = _files(config, data)
    points = _points(config, path)
    scalars = pd.DataFrame(points.drop(columns="geometry"))
    for number, (area, layer) in enumerate(zip(config.areas, layers, strict=True)):
        scalars[area.column] = _lies_in(points, area, layer, f"corpus.source.areas.{number}.file")
    provenance = {
        "source": config.name,
        "settings": config.model_dump(mode="json"),
        "sha256": _sha256(path),
        "areas_sha256": [_sha256(layer) for layer in layers],
    }
    licences = [config.licence] if config.licence else []
    with CorpusWriter(target, {}, 1, units=config.units, provenance=provenance, licences=licences) as writer:
        if not writer.committed:
            writer.append(Part(_locations(points, scalars), []))
        writer.finish()


def check_unchanged(config: Config, target: Path, data: Path | None = None) -> None:
    """Raise CorpusError where a corpus was made of files that are others now; those that are gone are not asked for."""
    made = next((one for one in CorpusInfo.read(target).provenance if one.get("source") == config.name), {})
    digests = [made.get("sha256"), *made.get("areas_sha256", [])]  # an earlier swath noted none of areas
    for file, digest in zip(_files(config, data), digests, strict=False):
        if digest and file.is_file() and _sha256(file) != digest:
            raise CorpusError(
                f"the corpus at {target} was made of this file before it was changed",
                where=str(file),
                remedy="give another folder for a new corpus, or remove that one to make it anew",
            )


def _files(config: Config, data: Path | None) -> list[Path]:
    """The table, and the polygons of each area."""
    return [_path(file, data) for file in (config.file, *(area.file for area in config.areas))]


def _path(file: Path, data: Path | None) -> Path:
    return data / file if data is not None and (data / file).is_file() else file


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _points(config: Config, path: Path) -> gpd.GeoDataFrame:
    """The points in WGS 84 with their labels, those of the file first."""
    read = vector.read(path, "corpus.source.file").to_crs("EPSG:4326")
    _check(read, path)
    for name, column in config.values.items():
        if column not in read:
            raise CorpusError(
                f"the table has no column {column!r}",
                where=f"{path}, for corpus.source.values.{name}",
                remedy=nearest(column, [str(known) for known in read.columns if known != read.geometry.name]),
            )
    for name in config.units:
        _check_numbers(pd.Series(read[config.values[name]]), name, path)
    found = gpd.GeoDataFrame({name: read[column] for name, column in config.values.items()}, geometry=read.geometry)
    if not config.uniform:
        return found
    lon, lat = _uniform(config.uniform, config.seed)
    more = gpd.GeoDataFrame(geometry=gpd.points_from_xy(lon, lat), crs="EPSG:4326").assign(origin="uniform")
    return gpd.GeoDataFrame(pd.concat([found.assign(origin="file"), more], ignore_index=True))


def _check_numbers(column: pd.Series, name: str, path: Path) -> None:
    """Raise CorpusError unless all values of a column that has a unit are numbers, or missing."""
    numbers = pd.Series(pd.to_numeric(column, errors="coerce")).to_numpy(dtype=float, na_value=np.nan)
    wrong = column.notna().to_numpy() & ~np.isfinite(numbers)
    if not wrong.any() and not pd.api.types.is_numeric_dtype(column):
        wrong = column.notna().to_numpy()  # numbers that are stored as text
    if wrong.any():
        row = int(wrong.argmax())
        raise CorpusError(
            f"{name} has a unit, and {int(wrong.sum())} of its values are no numbers, {column.iloc[row]!r} in row "
            f"{row + 1} first",
            where=f"{path}, for corpus.source.units.{name}",
            remedy="leave a cell empty where there is no number, and write decimal points; or name no unit: a text",
        )


def _check(read: gpd.GeoDataFrame, path: Path) -> None:
    """Raise CorpusError unless all are points on Earth."""
    good = (read.geom_type == "Point") & ~read.geometry.is_empty
    x, y = (getattr(read.geometry.where(good), axis).to_numpy(float) for axis in "xy")
    good &= (np.abs(x) <= 180) & (np.abs(y) <= 90)
    if not good.all():
        row = int((~good).to_numpy().argmax())
        raise CorpusError(
            f"{int((~good).sum())} rows are no points with a longitude within ±180 and a latitude within ±90 degrees, "
            f"row {row + 1} first: {read.geometry.iloc[row]}",
            where=str(path),
            remedy="mend the table",
        )


def _uniform(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Longitudes and latitudes that are as dense everywhere on the sphere."""
    rng = np.random.default_rng(seed)
    return rng.uniform(-180, 180, count), np.degrees(np.arcsin(rng.uniform(-1, 1, count)))


def _lies_in(points: gpd.GeoDataFrame, area: Area, path: Path, key: str) -> list[str | None]:
    """The label of each point; a border belongs to the polygon."""
    polygons = vector.in_degrees(vector.read(path, key))
    if area.attribute is not None and area.attribute not in polygons:
        known = [str(name) for name in polygons.columns if name != polygons.geometry.name]
        raise CorpusError(
            f"the polygons have no attribute {area.attribute!r}",
            where=f"{path}, for {key}",
            remedy=nearest(area.attribute, known),
        )
    _check_degrees(polygons, path, key)
    row, polygon = polygons.sindex.query(points.geometry, predicate="intersects")
    if area.attribute is None:
        there = np.isin(np.arange(len(points)), row)
        return [area.inside if one else area.outside for one in there]
    names: dict[int, str | None] = {}
    for number, value in zip(row.tolist(), polygons[area.attribute].iloc[polygon], strict=True):
        name = _name(value)
        if names.setdefault(number, name) != name:
            raise CorpusError(
                f"point {points.geometry.iloc[number]} lies in {names[number]} and in {name}",
                where=f"{path}, for {key}",
                remedy="mend the polygons, or move the point",
            )
    return [names.get(number) for number in range(len(points))]


def _name(value: Any) -> str | None:
    """What a polygon's attribute calls it: none where it is missing."""
    if pd.isna(value):
        return None
    # whole numbers come as floats where some are missing
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _check_degrees(polygons: gpd.GeoDataFrame, path: Path, key: str) -> None:
    """Raise CorpusError where polygons go on beyond the antimeridian: points on its other side would miss them."""
    west, south, east, north = polygons.total_bounds
    if not (min(west + 180, south + 90, 180 - east, 90 - north) >= -1e-6):
        raise CorpusError(
            f"the polygons reach from longitude {west:g} to {east:g} and from latitude {south:g} to {north:g}",
            where=f"{path}, for {key}",
            remedy="cut them at the antimeridian, such as with ogr2ogr -wrapdateline",
        )


def _locations(points: gpd.GeoDataFrame, scalars: pd.DataFrame) -> list[Location]:
    """Ids are numbers in the order of the points."""
    lon, lat, digits = points.geometry.x, points.geometry.y, len(str(len(points) - 1))
    return [
        Location(uid=f"point-{number:0{digits}d}", lonlat=(float(x), float(y)), scalars=_known(labels))
        for number, (x, y, labels) in enumerate(zip(lon, lat, scalars.to_dict("records"), strict=True))
    ]


def _known(labels: dict[Any, Any]) -> dict[str, Any]:
    return {str(name): None if pd.isna(value) else value for name, value in labels.items()}
