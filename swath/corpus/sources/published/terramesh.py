"""TerraMesh patches (GeoTIFF): Sentinel-1 RTC and Sentinel-2 L2A with Esri land cover, 224 x 224 px."""

from pathlib import Path
from typing import Literal

import numpy as np

from swath import sensors
from swath.corpus.sources import _legends as legends
from swath.corpus.sources._contents import Contents
from swath.corpus.sources._names import Key, Names
from swath.corpus.sources._position import check_same_place
from swath.corpus.sources._raster import File, narrowed
from swath.corpus.sources.published._by_key import convert_by_key
from swath.corpus.sources.published._convert import (
    CorpusSpec,
    FormatSettings,
    Omissions,
    data_folder,
    files_by_key,
)
from swath.corpus.sources.published._images import codes, image, placed
from swath.corpus.store import Chip, LabelLayer, SensorLayout

OPTICAL, RADAR = "sentinel-2-l2a", "sentinel-1-rtc"
PX = 224
KINDS = {kind: Names(f"{kind}/{{cell}}.tif") for kind in ("S2L2A", "S1RTC", "LULC")}
COVER = LabelLayer(
    classes=dict(enumerate(legends.ESRI.classes.values(), 1)),
    colours=dict(enumerate(legends.ESRI.colours.values(), 1)),
    void=0,
)
"""Esri's land cover, numbered consecutively from 1 as in TerraMesh."""


class Config(FormatSettings):
    """TerraMesh (Blumenstiel et al. 2025). Its layout needs no settings beyond those of all published formats."""

    name: Literal["terramesh"] = "terramesh"


def build(config: Config, target: Path, data: Path | None = None) -> None:
    """Make the corpus, or continue one that was interrupted.

    Raises:
        RecipeError: no data folder.
        CorpusError: files are missing, damaged, or of another type or size.
    """
    root = data_folder(data)
    omissions = Omissions(config, root)
    files = files_by_key(root, KINDS, omissions)
    optical = SensorLayout.of(sensors.get(OPTICAL), gsd_m=10, dtype="int16")
    # Already in dB, unlike what the STAC catalogues serve under this name.
    radar = SensorLayout(bands=("VV", "VH"), gsd_m=10, dtype="float32")
    spec = CorpusSpec(PX, {OPTICAL: optical, RADAR: radar}, {"landcover": COVER}, ("CC-BY-SA-4.0",))

    def read(key: Key) -> Contents:
        return _read(files[key], key, root, spec)

    convert_by_key(target, spec, omissions, files, lambda key: key[0], read, ground="S2L2A")


def _read(files: dict[str, Path], key: Key, root: Path, spec: CorpusSpec) -> Contents:
    named = {kind: File(path, path.relative_to(root).as_posix()) for kind, path in files.items()}
    counts, head = image(named["S2L2A"], len(spec.sensors[OPTICAL].bands), "int16", PX)
    power, other = image(named["S1RTC"], 2, "float64", PX)
    check_same_place(named["S1RTC"], other, named["S2L2A"], head)
    chips = [
        Chip(key[0], OPTICAL, counts, source=named["S2L2A"].name),
        Chip(key[0], RADAR, narrowed(power, np.isfinite(power), named["S1RTC"]), source=named["S1RTC"].name),
    ]
    # 282D_485L_3_3: cell of the Major TOM grid, and row and column of the patch in it
    group = "_".join(key[0].split("_")[:2])
    cover = codes(named["LULC"], COVER, PX, (named["S2L2A"], head))
    contents = Contents()
    contents.add(placed(key[0], head, group=group), chips, {"landcover": cover}, spec.sensors)
    return contents
