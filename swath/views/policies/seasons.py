"""Two seasons of a location, each with its own augmentation: two-dates for series of many dates a year."""

from typing import Annotated, Literal

import torch
from pydantic import Field

from swath.batch import Batch, View
from swath.settings import PluginSettings
from swath.views import presets
from swath.views._settings import Augment
from swath.views._types import Inputs, Seasons
from swath.views.policies._pair import pair
from swath.views.policies._select import both_dates, image_of, one_sensor, reads


class Config(PluginSettings, json_schema_extra={"examples": [{"bands": ["hls/RED", "hls/NIR"], "apart_days": 60}]}):
    """Which bands, what a season is, and how both views are augmented."""

    name: Literal["seasons"] = "seasons"
    bands: Annotated[tuple[str, ...], Field(min_length=1)]
    """Band keys of one sensor: the encoder's channels."""
    apart_days: float = Field(default=60.0, gt=0, le=182)
    """Least distance of both dates within the year, whichever years they are of."""
    augment: Augment = presets.moco_v2()
    second: Augment | None = None
    """Augmentation of the second view; None: the first one's."""
    shared_crop: bool = False
    """Cut and turn both dates alike."""


class Policy:
    """Roles `query` and `key`; chance says which season is which. Locations of one season are left out, and counted."""

    def __init__(self, config: Config):
        one_sensor(config.bands)
        self.config = config
        self.reads = reads(config.bands)
        self.inputs = Inputs(len(config.bands), config.bands, fixed=True)
        self.dates = Seasons(config.apart_days)
        self.most, self.gaps = None, False

    def __call__(self, batch: Batch, generator: torch.Generator) -> list[View]:
        """Both views."""
        config = self.config
        settings = (config.augment, config.second or config.augment)
        dates = both_dates(image_of(batch, config.bands))
        return pair(dates, settings, generator, shared_crop=config.shared_crop)
