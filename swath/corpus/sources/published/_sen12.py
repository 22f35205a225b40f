"""What SEN12MS and DFC2020 have in common: patches of Sentinel-1 and Sentinel-2, and the contest's classes."""

from pathlib import Path

import numpy as np
from jaxtyping import Shaped
from numpy import ndarray

from swath import sensors
from swath.corpus.sources._position import check_same_place
from swath.corpus.sources._raster import File, Header, narrowed, read_whole
from swath.corpus.sources.published._images import chip_of, expect
from swath.corpus.store import Chip, LabelLayer, SensorLayout

OPTICAL, RADAR = "sentinel-2-l1c", "sentinel-1-grd"
PX = 256
_DFC = (
    ("Forest", "#009900"),
    ("Shrubland", "#c6b044"),
    ("Savanna", "#fbff13"),
    ("Grassland", "#b6ff05"),
    ("Wetlands", "#27ff87"),
    ("Croplands", "#c24f44"),
    ("Urban/Built-up", "#a5a5a5"),
    ("Snow/Ice", "#69fff8"),
    ("Barren", "#f9ffa4"),
    ("Water", "#1c0dff"),
)
DFC = LabelLayer(
    classes={code: name for code, (name, _) in enumerate(_DFC, 1)},
    colours={code: colour for code, (_, colour) in enumerate(_DFC, 1)},
    void=0,
)
"""The ten classes of the Data Fusion Contest 2020."""


def layouts() -> dict[str, SensorLayout]:
    """All 13 bands at the top of the atmosphere, and VV and VH in dB."""
    optical = SensorLayout.of(sensors.get(OPTICAL), gsd_m=10).model_copy(update={"nodata": None})
    return {OPTICAL: optical, RADAR: SensorLayout.of(sensors.get(RADAR), ("VV", "VH"), 10)}


def pixels(
    path: Path, root: Path, bands: int, dtypes: tuple[str, ...], of: tuple[File, Header] | None = None
) -> tuple[Shaped[ndarray, "c y x"], Header]:
    """A file of that many bands, 256 x 256 px and one of these types, that lies where another file does."""
    file = File(path, path.relative_to(root).as_posix())

    def check(head: Header) -> None:
        expect(file, head, bands, head.dtype if head.dtype in dtypes else dtypes[0], PX)
        if of is not None:
            check_same_place(file, head, *of)

    return read_whole(file, check)


def chips(uid: str, files: dict[str, Path], root: Path) -> tuple[list[Chip], tuple[File, Header]]:
    """The optical and the radar chip of a patch, which says no date, and the optical file with its header."""
    optical, radar = (File(files[kind], files[kind].relative_to(root).as_posix()) for kind in ("s2", "s1"))
    counts, head = pixels(files["s2"], root, 13, ("uint16",))
    power, _ = pixels(files["s1"], root, 2, ("float32", "float64"), (optical, head))
    power = narrowed(power, np.isfinite(power), radar)
    return [chip_of(uid, OPTICAL, counts, optical.name), Chip(uid, RADAR, power, source=radar.name)], (optical, head)
