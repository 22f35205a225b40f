"""Two augmented views of the same chip: SimCLR, MoCo, BYOL and all that followed."""

from typing import Literal

import torch

from swath.batch import Batch, View
from swath.views import presets
from swath.views._settings import Augment
from swath.views.policies._one_sensor import OneSensorPolicy, OneSensorSettings
from swath.views.policies._pair import pair
from swath.views.policies._select import image_of


class Config(
    OneSensorSettings, json_schema_extra={"examples": [{"bands": ["sentinel-2-l2a/B04", "sentinel-2-l2a/B08"]}]}
):
    """Two augmented views of one chip, as for SimCLR (Chen et al. 2020), MoCo, BYOL and all that followed."""

    name: Literal["two-crops"] = "two-crops"
    augment: Augment = presets.moco_v2()
    second: Augment | None = None
    """Augmentation of the second view; None: the first one's."""


class Policy(OneSensorPolicy[Config]):
    """Roles `query` and `key`."""

    def __call__(self, batch: Batch, generator: torch.Generator) -> list[View]:
        """The two views of each chip."""
        image = image_of(batch, self.config.bands)
        return pair((image, image), (self.config.augment, self.config.second or self.config.augment), generator)
