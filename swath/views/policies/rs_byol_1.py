"""RS-BYOL-1: one random optical band against one random radar channel (Jain et al. 2022, sections III and IV.C)."""

from typing import Annotated, Literal

import torch
from pydantic import Field

from swath.batch import Batch, View
from swath.settings import PluginSettings
from swath.views import presets
from swath.views._random import distinct
from swath.views._settings import Augment
from swath.views._types import Inputs
from swath.views.policies._pair import pair
from swath.views.policies._select import image_of, one_sensor, reads, take_channels

_EXAMPLE = {
    "optical": ["sentinel-2-l1c/B04", "sentinel-2-l1c/B08"],
    "radar": ["sentinel-1-grd/VV", "sentinel-1-grd/VH"],
}


class Config(PluginSettings, json_schema_extra={"examples": [_EXAMPLE]}):
    """RS-BYOL-1's views (Jain et al. 2022): the bands to draw from. The paper takes Sentinel-2's ten bands of
    10 and 20 m, and VV and VH.
    """

    name: Literal["rs-byol-1"] = "rs-byol-1"
    optical: Annotated[tuple[str, ...], Field(min_length=1)]
    """Band keys of the optical sensor."""
    radar: Annotated[tuple[str, ...], Field(min_length=1)]
    """Band keys of the radar."""
    augment: Augment = presets.rs_byol()
    shared_crop: bool = False
    """Cut and turn both views alike; the paper augments them independently."""


class Policy:
    """Roles `optical` and `radar`, one channel each, drawn anew for every sample."""

    def __init__(self, config: Config):
        for keys in (config.optical, config.radar):
            one_sensor(keys)
        self.config = config
        self.reads = reads((*config.optical, *config.radar))
        self.inputs = Inputs(1, (*config.optical, *config.radar), fixed=False)
        self.dates = 1
        self.most, self.gaps = None, False

    def __call__(self, batch: Batch, generator: torch.Generator) -> list[View]:
        """Both views."""
        config = self.config
        images = (image_of(batch, keys) for keys in (config.optical, config.radar))
        optical, radar = (
            take_channels(image, distinct(generator, len(image), 1, image.band_ids.shape[1])) for image in images
        )
        settings = (config.augment, config.augment)
        return pair((optical, radar), settings, generator, ("optical", "radar"), shared_crop=config.shared_crop)
