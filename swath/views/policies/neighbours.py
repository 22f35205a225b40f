"""Two locations near each other: what lies close is taken for alike (Jean et al. 2019, Tile2Vec)."""

from typing import Literal

import torch
from pydantic import Field

from swath.batch import Batch, View
from swath.views import presets
from swath.views._settings import Augment
from swath.views._types import Nearby
from swath.views.policies._one_sensor import OneSensorPolicy, OneSensorSettings
from swath.views.policies._pair import pair
from swath.views.policies._select import both_dates, image_of


class Config(
    OneSensorSettings,
    json_schema_extra={"examples": [{"bands": ["sentinel-2-l2a/B04", "sentinel-2-l2a/B08"], "within_m": 2000.0}]},
):
    """Two locations near each other, as in Tile2Vec (Jean et al. 2019): which bands, how near, how augmented."""

    name: Literal["neighbours"] = "neighbours"
    within_m: float = Field(gt=0)
    """Largest distance between the centres of both locations, in metres."""
    augment: Augment = presets.moco_v2()
    second: Augment | None = None
    """Augmentation of the second view; None: the first one's."""


class Policy(OneSensorPolicy[Config]):
    """Roles `query`, of a location, and `key`, of another one of the training part, each on a date of its own.

    Locations without another one within the distance are left out, and counted. What is kept of a pair (in a queue of
    keys, say) stands under the first location's id.
    """

    def __init__(self, config: Config):
        super().__init__(config)
        self.dates = Nearby(config.within_m)

    def __call__(self, batch: Batch, generator: torch.Generator) -> list[View]:
        """Both views."""
        config = self.config
        settings = (config.augment, config.second or config.augment)
        return pair(both_dates(image_of(batch, config.bands)), settings, generator)
