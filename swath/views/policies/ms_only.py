"""Different random bands of the same optical chip: RS-BYOL without radar (Jain et al. 2022, section IV.C.1, iii)."""

from typing import Annotated, Literal

import torch
from pydantic import Field

from swath.batch import Batch, View
from swath.errors import RecipeError
from swath.settings import PluginSettings
from swath.views import presets
from swath.views._random import distinct
from swath.views._settings import Augment
from swath.views._types import Inputs
from swath.views.policies._pair import pair
from swath.views.policies._select import image_of, one_sensor, reads, take_channels


class Config(PluginSettings, json_schema_extra={"examples": [{"bands": ["sentinel-2-l1c/B04", "sentinel-2-l1c/B08"]}]}):
    """Different random bands of one optical chip: RS-BYOL without radar (Jain et al. 2022)."""

    name: Literal["ms-only"] = "ms-only"
    bands: Annotated[tuple[str, ...], Field(min_length=2)]
    """Band keys of one sensor; at least twice as many as channels, for no band is in both views."""
    channels: Literal[1, 3] = 1
    augment: Augment = presets.rs_byol()
    shared_crop: bool = False
    """Cut and turn both views alike; the paper augments them independently."""


class Policy:
    """Roles `query` and `key`."""

    def __init__(self, config: Config):
        one_sensor(config.bands)
        if len(config.bands) < 2 * config.channels:
            raise RecipeError(
                f"two views of {config.channels} bands cannot differ in all of them with {len(config.bands)} bands",
                where="bands",
                remedy=f"list at least {2 * config.channels} bands, or set channels to 1",
            )
        self.config = config
        self.reads = reads(config.bands)
        self.inputs = Inputs(config.channels, config.bands, fixed=False)
        self.dates = 1
        self.most, self.gaps = None, False

    def __call__(self, batch: Batch, generator: torch.Generator) -> list[View]:
        """Both views."""
        config, image = self.config, image_of(batch, self.config.bands)
        choice = distinct(generator, len(image), 2 * config.channels, len(config.bands))
        first, second = (take_channels(image, part) for part in choice.split(config.channels, dim=1))
        settings = (config.augment, config.augment)
        return pair((first, second), settings, generator, shared_crop=config.shared_crop)
