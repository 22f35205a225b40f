"""Whole series as they are, one view of each sensor: what masked modelling hides parts of."""

from typing import Annotated, Literal

import torch
from pydantic import Field

from swath.batch import Batch, View
from swath.settings import PluginSettings
from swath.views._augment import augment, draw_geometry
from swath.views._settings import Augment
from swath.views._types import Inputs
from swath.views.policies._select import image_of, reads


class Config(
    PluginSettings,
    json_schema_extra={"examples": [{"bands": ["sentinel-2-l2a/B04", "sentinel-2-l2a/B08", "sentinel-1-rtc/VV"]}]},
):
    """A view of each sensor, its whole series: which bands, and how many dates."""

    name: Literal["sensor-series"] = "sensor-series"
    bands: Annotated[tuple[str, ...], Field(min_length=1)]
    """Band keys of one sensor or of several; those of a sensor make a view, in the order given."""
    most: int | None = Field(default=None, ge=1)
    """So many random dates of longer series, in order; None: whole series."""
    gaps: bool = False
    """Keep dates without a usable pixel (all cloud), as gaps."""
    augment: Augment = Augment()
    """All series are cut and turned alike; each has its own colours. Nothing is changed unless it is asked for."""


class Policy:
    """A role for each sensor, by its name: its own dates, and the same pixels on the ground as the others'."""

    def __init__(self, config: Config):
        self.config = config
        self.reads = reads(config.bands)
        self.series = [tuple(f"{sensor}/{name}" for name in names) for sensor, names in self.reads.items()]
        counts = tuple(map(len, self.series))
        keys = tuple(key for own in self.series for key in own)
        self.inputs = Inputs(counts[0], keys, fixed=True, branches=counts if len(counts) > 1 else ())
        self.dates = "all"
        self.most, self.gaps = config.most, config.gaps

    def __call__(self, batch: Batch, generator: torch.Generator) -> list[View]:
        """A view of each sensor."""
        images = [image_of(batch, own) for own in self.series]
        chip = (images[0].pixels.shape[3], images[0].pixels.shape[4])
        shared = draw_geometry(self.config.augment, len(batch), chip, generator)
        roles = list(self.reads)
        return [
            augment(image, self.config.augment, generator, role, shared)
            for image, role in zip(images, roles, strict=True)
        ]
