"""L8 Biome: 96 Landsat 8 level-1 scenes of 2013 and 2014 in eight biomes, with hand-made cloud masks (USGS).

As torchgeo redistributes them: `<biome>/<scene>/<scene>.TIF` with eleven bands, the mask `<scene>_fixedmask.TIF`, and
the scene's `*_MTL.txt`. Shadow is known to be labelled in 32 of the 96 scenes only.
"""

import re
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import Field

from swath.corpus.sources.landsat import _validation as validation
from swath.corpus.sources.landsat._validation import LabelledScene, ValidationSettings
from swath.corpus.sources.published import Omissions, data_folder

SENSOR = "landsat-oli-toa"
SCENES = 96


class Config(ValidationSettings):
    """L8 Biome (Foga et al. 2017): how its scenes are cut and stored, and what to do where the files do not say
    enough.
    """

    name: Literal["l8-biome"] = "l8-biome"
    counts_per_step: float | None = Field(default=None, gt=0)
    """For copies of 8 bits: how many of the 65,536 counts one of their steps is (257 if 0..65535 became
    0..255). Nothing in the files states it, hence there is no default; files of 16 bits do not need it."""
    missing_metadata: Literal["error", "estimate"] = "error"
    """Scenes without `*_MTL.txt`: stop, or take the coefficients that all scenes share and the sun's elevation at the
    satellite's mean local time (about two degrees off)."""


def build(config: Config, target: Path, data: Path | None = None) -> None:
    """Make the corpus, or continue one that was interrupted.

    Raises:
        RecipeError: no data folder.
        CorpusError: no scene is there, or a file is missing or not as it should be.
    """
    folder = data_folder(data)

    def scene(path: Path) -> LabelledScene | None:
        match = re.fullmatch(r"LC8\d{6}(\d{7})[A-Z]{3}\d{2}\.TIF", path.name)
        if match is None:
            return None
        mask = path.with_name(f"{path.stem}_fixedmask.TIF")
        return validation.scene_of(folder, path, mask, datetime.strptime(match[1], "%Y%j"))

    scenes = validation.found(folder, "LC8*.TIF", scene, "barren/LC80420082013220LGN00/LC80420082013220LGN00.TIF")
    steps = {"uint16": 1.0, "uint8": config.counts_per_step}
    validation.build(
        config, target, folder, SENSOR, scenes, SCENES, steps, config.missing_metadata, Omissions(config, folder)
    )
