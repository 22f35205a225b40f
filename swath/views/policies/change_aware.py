"""Two dates of different periods of a location, or of one period where the location has changed between them."""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from swath._device import send
from swath.batch import Batch, Image, View
from swath.views import presets
from swath.views._random import uniform
from swath.views._settings import Augment
from swath.views.policies._one_sensor import OneSensorPolicy, OneSensorSettings
from swath.views.policies._pair import pair
from swath.views.policies._seasons import halves
from swath.views.policies._select import image_of, take_date, two_of

CELLS = 8
"""Cells a side that chips are averaged in before dates are compared: noise and shifts of a pixel then count little."""


class Config(OneSensorSettings, json_schema_extra={"examples": [{"bands": ["landsat-oli-sr/SR_B4"], "limit": 2.0}]}):
    """Two dates that show one place: of different periods, or of one where the place has changed between them."""

    name: Literal["change-aware"] = "change-aware"
    limit: float = Field(default=2.0, gt=0)
    """A location has changed where dates of its newer and its older half differ more than so many times as much as
    dates of one half do, in mean squared difference."""
    augment: Augment = presets.moco_v2()
    second: Augment | None = None
    """Augmentation of the second view; None: the first one's."""
    shared_crop: bool = False
    """Cut and turn both dates alike."""


class Policy(OneSensorPolicy[Config]):
    """Roles `query` and `key`; chance says which date is which. CaCo's idea (Mall et al. 2023), by pixels instead of
    features, for any method of two views. Locations of fewer than four dates count as unchanged.
    """

    dates = "all"

    def __call__(self, batch: Batch, generator: torch.Generator) -> list[View]:
        """The two views of each location."""
        config, image = self.config, image_of(batch, self.config.bands)
        new, old = halves(image)
        luck = send(uniform(generator, (len(image), 2)), new.device)
        period = torch.where(luck[:, :1] < 0.5, new, old)
        alike = two_of(period, generator)
        first, _ = two_of(new, generator)
        elsewhere = old & (torch.arange(old.shape[1], device=old.device) != first[:, None])
        second, _ = two_of(torch.where(elsewhere.any(dim=1, keepdim=True), elsewhere, old), generator)
        apart = (torch.where(luck[:, 1] < 0.5, a, b) for a, b in ((first, second), (second, first)))
        changed = between_over_within(image, new, old) > config.limit
        dates = (torch.where(changed, a, b) for a, b in zip(alike, apart, strict=True))
        images = [take_date(image, date) for date in dates]
        settings = (config.augment, config.second or config.augment)
        return pair((images[0], images[1]), settings, generator, shared_crop=config.shared_crop)


def between_over_within(image: Image, new: Bool[Tensor, "b t"], old: Bool[Tensor, "b t"]) -> Float[Tensor, " b"]:
    """Mean squared difference of dates of different halves over that of dates of one half; 0 where a half has no two.

    Args:
        image: whole series.
        new: dates of the newer half.
        old: dates of the older half; a date of both halves counts in neither comparison of itself.
    """
    difference, known = _differences(image)
    others = known & ~torch.eye(new.shape[1], dtype=torch.bool, device=new.device)
    only_new, only_old = (new & ~old)[:, :, None], (old & ~new)[:, :, None]
    within = others & ((only_new & only_new.mT) | (only_old & only_old.mT))
    between = others & ((only_new & only_old.mT) | (only_old & only_new.mT))
    ratio = _mean(difference, between) / _mean(difference, within)
    return ratio.nan_to_num(0.0, posinf=torch.inf)


def _differences(image: Image) -> tuple[Float[Tensor, "b t t"], Bool[Tensor, "b t t"]]:
    """Mean squared difference of each two dates, over cells that both show and over bands of a variance of 1; and
    whether there are such cells."""
    valid = image.valid[:, :, None].float()
    share = adaptive_avg_pool2d(valid.flatten(0, 1), CELLS).unflatten(0, valid.shape[:2])
    cells = adaptive_avg_pool2d((image.pixels * valid).flatten(0, 1), CELLS).unflatten(0, valid.shape[:2])
    cells = cells / share.clamp(min=1e-6)
    seen = (share > 0.5).float()
    count = seen.sum(dim=(1, 3, 4), keepdim=True).clamp(min=1)
    centred = (cells - (cells * seen).sum(dim=(1, 3, 4), keepdim=True) / count) * seen
    deviation = (centred.square().sum(dim=(1, 3, 4), keepdim=True) / count).sqrt().clamp(min=1e-12)
    x, m = (centred / deviation).flatten(2), seen.expand_as(cells).flatten(2)
    both = m @ m.mT
    square = x.square() @ m.mT
    return (square + square.mT - 2 * x @ x.mT) / both.clamp(min=1), both > 0


def _mean(values: Float[Tensor, "b t t"], chosen: Bool[Tensor, "b t t"]) -> Float[Tensor, " b"]:
    """Mean of the chosen values; NaN where there are none."""
    return (values * chosen).sum(dim=(1, 2)) / chosen.sum(dim=(1, 2))
