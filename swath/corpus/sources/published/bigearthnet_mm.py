"""BigEarthNet-MM (GeoTIFF): pairs of Sentinel-1 and Sentinel-2 patches of 120 x 120 px with multi-labels of CORINE.

Bands of 20 m and 60 m are repeated to 10 m.
"""

import csv
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Shaped
from numpy import ndarray

from swath import sensors
from swath._progress import track
from swath.corpus.sources._contents import Contents
from swath.corpus.sources._names import in_order, what_is_there
from swath.corpus.sources._position import check_same_place
from swath.corpus.sources._raster import BadFileError, File, Header, enlarged
from swath.corpus.sources.published import _numpy as npy
from swath.corpus.sources.published._convert import CorpusSpec, FormatSettings, Omissions, convert, data_folder
from swath.corpus.sources.published._images import chip_of, image, outlines, placed, same_ground
from swath.corpus.store import Chip, SensorLayout
from swath.errors import CorpusError

OPTICAL, RADAR = "sentinel-2-l2a", "sentinel-1-grd"
PX = 120
SIZES = {10.0: 120, 20.0: 60, 60.0: 20}
"""Pixels a side by pixel size of a Sentinel-2 band, in metres."""
POLARISATIONS = ("VV", "VH")
METADATA = "_labels_metadata.json"
NINETEEN: dict[str, tuple[str, ...]] = {
    "Urban fabric": ("Continuous urban fabric", "Discontinuous urban fabric"),
    "Industrial or commercial units": ("Industrial or commercial units",),
    "Arable land": ("Non-irrigated arable land", "Permanently irrigated land", "Rice fields"),
    "Permanent crops": (
        "Vineyards",
        "Fruit trees and berry plantations",
        "Olive groves",
        "Annual crops associated with permanent crops",
    ),
    "Pastures": ("Pastures",),
    "Complex cultivation patterns": ("Complex cultivation patterns",),
    "Land principally occupied by agriculture, with significant areas of natural vegetation": (
        "Land principally occupied by agriculture, with significant areas of natural vegetation",
    ),
    "Agro-forestry areas": ("Agro-forestry areas",),
    "Broad-leaved forest": ("Broad-leaved forest",),
    "Coniferous forest": ("Coniferous forest",),
    "Mixed forest": ("Mixed forest",),
    "Natural grassland and sparsely vegetated areas": ("Natural grassland", "Sparsely vegetated areas"),
    "Moors, heathland and sclerophyllous vegetation": ("Moors and heathland", "Sclerophyllous vegetation"),
    "Transitional woodland, shrub": ("Transitional woodland/shrub",),
    "Beaches, dunes, sands": ("Beaches, dunes, sands",),
    "Inland wetlands": ("Inland marshes", "Peatbogs"),
    "Coastal wetlands": ("Salt marshes", "Salines"),
    "Inland waters": ("Water courses", "Water bodies"),
    "Marine waters": ("Coastal lagoons", "Estuaries", "Sea and ocean"),
}
"""The nomenclature of 19 classes, with the 43 CORINE classes that each is made of."""
DROPPED = (
    "Road and rail networks and associated land",
    "Port areas",
    "Airports",
    "Mineral extraction sites",
    "Dump sites",
    "Construction sites",
    "Green urban areas",
    "Sport and leisure facilities",
    "Bare rock",
    "Burnt areas",
    "Intertidal flats",
)
"""Those of the 43 classes that belong to none of the 19."""
TO_NINETEEN = {old: new for new, olds in NINETEEN.items() for old in olds}
LISTS = {part: f"bigearthnet-{part}.csv" for part in ("train", "val", "test")}
"""Official lists of pairs, `<Sentinel-2 patch>,<Sentinel-1 patch>` a line, which are used if present."""


class Config(FormatSettings):
    """BigEarthNet-MM (Sumbul et al. 2021). Its layout needs no settings beyond those of all published formats."""

    name: Literal["bigearthnet-mm"] = "bigearthnet-mm"


def build(config: Config, target: Path, data: Path | None = None) -> None:
    """Make the corpus, or continue one that was interrupted.

    Raises:
        RecipeError: no data folder.
        CorpusError: folders or files are missing, damaged, or of another type or size; a label is unknown.
    """
    root = data_folder(data)
    omissions = Omissions(config, root)
    pairs = _pairs(root, omissions)
    parts = _parts(root)
    optical = SensorLayout.of(sensors.get(OPTICAL), gsd_m=10).model_copy(update={"nodata": None})
    radar = SensorLayout.of(sensors.get(RADAR), POLARISATIONS, 10)
    spec = CorpusSpec(PX, {OPTICAL: optical, RADAR: radar}, licences=("CDLA-Permissive-1.0",))
    names = [key[0] for key in in_order((name,) for name in pairs)]

    def read(name: str) -> Contents:
        return _read(root, *pairs[name], spec, parts.get(name))

    finest = (pairs[name][0] / f"{name}_B02.tif" for name in names)
    convert(target, spec, omissions, names, lambda name: [name], read, outlines(finest, PX))


def _pairs(root: Path, omissions: Omissions) -> dict[str, tuple[Path, Path]]:
    """Folders of the optical and the radar patch of each pair, by the name of the optical patch."""
    optical = {path.name: path for path in root.glob("*/S2?_MSIL2A_*") if path.is_dir()}
    radar = [path for path in root.glob("*/S1?_IW_GRDH_*") if path.is_dir()]
    if not optical or not radar:
        missing = "S2?_MSIL2A_*" if not optical else "S1?_IW_GRDH_*"
        remedy = f"{what_is_there(root, missing)}; give the folder that holds the S1 and the S2 folder"
        raise CorpusError(f"no patch is named {missing}", where=str(root / "*"), remedy=remedy)
    pairs: dict[str, tuple[Path, Path]] = {}
    with ThreadPoolExecutor() as pool:
        for path, partner in zip(radar, track(pool.map(_partner, radar), len(radar), "pairing"), strict=True):
            if isinstance(partner, BadFileError):
                omissions.reject(partner, path.name)
            elif partner not in optical:
                omissions.reject(npy.bad(path, f"belongs to {partner}, which is missing"), path.name)
            else:
                pairs[partner] = (optical[partner], path)
    for name in sorted(optical.keys() - pairs.keys()):
        omissions.reject(npy.bad(optical[name], "has no Sentinel-1 patch"), name)
    return pairs


def _partner(folder: Path) -> str | BadFileError:
    """Name of the optical patch that a radar patch belongs to."""
    try:
        return _field(folder, "corresponding_s2_patch")
    except BadFileError as error:
        return error


def _field(folder: Path, *names: str) -> Any:
    """The first of these fields that a patch's metadata contain."""
    path = folder / f"{folder.name}{METADATA}"
    said = npy.document(path)
    for name in names:
        if isinstance(said, dict) and name in said:
            return said[name]
    raise npy.bad(path, f"does not say {names[0]}")


def _parts(root: Path) -> dict[str, str]:
    parts = {}
    for part, name in LISTS.items():
        if (root / name).is_file():
            with (root / name).open(newline="") as file:
                parts |= {row[0]: part for row in csv.reader(file) if row}
    return parts


def _read(root: Path, optical: Path, radar: Path, spec: CorpusSpec, split: str | None) -> Contents:
    counts, head = _bands(root, optical, spec.sensors[OPTICAL].bands, "uint16")
    power, other = _bands(root, radar, POLARISATIONS, "float32")
    same_ground(File(radar, radar.name), other, head)
    labels = _field(optical, "labels")
    if unknown := set(labels) - {*TO_NINETEEN, *DROPPED}:
        raise npy.bad(optical / f"{optical.name}{METADATA}", f"has the unknown label {min(unknown)!r}")
    chips = [
        chip_of(optical.name, OPTICAL, counts, optical.name, datetime=_date(optical, "acquisition_date")),
        Chip(optical.name, RADAR, power, datetime=_date(radar, "acquisition_time"), source=radar.name),
    ]
    few = {TO_NINETEEN[label] for label in labels if label in TO_NINETEEN}
    scalars = {"labels": "; ".join(labels), "labels_19": _joined(name for name in NINETEEN if name in few)}
    # S1A_IW_GRDH_1SDV_20170613T165043_33UUP_87_48: tile, column and row
    location = placed(optical.name, head, group=radar.name.split("_")[-3], split=split, scalars=scalars)
    contents = Contents()
    contents.add(location, chips, {}, spec.sensors)
    return contents


def _joined(names: Iterable[str]) -> str:
    return "; ".join(names)


def _bands(root: Path, folder: Path, bands: tuple[str, ...], dtype: str) -> tuple[Shaped[ndarray, "c y x"], Header]:
    """A patch's bands at 10 m, and the header of its finest."""
    files = [File(folder / f"{folder.name}_{band}.tif", f"{folder.relative_to(root)}/{band}") for band in bands]
    sizes = [PX if dtype == "float32" else SIZES[sensors.get(OPTICAL).band(band).gsd_m or 10.0] for band in bands]
    read = [image(file, 1, dtype, size) for file, size in zip(files, sizes, strict=True)]
    first, head = max(zip(files, (head for _, head in read), strict=True), key=lambda one: one[1].height)
    for file, (_, own) in zip(files, read, strict=True):
        check_same_place(file, own, first, head)
    return np.stack([enlarged(one[0], (PX, PX), file) for (one, _), file in zip(read, files, strict=True)]), head


def _date(folder: Path, name: str) -> datetime:
    text = str(_field(folder, name))
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError as error:
        raise npy.bad(folder / f"{folder.name}{METADATA}", f"says a date that cannot be understood: {text}") from error
