"""MMEarth (Nedungadi et al. 2024): Sentinel-2, Sentinel-1 and land cover of 1.2 million tiles on one grid of 10 m.

`data_1M_v001.h5` (128 px), `data_1M_v001_64.h5` (64 px) or `data_100k_v001.h5`, with `…_splits.json` and
`…_tile_info.json`. Stored are Sentinel-2 (each tile has one level, L1C or L2A, in the years before baseline 04.00),
Sentinel-1 VV and VH of both passes, Dynamic World and WorldCover, and the tile's biome and ecoregion; if asked for,
ASTER elevation and canopy height, and the weather of ERA5. Left out is radar in HH and HV.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
from jaxtyping import Int64, Shaped
from numpy import ndarray
from pydantic import model_serializer

from swath import sensors
from swath._files import read_json
from swath.corpus.sources import _legends as legends
from swath.corpus.sources._contents import Contents
from swath.corpus.sources._names import what_is_there
from swath.corpus.sources._raster import BadFileError, File, check_size
from swath.corpus.sources.published import _hdf5
from swath.corpus.sources.published._convert import SKIP, CorpusSpec, FormatSettings, Omissions, convert, data_folder
from swath.corpus.sources.published._images import declared
from swath.corpus.store import Chip, Location, SensorLayout
from swath.errors import CorpusError, RecipeError

EDITIONS = ("data_1M_v001", "data_1M_v001_64", "data_100k_v001")
BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B8A", "B08", "B09", "B10", "B11", "B12")
"""Order of Sentinel-2 in the file: band 8A stands before band 8; band 10 is 0 where the level is L2A."""
LEVELS = {"l1c": "sentinel-2-l1c", "l2a": "sentinel-2-l2a"}
RADAR = "sentinel-1-grd"
PASSES = {"ascending": slice(0, 2), "descending": slice(4, 6)}
"""Channels VV and VH of a pass; VV, VH, HH, HV of the one are followed by those of the other."""
LAYERS = {"dynamic_world": legends.DYNAMIC_WORLD, "esa_worldcover": legends.WORLDCOVER}
MAPS = {"aster": "aster-gdem", "canopy_height_eth": "eth-canopy-height"}
"""Continuous maps by their names in the file, and as sensors."""
TALLEST_M = 100
"""Canopy heights above this are none: missing ones are 255, which becomes -1 or 127 in files of 8 bits with a sign."""
WEATHER = tuple(
    f"{when}_{what}"
    for when in ("previous_month", "month", "year")
    for what in ("mean_k", "lowest_k", "highest_k", "precipitation_m")
)
"""Columns of ERA5's twelve numbers, in the order of the file."""
_WANTED = {
    "sentinel2": ("uint16", 13),
    "sentinel1": ("float32", 8),
    "dynamic_world": ("uint8", 1),
    "esa_worldcover": ("uint8", 1),
    "sentinel2_scl": (None, 1),
    "sentinel2_cloudmask": (None, 1),
}
"""Type and channels of what is read."""
_SCL_CLOUD = (3, 8, 9, 10)
"""Cloud shadow, cloud of medium and high probability, cirrus."""
_QA60_CLOUD = 1 << 10 | 1 << 11


class Config(FormatSettings):
    """Settings of the source."""

    name: Literal["mmearth"] = "mmearth"
    radar: bool = True
    """Store Sentinel-1 as well."""
    labels: bool = True
    """Store Dynamic World and WorldCover as well."""
    maps: bool = False
    """Store elevation and slope, and canopy height and its deviation, as well."""
    weather: bool = False
    """Store temperatures and precipitation of the month, the month before and the year as columns as well."""

    @model_serializer(mode="wrap")
    def _without_what_is_not_asked_for(self, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        # settings that say nothing of these have the digest that they had before they were there
        said = handler(self)
        return {key: value for key, value in said.items() if value or key not in ("maps", "weather")}

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names in the file of what is read beside what always is."""
        return (*(MAPS if self.maps else ()), *(("era5",) if self.weather else ()))


@dataclass(frozen=True, slots=True)
class Archive:
    """An open HDF5 file and what lies beside it."""

    path: Path
    file: Any
    tiles: dict[str, dict[str, Any]]
    """The tile info, by id of the tile."""
    names: list[str]
    """Ids of the tiles in the order of the file."""
    parts: dict[int, str]
    """Part of the split, by position."""
    more: tuple[str, ...] = ()
    """Names of what is read beside what always is."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def px(self) -> int:
        """Width and height of a tile."""
        return int(self.file["sentinel2"].shape[-1])

    def read(self, name: str, position: int) -> Shaped[ndarray, "..."]:
        """One modality of a tile.

        Raises:
            BadFileError: it is damaged.
        """
        try:
            with self.lock:
                _hdf5.check_chunks(self.path, self.file[name], position)
                return self.file[name][position]
        except OSError as error:
            what = f"{name} of tile {self.names[position]} cannot be read: {str(error).splitlines()[0]}"
            raise BadFileError(what, where=str(self.path), remedy=SKIP) from error


def build(config: Config, target: Path, data: Path | None = None) -> None:
    """Make the corpus, or continue one that was interrupted.

    Raises:
        RecipeError: no data folder, or h5py is not installed.
        CorpusError: a file is missing or not as it should be.
    """
    folder = data_folder(data)
    with _opened(folder, config.max_image_gb, config.modalities) as archive:
        omissions = Omissions(config, folder)
        levels = {info.get("S2_type") for info in archive.tiles.values()}
        layouts = {LEVELS[level]: _optical(level) for level in LEVELS if level in levels}
        if config.radar:
            layouts[RADAR] = SensorLayout.of(sensors.get(RADAR), ("VV", "VH"), gsd_m=10)
        if config.maps:
            layouts |= {sensor: SensorLayout.of(sensors.get(sensor), gsd_m=10) for sensor in MAPS.values()}
        spec = CorpusSpec(archive.px, layouts, LAYERS if config.labels else {}, ("CC-BY-4.0",))
        positions = list(range(len(archive.names)))
        convert(
            target, spec, omissions, positions, lambda k: [archive.names[k]], lambda k: _contents_of(archive, k, spec)
        )


def _optical(level: str) -> SensorLayout:
    layout = SensorLayout.of(sensors.get(LEVELS[level]), gsd_m=10)
    return layout.model_copy(update={"nodata": None})


# -- opening -----------------------------------------------------------------------------------------------------------


@contextmanager
def _opened(folder: Path, limit_gb: float, more: Sequence[str] = ()) -> Iterator[Archive]:
    h5py = _h5py()
    places = [parent / f"{name}.h5" for name in EDITIONS for parent in (folder, folder / name)]
    path = next((path for path in places if path.is_file()), None)
    if path is None:
        known = ", ".join(f"{name}.h5" for name in EDITIONS)
        remedy = what_is_there(folder, f"{EDITIONS[0]}.h5")
        raise CorpusError(f"none of {known} is here", where=str(folder), remedy=remedy)
    tiles = _json(path.with_name(f"{path.stem}_tile_info.json"))
    splits = _json(path.with_name(f"{path.stem}_splits.json"))
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        what = f"{path.name} cannot be read: {str(error).splitlines()[0]}"
        raise CorpusError(what, where=str(path), remedy="get the file again") from error
    with file:
        yield _archive(path, file, tiles, splits, limit_gb, more)


def _archive(
    path: Path, file: Any, tiles: dict[str, Any], splits: Mapping[str, Any], limit_gb: float, more: Sequence[str]
) -> Archive:
    _hdf5.datasets(path, file)
    _check(path, file, more)
    for name in (*_WANTED, "biome", "eco_region", *more):
        check_size(File(path, f"{path.name}, {name}"), _hdf5.decoded_size(file[name], rows=1), limit_gb)
    names = _names(path, file["metadata"], limit_gb)
    if unknown := [name for name in names if name not in tiles]:
        what = f"{len(unknown)} tiles are not in the tile info, such as {unknown[0]}"
        raise CorpusError(what, where=str(path), remedy="get the file …_tile_info.json of this edition")
    parts = {int(k): part for part in ("train", "val", "test") for k in splits.get(part, ())}
    if parts and max(parts) >= len(names):
        what = f"the splits name tile {max(parts)}, there are {len(names)}"
        raise CorpusError(what, where=str(path), remedy="get the file …_splits.json of this edition")
    return Archive(path, file, {name: tiles[name] for name in names}, names, parts, tuple(more))


def _names(path: Path, table: Any, limit_gb: float) -> list[str]:
    """Ids of all tiles. Texts of any length are read one by one, since each of many may be as long as the file."""
    one_by_one, file = table.dtype.hasobject, File(path, f"{path.name}, metadata")
    check_size(file, _hdf5.decoded_size(table, rows=1) if one_by_one else _hdf5.decoded_size(table), limit_gb)
    _hdf5.check_chunks(path, table)
    names, size = [], 0
    for row in table if one_by_one else table[:]:
        names.append(row[0].decode())
        size += len(names[-1])
        check_size(file, size, limit_gb)
    return names


def _check(path: Path, file: Any, more: Sequence[str]) -> None:
    """Raise CorpusError unless the file holds what is read of it."""
    remedy = "get the file again"
    for name in (*_WANTED, "metadata", "biome", "eco_region", *more):
        if name not in file:
            raise CorpusError(f"{path.name} has no {name}", where=str(path), remedy=remedy)
    count, px = len(file["metadata"]), file["sentinel2"].shape[-1]
    wanted = _WANTED | {name: (None, 2) for name in more if name in MAPS}
    for name, (dtype, channels) in wanted.items():
        dataset = file[name]
        if dataset.shape != (count, channels, px, px) or dtype not in (None, dataset.dtype.name):
            what = (
                f"{name} is {dataset.dtype} {dataset.shape}, not {dtype or 'whole numbers'} {(count, channels, px, px)}"
            )
            raise CorpusError(what, where=str(path), remedy=remedy)
    if "era5" in more and file["era5"].shape != (count, len(WEATHER)):
        what = f"era5 is {file['era5'].shape}, not {(count, len(WEATHER))}"
        raise CorpusError(what, where=str(path), remedy=remedy)


def _json(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path)
    except FileNotFoundError as error:
        raise CorpusError(f"{path.name} is missing", where=str(path), remedy="get it beside the .h5 file") from error
    except ValueError as error:
        raise CorpusError(f"{path.name} is damaged: {error}", where=str(path), remedy="get the file again") from error
    if not isinstance(content, dict):
        raise CorpusError(f"{path.name} holds no table", where=str(path), remedy="get the file again")
    return content


def _h5py() -> ModuleType:
    try:
        import h5py
    except ImportError as error:
        raise RecipeError("mmearth needs h5py", remedy="pip install 'swath[netcdf]'") from error
    return h5py


# -- one tile ----------------------------------------------------------------------------------------------------------


def _contents_of(archive: Archive, position: int, spec: CorpusSpec) -> Contents:
    uid = archive.names[position]
    info = archive.tiles[uid]
    location = Location(
        uid,
        lonlat=_centre(archive, uid, info),
        split=archive.parts.get(position),
        scalars={name: _one_hot(archive.read(name, position)) for name in ("biome", "eco_region")}
        | _weather(archive, position),
    )
    chips = [_optical_chip(archive, position, uid, info, spec)]
    if RADAR in spec.sensors:
        power = archive.read("sentinel1", position)
        chips += [
            Chip(uid, RADAR, np.ascontiguousarray(power[channels]), source=f"{uid}/{name}", orbit=name)
            for name, channels in PASSES.items()
        ]
    chips += [_map_chip(archive, position, uid, name) for name in archive.more if name in MAPS]
    contents = Contents()
    contents.add(location, chips, {name: _codes(archive, name, position) for name in spec.labels}, spec.sensors)
    return contents


def _optical_chip(archive: Archive, position: int, uid: str, info: Mapping[str, Any], spec: CorpusSpec) -> Chip:
    level = info.get("S2_type")
    if level not in LEVELS:
        raise BadFileError(f"tile {uid} has no level: {level!r}", where=str(archive.path), remedy=SKIP)
    sensor = LEVELS[level]
    counts = archive.read("sentinel2", position)
    pixels = np.ascontiguousarray(counts[[BANDS.index(band) for band in spec.sensors[sensor].bands]])
    return Chip(
        uid,
        sensor,
        pixels,
        valid=(pixels != 0).any(axis=0),
        datetime=_date(archive, uid, info),
        cloud=_cloud(archive, position, level),
        source=uid,
    )


def _map_chip(archive: Archive, position: int, uid: str, name: str) -> Chip:
    """A continuous map; canopy heights that cannot be are missing."""
    values = archive.read(name, position).astype(np.int16)
    if name != "canopy_height_eth":
        return Chip(uid, MAPS[name], values, source=uid)
    there = (values >= 0) & (values <= TALLEST_M)
    return Chip(uid, MAPS[name], np.where(there, values, 255).astype(np.uint8), source=uid)


def _weather(archive: Archive, position: int) -> dict[str, float | int | str | bool | None]:
    """Temperatures in kelvin and precipitation in metres, by column; none where the file has none."""
    if "era5" not in archive.more:
        return {}
    values = archive.read("era5", position)
    known = np.isfinite(values)
    return {name: float(value) if ok else None for name, value, ok in zip(WEATHER, values, known, strict=True)}


def _cloud(archive: Archive, position: int, level: str) -> float | None:
    """Share of cloud: by the scene classification for L2A, by QA60 for L1C; None where the file has neither."""
    if level == "l2a":
        classes = archive.read("sentinel2_scl", position)
        return None if (classes == 255).all() else float(np.isin(classes, _SCL_CLOUD).mean())
    bits = archive.read("sentinel2_cloudmask", position)
    return None if (bits == 65535).all() else float((bits & _QA60_CLOUD != 0).mean())


def _codes(archive: Archive, name: str, position: int) -> Int64[ndarray, "y x"]:
    tile = File(archive.path, f"{name} of tile {archive.names[position]}")
    return declared(archive.read(name, position)[0], LAYERS[name], tile)


def _one_hot(vector: Shaped[ndarray, " k"]) -> int | None:
    """Position of the one; None where there is no one."""
    return int(vector.argmax()) if (vector == 1).any() else None


def _centre(archive: Archive, uid: str, info: Mapping[str, Any]) -> tuple[float, float]:
    try:
        return float(info["lon"]), float(info["lat"])
    except (KeyError, TypeError, ValueError) as error:
        raise BadFileError(f"tile {uid} has no coordinates", where=str(archive.path), remedy=SKIP) from error


def _date(archive: Archive, uid: str, info: Mapping[str, Any]) -> datetime:
    try:
        return datetime.strptime(str(info.get("S2_DATE")), "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise BadFileError(
            f"tile {uid} has no date: {info.get('S2_DATE')!r}", where=str(archive.path), remedy=SKIP
        ) from error
