"""One augmented view of a chip or of a few of its dates: for methods that hide parts of an image and ask for them."""

from typing import Literal

import torch
from pydantic import Field

from swath.batch import Batch, View
from swath.views._augment import augment
from swath.views._settings import Augment, Crop
from swath.views.policies._one_sensor import OneSensorPolicy, OneSensorSettings
from swath.views.policies._select import image_of


class Config(
    OneSensorSettings, json_schema_extra={"examples": [{"bands": ["sentinel-2-l2a/B04", "sentinel-2-l2a/B08"]}]}
):
    """One augmented view of a chip, or of several dates cut alike, as for MAE (He et al. 2022) and I-JEPA."""

    name: Literal["one-crop"] = "one-crop"
    dates: int = Field(default=1, ge=1)
    """So many random dates of each location, repeated where it has fewer."""
    augment: Augment = Augment(crop=Crop(scale=(0.2, 1.0)), hflip=0.5, vflip=0.5, quarter_turns=0.75)
    """Crops and flips alone, as MAE does it; nothing is up or down on the ground, so that quarter turns are added."""


class Policy(OneSensorPolicy[Config]):
    """Role `query`; all dates are cut and turned alike."""

    def __init__(self, config: Config):
        super().__init__(config)
        self.dates = config.dates

    def __call__(self, batch: Batch, generator: torch.Generator) -> list[View]:
        """The one view of each location."""
        return [augment(image_of(batch, self.config.bands), self.config.augment, generator, "query")]
