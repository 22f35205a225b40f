"""Two dates of the same location, each with its own augmentation: seasonal contrast as in SSL4EO-S12 and SSL4EO-L."""

from typing import Annotated, Literal

import torch
from pydantic import Field

from swath.batch import Batch, View
from swath.settings import PluginSettings
from swath.views import presets
from swath.views._settings import Augment
from swath.views._types import Inputs
from swath.views.policies._pair import pair
from swath.views.policies._select import image_of, one_sensor, reads, take_date, two_dates


class Config(
    PluginSettings, json_schema_extra={"examples": [{"bands": ["landsat-oli-sr/SR_B4", "landsat-oli-sr/SR_B5"]}]}
):
    """Which bands, and how both views are augmented."""

    name: Literal["two-dates"] = "two-dates"
    bands: Annotated[tuple[str, ...], Field(min_length=1)]
    """Band keys of one sensor: the encoder's channels."""
    augment: Augment = presets.moco_v2()
    second: Augment | None = None
    """Augmentation of the second view; None: the first one's."""
    shared_crop: bool = False
    """Cut and turn both dates alike."""


class Policy:
    """Roles `query` and `key`; chance says which date is which. A location with one usable date is its own pair."""

    def __init__(self, config: Config):
        one_sensor(config.bands)
        self.config = config
        self.reads = reads(config.bands)
        self.inputs = Inputs(len(config.bands), config.bands, fixed=True)
        self.dates = 2
        self.most, self.gaps = None, False

    def __call__(self, batch: Batch, generator: torch.Generator) -> list[View]:
        """Both views."""
        config, image = self.config, image_of(batch, self.config.bands)
        first, second = (take_date(image, date) for date in two_dates(image, generator))
        settings = (config.augment, config.second or config.augment)
        return pair((first, second), settings, generator, shared_crop=config.shared_crop)
