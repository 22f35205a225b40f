"""L7 Irish: 206 Landsat 7 level-1 scenes of 2000 and 2001 in nine latitude zones, with hand-made cloud masks (USGS).

As torchgeo redistributes them: `<zone>/p<path>_r<row>/L71<path><row>_<row><date>.TIF` with nine bands of 8 bits, the
mask `L7_p<path>_r<row>_newmask2015.TIF`, and the scene's `*_MTL.txt`, by which counts become reflectance and kelvin.
"""

import re
from datetime import datetime
from pathlib import Path
from typing import Literal

from swath.corpus.sources.landsat import _validation as validation
from swath.corpus.sources.landsat._validation import LabelledScene, ValidationSettings
from swath.corpus.sources.published import Omissions, data_folder

SENSOR = "landsat-etm-toa"
SCENES = 206
BANDS = ("B10", "B20", "B30", "B40", "B50", "B61", "B62", "B70", "B80")
"""Band names in the data set; the sensor's own bands are in the same order."""


class Config(ValidationSettings):
    """L7 Irish (Scaramuzza et al. 2012; Foga et al. 2017): how its scenes are cut and stored."""

    name: Literal["l7-irish"] = "l7-irish"


def build(config: Config, target: Path, data: Path | None = None) -> None:
    """Make the corpus, or continue one that was interrupted.

    Raises:
        RecipeError: no data folder.
        CorpusError: no scene is there, or a file is missing or not as it should be.
    """
    folder = data_folder(data)

    def scene(path: Path) -> LabelledScene | None:
        match = re.fullmatch(r"L71\d{6}_\d{3}(\d{8})\.TIF", path.name)
        if match is None:
            return None
        mask = next(iter(sorted(path.parent.glob("L7_p*_r*_newmask2015.TIF"))), path.parent / "L7_newmask2015.TIF")
        return validation.scene_of(folder, path, mask, datetime.strptime(match[1], "%Y%m%d"))

    scenes = validation.found(folder, "L71*.TIF", scene, "austral/p226_r98/L71226098_09820011112.TIF")
    validation.build(config, target, folder, SENSOR, scenes, SCENES, {"uint8": 1.0}, "error", Omissions(config, folder))
