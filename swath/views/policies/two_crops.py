"""Two augmented views of the same chip: SimCLR, MoCo, BYOL and all that followed."""

from typing import Annotated, Literal

import torch
from pydantic import Field

from swath.batch import Batch, View
from swath.settings import PluginSettings
from swath.views import presets
from swath.views._settings import Augment
from swath.views._types import Inputs
from swath.views.policies._pair import pair
from swath.views.policies._select import image_of, one_sensor, reads


class Config(PluginSettings, json_schema_extra={"examples": [{"bands": ["sentinel-2-l2a/B04", "sentinel-2-l2a/B08"]}]}):
    """Which bands, and how both views are augmented."""

    name: Literal["two-crops"] = "two-crops"
    bands: Annotated[tuple[str, ...], Field(min_length=1)]
    """Band keys of one sensor: the encoder's channels."""
    augment: Augment = presets.moco_v2()
    second: Augment | None = None
    """Augmentation of the second view; None: the first one's."""


class Policy:
    """Roles `query` and `key`."""

    def __init__(self, config: Config):
        one_sensor(config.bands)
        self.config = config
        self.reads = reads(config.bands)
        self.inputs = Inputs(len(config.bands), config.bands, fixed=True)
        self.dates = 1
        self.most, self.gaps = None, False

    def __call__(self, batch: Batch, generator: torch.Generator) -> list[View]:
        """Both views."""
        image = image_of(batch, self.config.bands)
        return pair((image, image), (self.config.augment, self.config.second or self.config.augment), generator)
