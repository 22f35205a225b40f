"""Two locations near each other: what lies close is taken for alike (Jean et al. 2019, Tile2Vec)."""

from typing import Annotated, Literal

import torch
from pydantic import Field

from swath.batch import Batch, View
from swath.settings import PluginSettings
from swath.views import presets
from swath.views._settings import Augment
from swath.views._types import Inputs, Nearby
from swath.views.policies._pair import pair
from swath.views.policies._select import both_dates, image_of, one_sensor, reads


class Config(
    PluginSettings,
    json_schema_extra={"examples": [{"bands": ["sentinel-2-l2a/B04", "sentinel-2-l2a/B08"], "within_m": 2000.0}]},
):
    """Two locations near each other, as in Tile2Vec (Jean et al. 2019): which bands, how near, how augmented."""

    name: Literal["neighbours"] = "neighbours"
    bands: Annotated[tuple[str, ...], Field(min_length=1)]
    """Band keys of one sensor: the encoder's channels."""
    within_m: float = Field(gt=0)
    """Largest distance between the centres of both locations, in metres."""
    augment: Augment = presets.moco_v2()
    second: Augment | None = None
    """Augmentation of the second view; None: the first one's."""


class Policy:
    """Roles `query`, of a location, and `key`, of another one of the training part, each on a date of its own.

    Locations without another one within the distance are left out, and counted. What is kept of a pair (in a queue of
    keys, say) stands under the first location's id.
    """

    def __init__(self, config: Config):
        one_sensor(config.bands)
        self.config = config
        self.reads = reads(config.bands)
        self.inputs = Inputs(len(config.bands), config.bands, fixed=True)
        self.dates = Nearby(config.within_m)
        self.most, self.gaps = None, False

    def __call__(self, batch: Batch, generator: torch.Generator) -> list[View]:
        """Both views."""
        config = self.config
        settings = (config.augment, config.second or config.augment)
        return pair(both_dates(image_of(batch, config.bands)), settings, generator)
