"""EuroSAT (Helber et al. 2019): 27,000 Sentinel-2 L1C images of 64 x 64 pixels, 13 bands, ten classes.

As unpacked: `<class>/<class>_<number>.tif` (also in the folders that the archive nests), bands in the order B01 … B08,
B09 … B12, **B8A last**; the corpus holds them in the order of the sensor. Beside them lie the lists of a split.
"""

from pathlib import Path
from typing import Literal

import numpy as np

from swath import sensors
from swath.corpus.sources._contents import Contents
from swath.corpus.sources._raster import File
from swath.corpus.sources.published._convert import CorpusSpec, FormatSettings, Omissions, convert, data_folder
from swath.corpus.sources.published._images import chip_of, classified, image, outlines, placed
from swath.corpus.store import SensorLayout

SENSOR = "sentinel-2-l1c"
BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B09", "B10", "B11", "B12", "B8A")
"""Order of the bands in the files."""
CLASSES = (
    "AnnualCrop",
    "Forest",
    "HerbaceousVegetation",
    "Highway",
    "Industrial",
    "Pasture",
    "PermanentCrop",
    "Residential",
    "River",
    "SeaLake",
)
PX = 64
FOLDERS = ("ds/images/remote_sensing/otherDatasets/sentinel_2/tif", "EuroSATallBands", "EuroSAT_MS", ".")
"""Where the classes' folders may lie: as torchgeo's archive nests them, as in the newer archives, or at the top."""


class Config(FormatSettings):
    """EuroSAT (Helber et al. 2019): which official split and which classes to store."""

    name: Literal["eurosat"] = "eurosat"
    split: Literal["eurosat", "eurosat-spatial", "eurosat-100", "none"] = "eurosat"
    """First part of the names of the split's lists: `eurosat` (arXiv 1911.06721, 60/20/20 at random),
    `eurosat-spatial` (by longitude), `eurosat-100` (a hundred images); `none` to store the images without a
    split."""
    classes: tuple[str, ...] = ()
    """Only these classes, a subset that the corpus's provenance names; by default all, and all have to be there."""


def build(config: Config, target: Path, data: Path | None = None) -> None:
    """Make the corpus, or continue one that was interrupted.

    Raises:
        RecipeError: no data folder.
        CorpusError: images or lists are missing or not as they should be.
    """
    folder = data_folder(data)
    omissions = Omissions(config, folder)
    files = classified(folder, FOLDERS, CLASSES, ".tif", config.split, omissions.log, config.classes)
    layout = SensorLayout.of(sensors.get(SENSOR), gsd_m=10).model_copy(update={"nodata": None})
    order = np.array([BANDS.index(band) for band in layout.bands])
    spec = CorpusSpec(PX, {SENSOR: layout}, licences=("MIT",))

    def contents_of(file: File) -> Contents:
        pixels, head = image(file, len(BANDS), "uint16", PX)
        uid = file.path.stem
        location = placed(uid, head, split=file.fields.get("split"), scalars={"class": file.fields["class"]})
        contents = Contents()
        contents.add(location, [chip_of(uid, SENSOR, pixels[order], file.name)], {}, spec.sensors)
        return contents

    convert(
        target,
        spec,
        omissions,
        files,
        lambda file: [file.path.stem],
        contents_of,
        outlines((f.path for f in files), PX),
    )
