"""Integrated gradients: what each pixel, band and date adds on the straight way from no signal to the image.

Sundararajan et al. 2017, https://arxiv.org/abs/1703.01365. No signal is the mean of each band, which the network's own
standardisation turns into 0. All attributions sum up to f(image) - f(no signal).
"""

from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from swath.products.explain._explained import Explained, Images, Target, copies, one, with_pixels
from swath.products.explain.attributions._types import Attribution, by_band_and_date, summed
from swath.settings import PluginSettings

NEEDS_GRADIENT = True
BATCH = 32
"""Steps that are computed together."""


class Config(PluginSettings):
    """Integrated gradients (Sundararajan et al. 2017): in how many steps, and how exactly."""

    name: Literal["integrated-gradients"] = "integrated-gradients"
    steps: int = Field(default=32, ge=1)
    """Number of steps from no signal to the image; doubled until the attributions sum up to what they should."""
    most: int = Field(default=512, ge=1)
    """Number of steps that is never exceeded; what is missing then is said."""
    tolerance: float = Field(default=0.01, gt=0)
    """Share of the score's change by which the sum of all attributions may miss it."""


def attribute(config: Config, explained: Explained, images: Images, target: Target) -> Attribution:
    """Attributions of every pixel, band and date; `elsewhere` is what the network says of no signal."""
    each = (_of_one(config, explained, one(images, i), target.at(i)) for i in range(len(target.output)))
    values, nothing, gap = zip(*each, strict=True)
    by_pixel = {sensor: torch.cat([own[sensor] for own in values]) for sensor in images}
    return Attribution(summed(by_pixel), by_band_and_date(by_pixel, images), torch.cat(nothing), torch.cat(gap))


def _of_one(
    config: Config, explained: Explained, images: Images, target: Target
) -> tuple[dict[str, Tensor], Float[Tensor, "1"], Float[Tensor, "1"]]:
    """By pixel, the score of no signal, and what is missing as a share of the score's change."""
    blank, steps = explained.blank(images), config.steps
    with torch.no_grad():
        nothing = explained.score(with_pixels(images, blank), target)
        change = explained.score(images, target) - nothing
    while True:
        by_pixel = _integral(explained, images, blank, target, steps)
        total = torch.stack([values.sum() for values in by_pixel.values()]).sum()
        # of a change of nearly nothing no share can be missing
        gap = (total - change).abs() / torch.maximum(change.abs(), 1e-3 * nothing.abs() + 1e-6)
        if bool(gap <= config.tolerance) or 2 * steps > config.most:
            return by_pixel, nothing, gap
        steps *= 2


def _integral(
    explained: Explained, images: Images, blank: dict[str, Tensor], target: Target, steps: int
) -> dict[str, Float[Tensor, "1 t c h w"]]:
    """The way's length times the mean gradient in the middle of each step."""
    sums = {sensor: torch.zeros_like(values) for sensor, values in blank.items()}
    for shares in ((torch.arange(steps) + 0.5) / steps).split(BATCH):
        n = len(shares)
        share = shares.to(next(iter(blank.values())).device).view(n, 1, 1, 1, 1)
        on_the_way = {
            sensor: torch.lerp(blank[sensor].expand(n, -1, -1, -1, -1), image.pixels.expand(n, -1, -1, -1, -1), share)
            for sensor, image in images.items()
        }
        for values in on_the_way.values():
            values.requires_grad_()
        score = explained.score(with_pixels(copies(images, n), on_the_way), target.copies(n))
        gradients = torch.autograd.grad(
            score.sum(), list(on_the_way.values()), allow_unused=True, materialize_grads=True
        )
        for sensor, gradient in zip(on_the_way, gradients, strict=True):
            sums[sensor] += gradient.sum(dim=0, keepdim=True)
    return {sensor: (images[sensor].pixels - blank[sensor]) * sums[sensor] / steps for sensor in sums}
