"""Reference cloud masks of ukis-csmask (Wieland et al. 2019): images of six bands at the top of the atmosphere.

`landsat5.npz`, `landsat7.npz`, `landsat8.npz`, `sentinel2.npz`, each with `img` (y, x, band; float32 reflectance: blue,
green, red, near infrared, two short-wave infrared) and `msk` (y, x, 1; class codes). Cut into chips; every pixel counts
as 30 m.
"""

from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32, Int64
from numpy import ndarray
from pydantic import Field

from swath import sensors
from swath.corpus.sources._contents import Contents, cells, window
from swath.corpus.sources._names import what_is_there
from swath.corpus.sources._raster import BadFileError, File
from swath.corpus.sources.published import _numpy as npy
from swath.corpus.sources.published._convert import CorpusSpec, FormatSettings, Omissions, convert, data_folder
from swath.corpus.sources.published._images import declared, stranger
from swath.corpus.store import Chip, LabelLayer, Location, SensorLayout
from swath.errors import CorpusError, RecipeError
from swath.sensors import Sensor

BANDS = {
    "landsat5": ("landsat-tm-toa", ("B1", "B2", "B3", "B4", "B5", "B7")),
    "landsat7": ("landsat-etm-toa", ("B1", "B2", "B3", "B4", "B5", "B7")),
    "landsat8": ("landsat-oli-toa", ("B2", "B3", "B4", "B5", "B6", "B7")),
    "sentinel2": ("sentinel-2-l1c", ("B02", "B03", "B04", "B08", "B11", "B12")),
}
"""Sensor and bands of each file."""
LAYER = LabelLayer(
    classes={0: "cloud shadow", 1: "water", 2: "snow/ice", 3: "land", 4: "cloud"},
    colours={0: "#4a5568", 1: "#2b6cb0", 2: "#bee3f8", 3: "#68ab5f", 4: "#f7fafc"},
)


class Config(FormatSettings):
    """Cloud masks of ukis-csmask (Wieland et al. 2019): how the four images are cut into chips and of which
    sensor they are.
    """

    name: Literal["cloudmask-ukis"] = "cloudmask-ukis"
    chip_px: int = Field(default=256, gt=0)
    """Side in pixels of the chips that images are cut into; chips of one image stay together in every split."""
    sensor: str | None = None
    """Store all images as of this sensor, such as one of your own with the six bands in their order, blue to short-wave
    infrared: then one network takes all of them. Each image's own sensor if not given."""


def build(config: Config, target: Path, data: Path | None = None) -> None:
    """Make the corpus, or continue one that was interrupted.

    Raises:
        RecipeError: no data folder.
        CorpusError: no file is there, or one is not as it should be.
    """
    folder = data_folder(data)
    omissions = Omissions(config, folder)
    paths = {path.stem: path for path in sorted(folder.glob("*.npz")) if path.stem in BANDS}
    if not paths:
        raise CorpusError(
            f"none of the files {', '.join(BANDS)}.npz is here",
            where=str(folder),
            remedy=what_is_there(folder, "landsat5.npz"),
        )
    omissions.log += [stranger(path, folder) for path in sorted(folder.glob("*.npz")) if path.stem not in BANDS]
    absent = [f"{name}.npz" for name in BANDS if name not in paths]
    omissions.log += [{"event": "missing file", "id": n, "what": "left out", "where": str(folder)} for n in absent]
    own = {name: layout(name, config.sensor) for name in paths}
    layouts = dict(own.values())
    spec = CorpusSpec(config.chip_px, layouts, {"cloud": LAYER}, ("Apache-2.0",))
    shapes = _shapes(paths, omissions)
    convert(
        target,
        spec,
        omissions,
        list(shapes),
        lambda name: [uid for uid, _, _ in cells(name, shapes[name], config.chip_px)],
        lambda name: _contents_of(name, paths[name], own[name][0], spec, config.max_image_gb),
    )


def layout(name: str, common: str | None = None) -> tuple[str, SensorLayout]:
    """Name of an image's sensor, its own or the common one, and its layout: reflectance as it stands.

    Raises:
        RecipeError: the common sensor is unknown, or has not six bands of reflectance.
    """
    sensor, bands = BANDS[name] if common is None else (common, _six_of(sensors.get(common)))
    layout = SensorLayout.of(sensors.get(sensor), bands, gsd_m=30, dtype="float32")
    return sensor, layout.model_copy(update={"nodata": None, "scale": (1.0,) * 6, "offset": (0.0,) * 6})


def _six_of(sensor: Sensor) -> tuple[str, ...]:
    bands = tuple(band.name for band in sensor.bands)
    if len(bands) != 6 or any(band.unit != "reflectance" for band in sensor.bands):
        raise RecipeError(
            f"{sensor.name} has the bands {', '.join(bands)}, not six of reflectance, from blue to short-wave infrared",
            where="corpus.source.sensor",
            remedy="describe such a sensor in the recipe's section `sensors`",
        )
    return bands


def _shapes(paths: dict[str, Path], omissions: Omissions) -> dict[str, tuple[int, int]]:
    """Sizes of the usable images."""
    shapes = {}
    for name, path in paths.items():
        try:
            shapes[name] = _arrays(path, omissions.settings.max_image_gb)[1].shape
        except BadFileError as error:
            omissions.reject(error, name)
    return shapes


def _arrays(path: Path, limit_gb: float) -> tuple[Float32[ndarray, "c y x"], Int64[ndarray, "y x"]]:
    """Image and mask.

    Raises:
        BadFileError: the file is damaged, or they are not what they should be.
    """
    image = npy.member(path, "img", ("float32",), (None, None, 6), limit_gb)
    mask = npy.member(path, "msk", ("uint8",), (*image.shape[:2], 1), limit_gb)
    return image.transpose(2, 0, 1), declared(mask[..., 0], LAYER, File(path, path.name))


def _contents_of(name: str, path: Path, sensor: str, spec: CorpusSpec, limit_gb: float) -> Contents:
    image, mask = _arrays(path, limit_gb)
    contents = Contents()
    for uid, row, column in cells(name, mask.shape, spec.chip_px):
        part = window(row, column, spec.chip_px)
        pixels = np.ascontiguousarray(image[:, *part])
        chip = Chip(uid, sensor, pixels, cloud=float((mask[part] == 4).mean()), source=path.name)
        contents.add(Location(uid, group=name), [chip], {"cloud": mask[part]}, spec.sensors)
    return contents
