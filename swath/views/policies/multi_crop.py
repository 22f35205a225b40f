"""Large and small crops of the same chip: DINO's views, and those of what followed it (multi-crop of SwAV)."""

from dataclasses import replace
from typing import Annotated, Literal

import torch
from pydantic import Field, model_validator

from swath.batch import Batch, Image, View
from swath.errors import RecipeError
from swath.settings import Settings
from swath.views import presets
from swath.views._augment import augment
from swath.views._settings import Augment
from swath.views.policies._one_sensor import OneSensorPolicy, OneSensorSettings
from swath.views.policies._select import image_of

_FIRST, _SECOND, _LOCAL = presets.dino()


class Crops(Settings):
    """Some crops that are augmented alike, each with its own draws."""

    number: int = Field(default=1, ge=1)
    augment: Augment = Augment()


class Config(
    OneSensorSettings,
    json_schema_extra={
        "examples": [
            {
                "bands": ["sentinel-2-l2a/B04", "sentinel-2-l2a/B08"],
                "global_crops": [{"number": 2, "augment": {"crop": {"scale": [0.4, 1.0]}, "hflip": 0.5}}],
                "local_crops": [{"number": 3, "augment": {"crop": {"size": 12, "scale": [0.05, 0.4]}}}],
            }
        ]
    },
):
    """Large and small crops of one chip, by default DINO's (Caron et al. 2021), for chips of 96 pixels and more."""

    name: Literal["multi-crop"] = "multi-crop"
    global_crops: Annotated[tuple[Crops, ...], Field(min_length=1)] = (Crops(augment=_FIRST), Crops(augment=_SECOND))
    """Large crops, seen by teacher and student."""
    local_crops: tuple[Crops, ...] = (Crops(number=8, augment=_LOCAL),)
    """Small crops, seen by the student only."""

    @model_validator(mode="after")
    def _something_to_compare(self) -> "Config":
        if sum(crops.number for crops in (*self.global_crops, *self.local_crops)) < 2:
            raise ValueError("one crop alone cannot be compared with anything: list two or more")
        return self


class Policy(OneSensorPolicy[Config]):
    """Roles `global-0`, `global-1` .., then `local-0` .., which are marked as local."""

    def __call__(self, batch: Batch, generator: torch.Generator) -> list[View]:
        """All crops, the global ones first.

        Raises:
            RecipeError: a crop has more pixels than the chip.
        """
        image = image_of(batch, self.config.bands)
        views = []
        for kind, groups in (("global", self.config.global_crops), ("local", self.config.local_crops)):
            settings = [crops.augment for crops in groups for _ in range(crops.number)]
            for i, how in enumerate(settings):
                _require_room(image, how)
                view = augment(image, how, generator, f"{kind}-{i}")
                views.append(replace(view, local=kind == "local"))
        return views


def _require_room(image: Image, how: Augment) -> None:
    size, (height, width) = how.crop.size, image.pixels.shape[-2:]
    if size is not None and size > min(height, width):
        raise RecipeError(
            f"a crop of {size} x {size} pixels of a chip of {height} x {width} would be made of pixels that are not "
            "there",
            where="views",
            remedy=f"set its crop.size to {min(height, width)} or less, or null for a chip's own size; local crops are "
            "usually 3/7 of the global ones' size",
        )
