"""Two sensors' pictures of a location: optical and radar, or two processing levels of one scene."""

from typing import Annotated, Literal

import torch
from pydantic import Field, model_validator

from swath.batch import Batch, View
from swath.errors import RecipeError
from swath.settings import PluginSettings
from swath.views import presets
from swath.views._settings import Augment
from swath.views._types import Inputs
from swath.views.policies._pair import pair
from swath.views.policies._select import image_of, one_sensor, reads


class Config(
    PluginSettings,
    json_schema_extra={
        "examples": [
            {
                "bands": ["landsat-oli-toa/B4", "landsat-oli-toa/B5"],
                "other": ["landsat-oli-sr/SR_B4", "landsat-oli-sr/SR_B5"],
            }
        ]
    },
):
    """One location as two sensors see it, such as optical and radar, at dates near each other."""

    name: Literal["other-sensor"] = "other-sensor"
    bands: Annotated[tuple[str, ...], Field(min_length=1)]
    """Band keys of one sensor."""
    other: Annotated[tuple[str, ...], Field(min_length=1)]
    """Band keys of another sensor. With as many bands, one network takes either sensor, channel by channel;
    with another number the encoder needs a branch per sensor."""
    augment: Augment = presets.moco_v2()
    second: Augment | None = None
    """Augmentation of the other sensor's view; None: the first one's."""
    shared_crop: bool = False
    """Cut and turn both alike."""

    @model_validator(mode="after")
    def _two_sensors(self) -> "Config":
        if one_sensor(self.bands) == one_sensor(self.other):
            raise RecipeError(
                f"bands and other are both of {one_sensor(self.bands)}",
                remedy="give bands of two sensors, or choose two-crops or two-dates",
            )
        return self


class Policy:
    """Roles `query` and `key`: a random date of the first sensor, and the other one's that is nearest in time."""

    def __init__(self, config: Config):
        self.config = config
        keys, counts = (*config.bands, *config.other), (len(config.bands), len(config.other))
        self.reads = reads(keys)
        alike = counts[0] == counts[1]
        self.inputs = Inputs(counts[0], keys, fixed=not alike, branches=() if alike else counts)
        self.dates = 1
        self.most, self.gaps = None, False

    def __call__(self, batch: Batch, generator: torch.Generator) -> list[View]:
        """Both views."""
        config = self.config
        images = (image_of(batch, config.bands), image_of(batch, config.other))
        settings = (config.augment, config.second or config.augment)
        return pair(images, settings, generator, shared_crop=config.shared_crop)
