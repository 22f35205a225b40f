"""SSL4EO-S12 v1.0 (Wang et al. 2023): Sentinel-1 GRD and Sentinel-2 L1C and L2A at 251,079 locations.

As unpacked: `{s1,s2c,s2a}/<7-digit location>/<scene>/<band>.tif`, 264 x 264 pixels of 10 m; bands of 20 and 60 m have
132 and 44, and every one of their pixels is repeated 2 or 6 times a side (nearest neighbour), as torchgeo reads them.
The 8-bit edition is another format, and v1.1 is `ssl4eo_s12_v1_1`.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Shaped
from numpy import ndarray

from swath import sensors
from swath.corpus.sources._contents import Contents, LogEntry
from swath.corpus.sources._position import check_same_place
from swath.corpus.sources._raster import BadFileError, File, Header, enlarged
from swath.corpus.sources.published._convert import SKIP, CorpusSpec, FormatSettings, Omissions, convert, data_folder
from swath.corpus.sources.published._images import chip_of, image, outlines, placed, same_ground, stranger
from swath.corpus.store import Chip, SensorLayout
from swath.errors import CorpusError

Modality = Literal["s1", "s2c", "s2a"]
SENSORS = {"s1": "sentinel-1-grd", "s2c": "sentinel-2-l1c", "s2a": "sentinel-2-l2a"}
PX = 264
SIZES = {10.0: 264, 20.0: 132, 60.0: 44}
"""Pixels a side by pixel size of a Sentinel-2 band, in metres."""
FINEST = ("VV.tif", "B2.tif")
"""The bands of 10 m of Sentinel-1 and Sentinel-2."""
_DATES = {"s1": r".{16}_(\d{8}T\d{6})", "s2c": r"(\d{8}T\d{6})", "s2a": r"(\d{8}T\d{6})"}
"""Position of the acquisition time within a scene's name."""


class Config(FormatSettings):
    """SSL4EO-S12 v1.0 (Wang et al. 2023): which of Sentinel-1 GRD, Sentinel-2 L1C and L2A to store."""

    name: Literal["ssl4eo-s12"] = "ssl4eo-s12"
    modalities: tuple[Modality, ...] = ()
    """Which of the data set's parts to store; by default those whose folders are there."""


def build(config: Config, target: Path, data: Path | None = None) -> None:
    """Make the corpus, or continue one that was interrupted.

    Raises:
        RecipeError: no data folder.
        CorpusError: no part of the data set is there, or a file is missing or not as it should be.
    """
    folder = data_folder(data)
    there = tuple(name for name in SENSORS if (folder / name).is_dir())
    wanted = config.modalities or there
    if not wanted or set(wanted) - set(there):
        raise CorpusError(
            f"no folder {min(set(wanted) - set(there), default='s1, s2c or s2a')} here",
            where=str(folder),
            remedy="give the folder that holds s1, s2c and s2a (data=PATH); v1.1 is the format ssl4eo-s12-v1-1",
        )
    omissions = Omissions(config, folder)
    places = _places(folder, tuple(name for name in SENSORS if name in wanted), omissions.log)
    spec = CorpusSpec(PX, {SENSORS[name]: layout(name) for name in wanted}, licences=("CC-BY-4.0",))
    units = sorted(places.items())
    known = outlines((path for uid, names in units for path in _first(folder / names[0] / uid)), PX)
    convert(
        target, spec, omissions, units, lambda unit: [unit[0]], lambda unit: _contents_of(folder, spec, *unit), known
    )


def layout(modality: str) -> SensorLayout:
    """How all bands of a part are stored: counts of reflectance (without offset, as the years precede baseline
    04.00), or dB.
    """
    layout = SensorLayout.of(sensors.get(SENSORS[modality]), ("VV", "VH") if modality == "s1" else None, gsd_m=10)
    return layout.model_copy(update={"nodata": None})


def _places(data: Path, modalities: tuple[str, ...], log: list[LogEntry]) -> dict[str, list[str]]:
    modalities_of: dict[str, list[str]] = {}
    for modality in modalities:
        for location in sorted((data / modality).iterdir()):
            if re.fullmatch(r"\d{7}", location.name) and location.is_dir():
                modalities_of.setdefault(location.name, []).append(modality)
            else:
                log.append(stranger(location, data))
    return modalities_of


def _first(location: Path) -> list[Path]:
    """A 10 m file that states where the location lies, if there is one."""
    scenes = sorted(path for path in location.iterdir() if path.is_dir())
    return [path for scene in scenes[:1] for name in FINEST if (path := scene / name).is_file()]


def _contents_of(data: Path, spec: CorpusSpec, uid: str, modalities: list[str]) -> Contents:
    heads: list[Header] = []
    chips: list[Chip] = []
    for modality in modalities:
        scenes = sorted(path for path in (data / modality / uid).iterdir() if path.is_dir())
        if not scenes:
            where = str(data / modality / uid)
            raise BadFileError(f"location {uid} has no scene", where=where, remedy=SKIP)
        for scene in scenes:
            pixels, head = _scene(scene, modality, spec.sensors[SENSORS[modality]].bands, data)
            name = scene.relative_to(data).as_posix()
            same_ground(File(scene, name), head, (heads or [head])[0])
            heads.append(head)
            chips.append(chip_of(uid, SENSORS[modality], pixels, name, datetime=date_of(scene.name, modality)))
    contents = Contents()
    contents.add(placed(uid, heads[0]), chips, {}, spec.sensors)
    return contents


def date_of(scene: str, modality: str) -> datetime:
    """Time of acquisition by the name of a scene.

    Raises:
        BadFileError: the name holds none.
    """
    match = re.match(_DATES[modality], scene)
    try:
        return datetime.strptime(match[1] if match else "", "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        raise BadFileError(
            f"the name of the scene {scene!r} holds no time",
            where=scene,
            remedy=SKIP,
        ) from None


def _scene(folder: Path, modality: str, names: Sequence[str], data: Path) -> tuple[Shaped[ndarray, "c y x"], Header]:
    """All bands on the grid of 10 m, and the header of the first that has this grid."""
    sensor = sensors.get(SENSORS[modality])
    bands, heads, files = [], [], []
    for name in names:
        path = folder / f"{re.sub('^B0', 'B', name)}.tif"
        file = File(path, path.relative_to(data).as_posix())
        size = PX if modality == "s1" else SIZES[sensor.band(name).gsd_m or 10.0]
        pixels, head = image(file, 1, sensor.dtype, size)
        bands.append(enlarged(pixels[0], (PX, PX), file))
        heads.append(head)
        files.append(file)
    finest, wanted = next((f, h) for f, h in zip(files, heads, strict=True) if h.height == PX)
    for file, head in zip(files, heads, strict=True):
        check_same_place(file, head, finest, wanted)
    return np.stack(bands), wanted
