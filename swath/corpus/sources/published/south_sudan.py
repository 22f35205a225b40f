"""SustainBench's crop types in South Sudan (NumPy): Sentinel-1 and Sentinel-2 series, 64 x 64 px, few labels.

Time is the last axis of the arrays, usually the newest image first; images are stored by the dates of the JSON files.
Planet's images are not read.
"""

from datetime import datetime
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Shaped, UInt16
from numpy import ndarray

from swath import sensors
from swath.corpus.sources._contents import Contents
from swath.corpus.sources._names import Key, Names
from swath.corpus.sources.published import _numpy as npy
from swath.corpus.sources.published._convert import (
    CorpusSpec,
    FormatSettings,
    Omissions,
    convert,
    data_folder,
    files_by_key,
)
from swath.corpus.sources.published._images import chip_of
from swath.corpus.store import Chip, LabelLayer, Location, SensorLayout
from swath.corpus.store.codes import whole_codes
from swath.errors import CorpusError

RADAR = "sentinel-1-grd"
PX = 64
BANDS = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
"""Bands of the first ten optical channels, the ones that are stored."""
POLARISATIONS = ("VV", "VH")
"""Polarisations of the first two radar channels; the third is their ratio."""
CROPS = LabelLayer(
    classes={1: "Sorghum", 2: "Maize", 3: "Rice", 4: "Groundnut"},
    colours={1: "#e6a532", 2: "#f6e05e", 3: "#3d9be9", 4: "#a0522d"},
    void=0,
)
"""The four crops that are judged; 0 is unlabelled, and rarer crops (above 4) become void too, as in the benchmark."""
LAYER = "crop"
PARTS: dict[int, Literal["train", "val", "test"]] = {0: "train", 1: "val", 2: "test"}
FOLDER = "southsudan"
LIST = "list_eval_partition.csv"
KINDS = {
    "images": Names(f"npy/{FOLDER}_{{id}}.npz"),
    "truth": Names(f"truth/{FOLDER}_{{id}}.npz"),
    "s1": Names(f"s1/s1_{FOLDER}_{{id}}.json"),
    "s2": Names(f"s2/s2_{FOLDER}_{{id}}.json"),
}
TYPES = ("int16", "uint16", "int32", "int64", "float32", "float64")


class Config(FormatSettings):
    """Crop types in South Sudan (SustainBench; Rustowicz et al. 2019): the processing level of the optical images."""

    name: Literal["south-sudan"] = "south-sudan"
    level: Literal["l1c", "l2a"] = "l1c"
    """Processing level of the optical images, which the files do not state: top of the atmosphere or surface."""


def build(config: Config, target: Path, data: Path | None = None) -> None:
    """Make the corpus, or continue one that was interrupted.

    Raises:
        RecipeError: no data folder.
        CorpusError: files are missing, damaged, or of another type or shape; dates do not fit the arrays.
    """
    root = data_folder(data)
    inner = (root / one for one in (FOLDER, f"africa_crop_type_mapping_v1.0/{FOLDER}"))
    root = next((folder for folder in inner if folder.is_dir()), root)
    omissions = Omissions(config, root)
    parts = _parts(root / LIST)
    files = files_by_key(root, KINDS, omissions, listed=set(parts))
    optical = f"sentinel-2-{config.level}"
    spec = CorpusSpec(
        PX,
        {
            optical: SensorLayout.of(sensors.get(optical), BANDS, 10.0),
            RADAR: SensorLayout.of(sensors.get(RADAR), POLARISATIONS, 10.0),
        },
        {LAYER: CROPS},
    )
    convert(
        target,
        spec,
        omissions,
        list(files),
        lambda key: key,
        lambda key: _read(files[key], key, spec, optical, parts[key], config.max_image_gb),
    )


def _parts(path: Path) -> dict[Key, Literal["train", "val", "test"]]:
    try:
        table = pd.read_csv(path)
        return {
            (f"{int(one):06d}",): PARTS[int(part)] for one, part in zip(table["id"], table["partition"], strict=True)
        }
    except (OSError, ValueError, KeyError) as error:
        raise CorpusError(
            f"the list of the split cannot be read: {error}", where=str(path), remedy="give the data set's own folder"
        ) from error


def _read(
    files: dict[str, Path],
    key: Key,
    spec: CorpusSpec,
    optical: str,
    part: Literal["train", "val", "test"],
    limit_gb: float,
) -> Contents:
    truth = npy.member(files["truth"], "truth", (*TYPES, "uint8", "int8"), (PX, PX), limit_gb)
    try:
        codes = whole_codes(truth, CROPS.void)
    except ValueError as error:
        raise npy.bad(files["truth"], str(error)) from None
    counts, stamps = _series(files, "s2", len(BANDS), limit_gb)
    power, radar_stamps = _series(files, "s1", len(POLARISATIONS), limit_gb)
    reflectance = _whole(counts, files["images"])
    chips = [
        chip_of(key[0], optical, reflectance[k], files["images"].name, datetime=stamps[k]) for k in npy.in_time(stamps)
    ]
    # images that fill up a series are 0 throughout, which is no decibel value of land
    chips += [
        Chip(
            key[0],
            RADAR,
            power[k].astype(np.float32),
            valid=(power[k] != 0).any(axis=0),
            datetime=radar_stamps[k],
            source=files["images"].name,
        )
        for k in npy.in_time(radar_stamps)
    ]
    labels = np.where(np.isin(codes, list(CROPS.classes)), codes, 0)
    contents = Contents()
    contents.add(Location(key[0], split=part), chips, {LAYER: labels}, spec.sensors)
    return contents


def _series(
    files: dict[str, Path], kind: str, bands: int, limit_gb: float
) -> tuple[Shaped[ndarray, "t c y x"], list[datetime]]:
    """The first bands of a series in the file's order, and its dates in the same order."""
    values = npy.member(files["images"], kind, TYPES, (None, PX, PX, None), limit_gb)
    said = npy.document(files[kind])
    stamps = npy.dates(files[kind], said.get("dates") if isinstance(said, dict) else None)
    if len(values) < bands:
        raise npy.bad(files["images"], f"has {len(values)} channels in {kind}, not {bands} or more")
    if values.shape[-1] != len(stamps):
        what = f"has {values.shape[-1]} images in {kind}, but {files[kind].name} lists {len(stamps)} dates"
        raise npy.bad(files["images"], what)
    return np.ascontiguousarray(np.moveaxis(values[:bands], -1, 0)), stamps


def _whole(counts: Shaped[ndarray, "t c y x"], path: Path) -> UInt16[ndarray, "t c y x"]:
    """Reflectance x 10,000 as unsigned 16-bit counts, whatever type the archive used; NaN becomes nodata."""
    filled = np.nan_to_num(counts, nan=0.0)
    if (filled < 0).any() or (filled > 65535).any() or (filled != np.rint(filled)).any():
        raise npy.bad(path, "holds optical values that are no whole numbers from 0 to 65535")
    return filled.astype(np.uint16)
