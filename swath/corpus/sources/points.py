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
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two scalar labels are called {twice!r}")
        if unknown := next((name for name in self.units if name not in self.values), None):
            raise ValueError(f"units.{unknown}: no value is called that; {nearest(unknown, self.values)}")
        return self


def build(config: Config, target: Path, data: Path | None = None) -> None:
    """Make the corpus: a location of its own group for each point, in the file's order.

    Raises:
        CorpusError: a file cannot be read, has no such column, or a point lies nowhere on Earth or in two polygons.
    """
    if (target / "corpus.json").exists() and CorpusInfo.read(target).complete:
        return
    path = _path(config.file, data)
    points = _points(config, path)
    scalars = pd.DataFrame(points.drop(columns="geometry"))
    for number, area in enumerate(config.areas):
        scalars[area.column] = _lies_in(points, area, _path(area.file, data), f"corpus.source.areas.{number}.file")
    provenance = {"source": config.name, "settings": config.model_dump(mode="json"), "sha256": _sha256(path)}
    licences = [config.licence] if config.licence else []
    with CorpusWriter(target, {}, 1, units=config.units, provenance=provenance, licences=licences) as writer:
        if not writer.committed:
            writer.append(Part(_locations(points, scalars), []))
        writer.finish()


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
    found = gpd.GeoDataFrame({name: read[column] for name, column in config.values.items()}, geometry=read.geometry)
    if not config.uniform:
        return found
    lon, lat = _uniform(config.uniform, config.seed)
    more = gpd.GeoDataFrame(geometry=gpd.points_from_xy(lon, lat), crs="EPSG:4326").assign(origin="uniform")
    return gpd.GeoDataFrame(pd.concat([found.assign(origin="file"), more], ignore_index=True))


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
    polygons = vector.read(path, key).to_crs("EPSG:4326")
    if area.attribute is not None and area.attribute not in polygons:
        known = [str(name) for name in polygons.columns if name != polygons.geometry.name]
        raise CorpusError(
            f"the polygons have no attribute {area.attribute!r}",
            where=f"{path}, for {key}",
            remedy=nearest(area.attribute, known),
        )
    row, polygon = polygons.sindex.query(points.geometry, predicate="intersects")
    if area.attribute is None:
        there = np.isin(np.arange(len(points)), row)
        return [area.inside if one else area.outside for one in there]
    names: dict[int, Any] = {}
    for number, name in zip(row.tolist(), polygons[area.attribute].iloc[polygon], strict=True):
        if names.setdefault(number, name) != name:
            raise CorpusError(
                f"point {points.geometry.iloc[number]} lies in {names[number]} and in {name}",
                where=f"{path}, for {key}",
                remedy="mend the polygons, or move the point",
            )
    return [str(names[number]) if number in names else None for number in range(len(points))]


def _locations(points: gpd.GeoDataFrame, scalars: pd.DataFrame) -> list[Location]:
    """Ids are numbers in the order of the points."""
    lon, lat, digits = points.geometry.x, points.geometry.y, len(str(len(points) - 1))
    return [
        Location(uid=f"point-{number:0{digits}d}", lonlat=(float(x), float(y)), scalars=_known(labels))
        for number, (x, y, labels) in enumerate(zip(lon, lat, scalars.to_dict("records"), strict=True))
    ]


def _known(labels: dict[Any, Any]) -> dict[str, Any]:
    return {str(name): None if pd.isna(value) else value for name, value in labels.items()}
