"""NWPU-RESISC45 (Cheng et al. 2017): 31,500 aerial RGB pictures of 256 x 256 pixels, 45 classes of 700.

As unpacked: `NWPU-RESISC45/<class>/<class>_<number>.jpg`, and beside the folder the lists of a split.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field

from swath import sensors
from swath.corpus.sources._contents import Contents
from swath.corpus.sources._raster import File
from swath.corpus.sources.published._convert import CorpusSpec, FormatSettings, Omissions, convert, data_folder
from swath.corpus.sources.published._images import classified, image
from swath.corpus.store import Chip, Location, SensorLayout

SENSOR = "display-optical"
BANDS = ("red", "green", "blue")
CLASSES = (
    *("airplane", "airport", "baseball_diamond", "basketball_court", "beach", "bridge", "chaparral", "church"),
    *("circular_farmland", "cloud", "commercial_area", "dense_residential", "desert", "forest", "freeway"),
    *("golf_course", "ground_track_field", "harbor", "industrial_area", "intersection", "island", "lake", "meadow"),
    *("medium_residential", "mobile_home_park", "mountain", "overpass", "palace", "parking_lot", "railway"),
    *("railway_station", "rectangular_farmland", "river", "roundabout", "runway", "sea_ice", "ship", "snowberg"),
    *("sparse_residential", "stadium", "storage_tank", "tennis_court", "terrace", "thermal_power_station", "wetland"),
)
PX = 256


class Config(FormatSettings):
    """NWPU-RESISC45 (Cheng et al. 2017): which split and which classes to store."""

    name: Literal["resisc45"] = "resisc45"
    split: Literal["resisc45", "none"] = "resisc45"
    """First part of the names of the split's lists (arXiv 1911.06721, 60/20/20); `none` to store the images
    without a split."""
    gsd_m: float = Field(default=1.0, gt=0)
    """Nominal pixel size in metres: the pictures have 0.2 to 30 m, and none says which."""
    classes: tuple[str, ...] = ()
    """Only these classes, a subset that the corpus's provenance names; by default all, and all have to be there."""


def build(config: Config, target: Path, data: Path | None = None) -> None:
    """Make the corpus, or continue one that was interrupted.

    Raises:
        RecipeError: no data folder.
        CorpusError: pictures or lists are missing or not as they should be.
    """
    folder = data_folder(data)
    omissions = Omissions(config, folder)
    files = classified(folder, ("NWPU-RESISC45", "."), CLASSES, ".jpg", config.split, omissions.log, config.classes)
    layout = SensorLayout.of(sensors.get(SENSOR), BANDS, gsd_m=config.gsd_m)
    spec = CorpusSpec(PX, {SENSOR: layout})

    def contents_of(file: File) -> Contents:
        pixels, _ = image(file, len(BANDS), "uint8", PX)
        uid = file.path.stem
        location = Location(uid, split=file.fields.get("split"), scalars={"class": file.fields["class"]})
        contents = Contents()
        contents.add(location, [Chip(uid, SENSOR, pixels, source=file.name)], {}, spec.sensors)
        return contents

    convert(target, spec, omissions, files, lambda file: [file.path.stem], contents_of)
