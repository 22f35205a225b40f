"""One view: where a location lies. For encoders of the place alone (SINR; Cole et al. 2023)."""

from typing import Literal

import torch
from pydantic import Field

from swath.batch import Batch, View
from swath.settings import PluginSettings
from swath.views._types import Inputs
from swath.views.policies._coordinates import LOCATION, location_view
from swath.views.policies._select import reads


class Config(PluginSettings, json_schema_extra={"examples": [{}]}):
    """How far locations are moved."""

    name: Literal["location"] = "location"
    jitter_deg: float = Field(default=0.0, ge=0)
    """Locations are moved at random within a box so many degrees wide."""


class Policy:
    """Role `location`: one pixel of longitude and latitude."""

    def __init__(self, config: Config):
        self.config = config
        self.reads = reads(LOCATION)
        self.inputs = Inputs(len(LOCATION), LOCATION, fixed=True)
        self.dates = 1
        self.most, self.gaps = None, False

    def __call__(self, batch: Batch, generator: torch.Generator) -> list[View]:
        """Draw the view of each location."""
        return [location_view(batch, generator, self.config.jitter_deg)]
