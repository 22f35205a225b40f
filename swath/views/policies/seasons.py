"""Two seasons of a location, each with its own augmentation: two-dates for series of many dates a year."""

from typing import Literal

import torch
from pydantic import Field

from swath.batch import Batch, View
from swath.views import presets
from swath.views._settings import Augment
from swath.views._types import Seasons
from swath.views.policies._one_sensor import OneSensorPolicy, OneSensorSettings
from swath.views.policies._pair import pair
from swath.views.policies._select import both_dates, image_of


class Config(OneSensorSettings, json_schema_extra={"examples": [{"bands": ["hls/RED", "hls/NIR"], "apart_days": 60}]}):
    """Two seasons of one location, like two-dates for series of many dates a year: what a season is, and how
    both views are augmented.
    """

    name: Literal["seasons"] = "seasons"
    apart_days: float = Field(default=60.0, gt=0, le=182)
    """Least distance of both dates within the year, whichever years they are of."""
    augment: Augment = presets.moco_v2()
    second: Augment | None = None
    """Augmentation of the second view; None: the first one's."""
    shared_crop: bool = False
    """Cut and turn both dates alike."""


class Policy(OneSensorPolicy[Config]):
    """Roles `query` and `key`; chance says which season is which. Locations of one season are left out, and counted."""

    def __init__(self, config: Config):
        super().__init__(config)
        self.dates = Seasons(config.apart_days)

    def __call__(self, batch: Batch, generator: torch.Generator) -> list[View]:
        """The two views of each location."""
        config = self.config
        settings = (config.augment, config.second or config.augment)
        dates = both_dates(image_of(batch, config.bands))
        return pair(dates, settings, generator, shared_crop=config.shared_crop)
