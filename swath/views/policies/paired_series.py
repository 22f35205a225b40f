"""Two sensors' series of one location at common dates, cropped alike: what S4 compares (Shenoy et al. 2024,
section 4).
"""

from typing import Annotated, Literal

import torch
from pydantic import Field, model_validator

from swath.batch import Batch, View
from swath.errors import RecipeError
from swath.settings import PluginSettings
from swath.views._settings import Augment
from swath.views._types import Inputs
from swath.views.policies._pair import pair
from swath.views.policies._select import image_of, one_sensor, reads


class Config(
    PluginSettings,
    json_schema_extra={
        "examples": [
            {
                "bands": ["sentinel-2-l2a/B04", "sentinel-2-l2a/B08"],
                "other": ["sentinel-1-rtc/VV", "sentinel-1-rtc/VH"],
            }
        ]
    },
):
    """Two sensors' series of one location at common dates: S4's views (Shenoy et al. 2024)."""

    name: Literal["paired-series"] = "paired-series"
    bands: Annotated[tuple[str, ...], Field(min_length=1)]
    """Band keys of one sensor."""
    other: Annotated[tuple[str, ...], Field(min_length=1)]
    """Band keys of another one."""
    most: int | None = Field(default=None, ge=1)
    """Largest number of dates: of longer series so many random ones are read, in order; null: whole series."""
    gaps: bool = False
    """Keep dates without a usable pixel (all cloud), as gaps."""
    augment: Augment = Augment()
    """Augmentation of both series, which share crops and turns; each has its own colours. S4 uses none."""

    @model_validator(mode="after")
    def _two_sensors(self) -> "Config":
        if one_sensor(self.bands) == one_sensor(self.other):
            raise RecipeError(
                f"bands and other are both of {one_sensor(self.bands)}",
                remedy="give bands of two sensors, or choose the policy augmented-series",
            )
        return self


class Policy:
    """Roles `first` and `second`: series of equal length, of which date k of one is the nearest to date k of the other.

    The shorter series stays whole (`corpus.pairing`). Both have the same pixels on the ground.
    """

    def __init__(self, config: Config):
        self.config = config
        self.reads = reads((*config.bands, *config.other))
        both = (len(config.bands), len(config.other))
        self.inputs = Inputs(both[0], (*config.bands, *config.other), fixed=True, branches=both)
        self.dates = "paired"
        self.most, self.gaps = config.most, config.gaps

    def __call__(self, batch: Batch, generator: torch.Generator) -> list[View]:
        """Both views."""
        config = self.config
        images = (image_of(batch, config.bands), image_of(batch, config.other))
        return pair(images, (config.augment, config.augment), generator, ("first", "second"), shared_crop=True)
