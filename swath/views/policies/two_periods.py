"""CaCo's views: SeCo's four of the newer half of a location's dates, and four of the older half."""

from typing import Literal

import torch

from swath.batch import Batch, View
from swath.views import presets
from swath.views._settings import Augment
from swath.views.policies._one_sensor import OneSensorPolicy, OneSensorSettings
from swath.views.policies._seasons import halves, seasons
from swath.views.policies._select import image_of


class Config(
    OneSensorSettings, json_schema_extra={"examples": [{"bands": ["sentinel-2-l2a/B04", "sentinel-2-l2a/B08"]}]}
):
    """CaCo's views (Mall et al. 2023): SeCo's, once of the newer and once of the older half of a location's dates."""

    name: Literal["two-periods"] = "two-periods"
    augment: Augment = presets.moco_v2().model_copy(update={"vflip": 0.0})
    """Augmentation of two keys of each period; the other views are cropped only."""


class Policy(OneSensorPolicy[Config]):
    """Roles `new-query`, `new-key-0` .. `new-key-2`, then `old-`. The paper's periods are years apart.

    Three different dates where a period has as many. A location of one date is its own other period.
    """

    dates = "all"

    def __call__(self, batch: Batch, generator: torch.Generator) -> list[View]:
        """All eight views."""
        image = image_of(batch, self.config.bands)
        new, old = halves(image)
        augment = self.config.augment
        return [
            *seasons(image, new, augment, generator, "new-", replacement=False),
            *seasons(image, old, augment, generator, "old-", replacement=False),
        ]
