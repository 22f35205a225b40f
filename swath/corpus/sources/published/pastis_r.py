"""PASTIS-R (NumPy): Sentinel-1 and Sentinel-2 image series of French farmland with crop maps, five folds.

Also PASTIS, which has no radar: `sensors=[s2]`. The third channel of the radar files is VV - VH and not stored.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import geopandas as gpd
import numpy as np
from jaxtyping import Shaped
from numpy import ndarray
from pydantic import Field
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from swath import sensors
from swath.corpus.sources._contents import Contents, cells, window
from swath.corpus.sources._names import Key, Names, what_is_there
from swath.corpus.sources._raster import File
from swath.corpus.sources.published import _numpy as npy
from swath.corpus.sources.published._convert import (
    CorpusSpec,
    FormatSettings,
    Omissions,
    convert,
    data_folder,
    files_by_key,
)
from swath.corpus.sources.published._images import declared
from swath.corpus.store import Chip, LabelLayer, Location, SensorLayout
from swath.corpus.store.arrays import Compression
from swath.errors import CorpusError

OPTICAL, RADAR = "sentinel-2-l2a", "sentinel-1-grd"
BANDS = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
POLARISATIONS = ("VV", "VH")
PX = 128
NODATA = -10_000
CRS = "EPSG:2154"
"""Reference system of the outlines if metadata.geojson names none."""
FOLDS = 5
ORBITS = {"s1a": "ascending", "s1d": "descending"}
CLASSES = (
    ("Background", "#000000"),
    ("Meadow", "#aec7e8"),
    ("Soft winter wheat", "#ff7f0e"),
    ("Corn", "#ffbb78"),
    ("Winter barley", "#2ca02c"),
    ("Winter rapeseed", "#98df8a"),
    ("Spring barley", "#d62728"),
    ("Sunflower", "#ff9896"),
    ("Grapevine", "#9467bd"),
    ("Beet", "#c5b0d5"),
    ("Winter triticale", "#8c564b"),
    ("Winter durum wheat", "#c49c94"),
    ("Fruits, vegetables, flowers", "#e377c2"),
    ("Potatoes", "#f7b6d2"),
    ("Leguminous fodder", "#7f7f7f"),
    ("Soybeans", "#c7c7c7"),
    ("Orchard", "#bcbd22"),
    ("Mixed cereal", "#dbdb8d"),
    ("Sorghum", "#17becf"),
)
VOID = 19
"""Code of parcels that lie mostly outside their patch."""
LAYER = "crop"
KINDS = {
    "s2": Names("DATA_S2/S2_{id}.npy"),
    "s1a": Names("DATA_S1A/S1A_{id}.npy"),
    "s1d": Names("DATA_S1D/S1D_{id}.npy"),
    "labels": Names("ANNOTATIONS/TARGET_{id}.npy"),
}


class Config(FormatSettings):
    """PASTIS and PASTIS-R (Garnot and Landrieu 2021; Garnot et al. 2022): which series and folds to store, cut how."""

    name: Literal["pastis-r"] = "pastis-r"
    compression: Compression = "none"
    """How pixels are packed. By default they are not: they take the room of the original files, and dates and
    bands are read alone; `fast` takes two thirds of that."""
    sensors: tuple[Literal["s2", "s1a", "s1d"], ...] = Field(default=("s2", "s1a"), min_length=1)
    """Which series to store: optical, ascending radar, descending radar."""
    chip_px: int = Field(default=PX, ge=1, le=PX)
    """Side in pixels of the chips that patches are cut into."""
    folds: tuple[int, ...] = tuple(range(1, FOLDS + 1))
    """Only patches of these folds, a subset that the corpus's provenance names; files of others need not be there."""
    test_fold: int = Field(default=FOLDS, ge=1, le=FOLDS)
    """The fold that becomes the test part; the one before it is for validation, as in the official five splits."""


@dataclass(frozen=True, slots=True)
class _Patch:
    """What metadata.geojson states about a patch."""

    fold: int
    tile: str | None
    dates: dict[str, list[datetime]]
    """Dates by sensor, in the order of the array's first axis."""
    outline: BaseGeometry
    """Outline of the patch in WGS 84."""


def build(config: Config, target: Path, data: Path | None = None) -> None:
    """Make the corpus, or continue one that was interrupted.

    Raises:
        RecipeError: no data folder.
        CorpusError: files are missing, extra, truncated, or of another type or shape; dates do not fit the arrays.
    """
    root = data_folder(data)
    root = root / "PASTIS-R" if (root / "PASTIS-R").is_dir() else root
    omissions = Omissions(config, root)
    table = root / "metadata.geojson"
    if not table.exists():
        raise CorpusError("no metadata.geojson", where=str(root), remedy=what_is_there(root, table.name))
    patches = _patches(table, npy.document(table), config)
    kinds = {kind: KINDS[kind] for kind in (*config.sensors, "labels")}
    others = {key for key, patch in patches.items() if patch.fold not in config.folds}
    files = files_by_key(root, kinds, omissions, listed=set(patches), unused=("ParcelIDs_*.npy",), unwanted=others)

    def uids(key: Key) -> list[str]:
        return [uid for uid, _, _ in cells(key[0], (PX, PX), config.chip_px)]

    spec = _form(config, _radar_type(files.values()))
    convert(target, spec, omissions, list(files), uids, lambda key: _read(files[key], key, patches[key], spec, config))


def _radar_type(patches: Iterable[dict[str, Path]]) -> str:
    """Type in which radar is stored: half precision where all files have it, single precision otherwise."""
    paths = (files[kind] for files in patches for kind in ORBITS if kind in files)
    return "float32" if any(npy.type_of(path) == "float32" for path in paths) else "float16"


def _form(config: Config, radar_type: str) -> CorpusSpec:
    optical = SensorLayout.of(sensors.get(OPTICAL), BANDS, 10.0, "int16").model_copy(update={"nodata": float(NODATA)})
    layouts = {OPTICAL: optical} if "s2" in config.sensors else {}
    if set(config.sensors) & set(ORBITS):
        layouts[RADAR] = SensorLayout.of(sensors.get(RADAR), POLARISATIONS, 10.0, radar_type)
    names, colours = ({code: row[k] for code, row in enumerate(CLASSES)} for k in (0, 1))
    layer = LabelLayer(classes=names, colours=colours | {VOID: "#ffffff"}, void=VOID)
    return CorpusSpec(config.chip_px, layouts, {LAYER: layer})


def split_of(fold: int, test_fold: int) -> Literal["train", "val", "test"]:
    """Part of a fold: folds 1 to 3 train, 4 validates and 5 tests, turned round as the official splits are."""
    if fold == test_fold:
        return "test"
    return "val" if fold == (test_fold - 2) % FOLDS + 1 else "train"


# -- the table ---------------------------------------------------------------------------------------------------------


def _patches(path: Path, table: Any, config: Config) -> dict[Key, _Patch]:
    try:
        features = table["features"]
        crs = table.get("crs", {}).get("properties", {}).get("name", CRS)
        outlines = gpd.GeoSeries([shape(feature["geometry"]) for feature in features], crs=crs).to_crs("EPSG:4326")
        return {
            (str(feature["properties"]["ID_PATCH"]),): _patch(path, feature["properties"], outline, config)
            for feature, outline in zip(features, outlines, strict=True)
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise CorpusError(f"{path.name} lacks {error}", where=str(path), remedy="get the file again") from error


def _patch(path: Path, said: dict[str, Any], outline: BaseGeometry, config: Config) -> _Patch:
    fold = int(said["Fold"])
    if not 1 <= fold <= FOLDS:
        raise CorpusError(f"{path.name} knows a fold {fold}", where=str(path), remedy="folds go from 1 to 5")
    stamps = {kind: npy.dates(path, said[f"dates-{kind.upper()}"]) for kind in config.sensors}
    return _Patch(fold, said.get("TILE"), stamps, outline)


# -- a patch -----------------------------------------------------------------------------------------------------------


def _read(files: dict[str, Path], key: Key, patch: _Patch, spec: CorpusSpec, config: Config) -> Contents:
    target = npy.array(files["labels"], ("uint8",), (3, PX, PX), config.max_image_gb)[0]
    labels = declared(target, spec.labels[LAYER], File(files["labels"], files["labels"].name))
    series = {kind: _series(files[kind], kind, patch.dates[kind], spec, config.max_image_gb) for kind in config.sensors}
    contents = Contents()
    for uid, row, column in cells(key[0], (PX, PX), config.chip_px):
        here = window(row, column, config.chip_px)
        chips = [
            Chip(
                uid,
                OPTICAL if kind == "s2" else RADAR,
                np.ascontiguousarray(counts[k][:, *here]),
                datetime=patch.dates[kind][k],
                source=files[kind].relative_to(files[kind].parents[1]).as_posix(),
                orbit=ORBITS.get(kind),
            )
            for kind, counts in series.items()
            for k in npy.in_time(patch.dates[kind])
        ]
        location = Location(
            uid,
            footprint=patch.outline if config.chip_px == PX else None,
            lonlat=_centre(patch.outline, row, column, config.chip_px),
            group=key[0],
            split=split_of(patch.fold, config.test_fold),
            scalars={"fold": patch.fold, "tile": patch.tile},
        )
        contents.add(location, chips, {LAYER: labels[here].astype(np.int64)}, spec.sensors)
    return contents


def _series(
    path: Path, kind: str, stamps: list[datetime], spec: CorpusSpec, limit_gb: float
) -> Shaped[ndarray, "t c y x"]:
    """Counts of all dates, in the file's order."""
    if kind == "s2":
        counts = npy.array(path, ("int16",), (None, len(BANDS), PX, PX), limit_gb)
    else:
        power = npy.array(path, ("float16", "float32"), (None, 3, PX, PX), limit_gb)
        counts = power[:, :2].astype(spec.sensors[RADAR].dtype)
    if len(counts) != len(stamps):
        raise npy.bad(path, f"has {len(counts)} images, but metadata.geojson lists {len(stamps)} dates of {kind}")
    return counts


def _centre(outline: BaseGeometry, row: int, column: int, px: int) -> tuple[float, float]:
    """Centre of a chip, to a few pixels: patches are nearly aligned with north."""
    west, south, east, north = outline.bounds
    x, y = ((index + 0.5) * px / PX for index in (column, row))
    return west + x * (east - west), north - y * (north - south)
