"""Two dates of the same location, each with its own augmentation: seasonal contrast as in SSL4EO-S12 and SSL4EO-L."""

from typing import Literal

import torch

from swath.batch import Batch, View
from swath.views import presets
from swath.views._settings import Augment
from swath.views.policies._one_sensor import OneSensorPolicy, OneSensorSettings
from swath.views.policies._pair import pair
from swath.views.policies._select import image_of, take_date, two_dates


class Config(
    OneSensorSettings, json_schema_extra={"examples": [{"bands": ["landsat-oli-sr/SR_B4", "landsat-oli-sr/SR_B5"]}]}
):
    """Two dates of one location: seasonal contrast as in SSL4EO-S12 (Wang et al. 2023) and SSL4EO-L (Stewart et
    al. 2023).
    """

    name: Literal["two-dates"] = "two-dates"
    augment: Augment = presets.moco_v2()
    second: Augment | None = None
    """Augmentation of the second view; None: the first one's."""
    shared_crop: bool = False
    """Cut and turn both dates alike."""


class Policy(OneSensorPolicy[Config]):
    """Roles `query` and `key`; chance says which date is which. A location with one usable date is its own pair."""

    dates = 2

    def __call__(self, batch: Batch, generator: torch.Generator) -> list[View]:
        """The two views of each location."""
        config, image = self.config, image_of(batch, self.config.bands)
        first, second = (take_date(image, date) for date in two_dates(image, generator))
        settings = (config.augment, config.second or config.augment)
        return pair((first, second), settings, generator, shared_crop=config.shared_crop)
