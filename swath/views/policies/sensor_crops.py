"""A crop of a chip of each sensor: what an encoder of any bands is trained on."""

from typing import Annotated, Literal

import torch
from pydantic import Field

from swath.batch import Batch, View
from swath.settings import PluginSettings
from swath.views._augment import augment
from swath.views._settings import Augment, Crop
from swath.views._types import Inputs
from swath.views.policies._select import image_of, reads


class Config(
    PluginSettings,
    json_schema_extra={"examples": [{"bands": ["sentinel-2-l2a/B04", "sentinel-2-l2a/B08", "sentinel-1-rtc/VV"]}]},
):
    """A crop of a chip of each sensor, for an encoder that takes any bands of any of them (DOFA)."""

    name: Literal["sensor-crops"] = "sensor-crops"
    bands: Annotated[tuple[str, ...], Field(min_length=1)]
    """Band keys of one sensor or of several; those of a sensor make a view, in the order given."""
    augment: Augment = Augment(crop=Crop(scale=(0.2, 1.0)), hflip=0.5, vflip=0.5, quarter_turns=0.75)
    """As one-crop: crops, flips and turns alone."""


class Policy:
    """A role for each sensor, by its name: a random date of its own, cut and turned by itself."""

    def __init__(self, config: Config):
        self.config = config
        self.reads = reads(config.bands)
        self.crops = [tuple(f"{sensor}/{name}" for name in names) for sensor, names in self.reads.items()]
        keys = tuple(key for own in self.crops for key in own)
        self.inputs = Inputs(len(keys), keys, fixed=False, any_number=True)
        self.dates = 1
        self.most, self.gaps = None, False

    def __call__(self, batch: Batch, generator: torch.Generator) -> list[View]:
        """A view of each sensor."""
        return [
            augment(image_of(batch, own), self.config.augment, generator, sensor)
            for sensor, own in zip(self.reads, self.crops, strict=True)
        ]
