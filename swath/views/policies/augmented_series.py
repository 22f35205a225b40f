"""A series and the same series augmented, pixel on pixel: the single-modal S4 (Shenoy et al. 2024, section 5.5)."""

from typing import Literal

import torch
from pydantic import Field

from swath.batch import Batch, View
from swath.views._settings import Augment, Blur, Jitter, Speckle
from swath.views.policies._one_sensor import OneSensorPolicy, OneSensorSettings
from swath.views.policies._pair import pair
from swath.views.policies._select import image_of


class Config(
    OneSensorSettings, json_schema_extra={"examples": [{"bands": ["sentinel-2-l2a/B04", "sentinel-2-l2a/B08"]}]}
):
    """A series and its augmented copy, pixel on pixel: the views of the single-modal S4 (Shenoy et al. 2024)."""

    name: Literal["augmented-series"] = "augmented-series"
    most: int | None = Field(default=None, ge=1)
    """Largest number of dates: of longer series so many random ones are read, in order; null: whole series."""
    gaps: bool = False
    """Keep dates without a usable pixel (all cloud), as gaps."""
    augment: Augment = Augment(
        brightness=Jitter(p=0.8),
        contrast=Jitter(p=0.8),
        blur=Blur(p=0.5),
        speckle=Speckle(p=0.5),
        date_dropout=0.1,
    )
    """Augmentation of the second view; the paper says "randomly augmented" and no more. Crops and flips are those of
    both views."""


class Policy(OneSensorPolicy[Config]):
    """Roles `first` and `second`: the same pixels at the same dates, the second with other colours."""

    dates = "all"

    def __init__(self, config: Config):
        super().__init__(config)
        self.most, self.gaps = config.most, config.gaps

    def __call__(self, batch: Batch, generator: torch.Generator) -> list[View]:
        """Both views."""
        image = image_of(batch, self.config.bands)
        only_cut = Augment(**{name: getattr(self.config.augment, name) for name in _GEOMETRY})
        settings = (only_cut, self.config.augment)
        return pair((image, image), settings, generator, ("first", "second"), shared_crop=True)


_GEOMETRY = ("crop", "hflip", "vflip", "quarter_turns", "rotation", "interpolation")
