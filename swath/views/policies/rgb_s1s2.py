"""RS-BYOL-3's variant RGB-S1S2: red, green and blue against one radar channel and two other optical bands.

Jain et al. 2022, section IV.C.2. The second view mixes two sensors, whose chips must lie on one grid.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field

from swath.batch import Batch, View
from swath.errors import RecipeError
from swath.settings import PluginSettings
from swath.views import presets
from swath.views._random import distinct
from swath.views._settings import Augment
from swath.views._types import Inputs
from swath.views.policies._pair import pair
from swath.views.policies._select import image_of, join, one_sensor, reads, take_channels

_EXAMPLE = {
    "rgb": ["sentinel-2-l1c/B04", "sentinel-2-l1c/B03", "sentinel-2-l1c/B02"],
    "optical": ["sentinel-2-l1c/B05", "sentinel-2-l1c/B08", "sentinel-2-l1c/B11"],
    "radar": ["sentinel-1-grd/VV", "sentinel-1-grd/VH"],
}


class Config(PluginSettings, json_schema_extra={"examples": [_EXAMPLE]}):
    """RS-BYOL's RGB-S1S2 views (Jain et al. 2022): the bands of the first view, and those to draw the second from."""

    name: Literal["rgb-s1s2"] = "rgb-s1s2"
    rgb: Annotated[tuple[str, ...], Field(min_length=3, max_length=3)]
    """Band keys of red, green and blue."""
    optical: Annotated[tuple[str, ...], Field(min_length=2)]
    """Band keys of the other bands of that sensor."""
    radar: Annotated[tuple[str, ...], Field(min_length=1)]
    """Band keys of the radar."""
    augment: Augment = presets.rs_byol(grey=0.2)
    shared_crop: bool = False
    """Cut and turn both views alike; the paper augments them independently."""


class Policy:
    """Roles `rgb` and `mixed`; the mixed view is valid where both sensors are, and has the radar channel first."""

    def __init__(self, config: Config):
        if both := set(config.rgb) & set(config.optical):
            raise RecipeError(f"{', '.join(sorted(both))} is in rgb and in optical", remedy="list it in rgb only")
        for keys in ((*config.rgb, *config.optical), config.radar):
            one_sensor(keys)
        self.config = config
        self.reads = reads((*config.rgb, *config.optical, *config.radar))
        self.inputs = Inputs(3, (*config.rgb, *config.optical, *config.radar), fixed=False)
        self.dates = 1
        self.most, self.gaps = None, False

    def __call__(self, batch: Batch, generator: torch.Generator) -> list[View]:
        """Both views."""
        config = self.config
        rgb, optical, radar = (image_of(batch, keys) for keys in (config.rgb, config.optical, config.radar))
        one = take_channels(radar, distinct(generator, len(radar), 1, len(config.radar)))
        two = take_channels(optical, distinct(generator, len(optical), 2, len(config.optical)))
        mixed = join(one, two)
        settings = (config.augment, config.augment)
        return pair((rgb, mixed), settings, generator, ("rgb", "mixed"), shared_crop=config.shared_crop)
