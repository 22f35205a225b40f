"""An augmented view of an image, and where it was taken: what SatCLIP compares (Klemmer et al. 2024)."""

from typing import Literal

import torch
from pydantic import Field

from swath.batch import Batch, View
from swath.views._augment import augment
from swath.views._settings import Augment, Blur
from swath.views._types import Inputs
from swath.views.policies._coordinates import LOCATION, location_view
from swath.views.policies._one_sensor import OneSensorSettings
from swath.views.policies._select import image_of, one_sensor, reads


class Config(
    OneSensorSettings, json_schema_extra={"examples": [{"bands": ["sentinel-2-l2a/B04", "sentinel-2-l2a/B08"]}]}
):
    """An augmented view of an image, and where it was taken, as for SatCLIP (Klemmer et al. 2024)."""

    name: Literal["image-and-location"] = "image-and-location"
    augment: Augment = Augment(hflip=0.5, vflip=0.5, blur=Blur(p=1.0, kernel=3))
    """SatCLIP's: flips, and a small blur."""
    jitter_deg: float = Field(default=0.01, ge=0)
    """Locations are moved at random within a box so many degrees wide, about a kilometre."""


class Policy:
    """Roles `image` and `location`. Locations without coordinates are left out of the training, and counted."""

    def __init__(self, config: Config):
        one_sensor(config.bands)
        self.config = config
        self.reads = reads((*config.bands, *LOCATION))
        both = (len(config.bands), len(LOCATION))
        self.inputs = Inputs(both[0], (*config.bands, *LOCATION), fixed=True, branches=both)
        self.dates = 1
        self.most, self.gaps = None, False

    def __call__(self, batch: Batch, generator: torch.Generator) -> list[View]:
        """Draw a view of each image, and one of its location."""
        image = augment(image_of(batch, self.config.bands), self.config.augment, generator, "image")
        return [image, location_view(batch, generator, self.config.jitter_deg)]
