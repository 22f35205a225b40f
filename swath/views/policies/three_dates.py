"""SeCo's views: a query, an augmented other date, another date as it is, and the query's date augmented."""

from typing import Literal

import torch

from swath.batch import Batch, View
from swath.views import presets
from swath.views._settings import Augment
from swath.views.policies._one_sensor import OneSensorPolicy, OneSensorSettings
from swath.views.policies._seasons import seasons
from swath.views.policies._select import image_of


class Config(
    OneSensorSettings, json_schema_extra={"examples": [{"bands": ["sentinel-2-l2a/B04", "sentinel-2-l2a/B08"]}]}
):
    """SeCo's views (Mañas et al. 2021): a query and three keys from three dates of a location."""

    name: Literal["three-dates"] = "three-dates"
    augment: Augment = presets.moco_v2().model_copy(update={"vflip": 0.0})
    """Augmentation of two of the keys; the other views are cropped only."""


class Policy(OneSensorPolicy[Config]):
    """Roles `query`, `key-0` (aug of t1), `key-1` (t2), `key-2` (aug of t0); dates are drawn with replacement."""

    dates = "all"

    def __call__(self, batch: Batch, generator: torch.Generator) -> list[View]:
        """All four views."""
        image = image_of(batch, self.config.bands)
        present = image.valid.flatten(2).any(dim=2)
        return seasons(image, present, self.config.augment, generator, replacement=True)
