"""One augmented view of a chip or of a few of its dates: methods that hide parts of an image and ask for them."""

from typing import Annotated, Literal

import torch
from pydantic import Field

from swath.batch import Batch, View
from swath.settings import PluginSettings
from swath.views._augment import augment
from swath.views._settings import Augment, Crop
from swath.views._types import Inputs
from swath.views.policies._select import image_of, one_sensor, reads


class Config(PluginSettings, json_schema_extra={"examples": [{"bands": ["sentinel-2-l2a/B04", "sentinel-2-l2a/B08"]}]}):
    """Which bands and dates, and how the view is augmented."""

    name: Literal["one-crop"] = "one-crop"
    bands: Annotated[tuple[str, ...], Field(min_length=1)]
    """Band keys of one sensor: the encoder's channels."""
    dates: int = Field(default=1, ge=1)
    """So many random dates of each location, repeated where it has fewer."""
    augment: Augment = Augment(crop=Crop(scale=(0.2, 1.0)), hflip=0.5, vflip=0.5, quarter_turns=0.75)
    """Crops and flips alone, as MAE does it; nothing is up or down on the ground, so that quarter turns are added."""


class Policy:
    """Role `query`: all dates are cut and turned alike."""

    def __init__(self, config: Config):
        one_sensor(config.bands)
        self.config = config
        self.reads = reads(config.bands)
        self.inputs = Inputs(len(config.bands), config.bands, fixed=True)
        self.dates = config.dates
        self.most, self.gaps = None, False

    def __call__(self, batch: Batch, generator: torch.Generator) -> list[View]:
        """The view."""
        return [augment(image_of(batch, self.config.bands), self.config.augment, generator, "query")]
