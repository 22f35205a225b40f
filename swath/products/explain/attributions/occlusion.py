"""Occlusion: how far the score falls where something is replaced by no signal, which is the mean of each band.

Zeiler and Fergus 2014, https://arxiv.org/abs/1311.2901, of squares of the image; and likewise of bands, of groups of
bands and of dates. It needs no gradient. What two bands say together is lost with either of them, so falls do not sum
up to anything.
"""

from collections.abc import Iterator
from typing import Literal

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor

from swath import sensors
from swath.products.explain._explained import Explained, Images, Target, copies, one, seen, size_of, with_pixels
from swath.products.explain.attributions._types import Attribution, Part, band_names
from swath.settings import PluginSettings

NEEDS_GRADIENT = False
BATCH = 64
"""Occluded images that are looked at together."""
Masks = dict[str, Bool[Tensor, "#t #c #h #w"]]
"""What is occluded, by sensor."""


class Config(PluginSettings):
    """Occlusion (Zeiler and Fergus 2014): the squares of the map, and which bands are occluded together."""

    name: Literal["occlusion"] = "occlusion"
    squares: int = Field(default=8, ge=1)
    """Number of squares along a side of the chip; no more than it has pixels."""
    groups: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Bands of a sensor that are occluded together, as keys `sensor/band`, by the group's name. If empty: the parts of
    the spectrum, visible to thermal infrared, and radar."""


def attribute(config: Config, explained: Explained, images: Images, target: Target) -> Attribution:
    """Falls of the score by square, band, group of bands and date."""
    maps, values, asked = [], [], list(_parts(config, images))
    squares = _squares(size_of(images), config.squares)
    for i in range(len(target.output)):
        own = one(images, i)
        masks = [_everywhere(own, square) for square in squares] + [masks for _, masks in asked]
        fell = _falls(explained, own, target.at(i), masks)
        maps.append(torch.einsum("k,khw->hw", fell[: len(squares)], torch.stack(squares).to(fell)))
        values.append(fell[len(squares) :])
    by_part = torch.stack(values, dim=1)
    parts = [Part(p.sensor, p.bands, p.date, by_part[k], p.name) for k, (p, _) in enumerate(asked)]
    return Attribution(torch.stack(maps) * seen(images), tuple(parts))


def _squares(size: tuple[int, int], along: int) -> list[Float[Tensor, "h w"]]:
    """Masks of the squares that a grid falls into."""
    height, width = size
    rows, columns = min(along, height), min(along, width)
    row = torch.arange(height) * rows // height
    column = torch.arange(width) * columns // width
    number = row[:, None] * columns + column
    return [(number == k).float() for k in range(rows * columns)]


def _everywhere(images: Images, square: Float[Tensor, "h w"]) -> Masks:
    """A square of the ground in all bands, dates and sensors."""
    return dict.fromkeys(images, (square > 0)[None, None])


def _parts(config: Config, images: Images) -> Iterator[tuple[Part, Masks]]:
    """What is occluded beside squares: each band, each group of bands, and each date of a series."""
    nothing = torch.zeros(0)
    for sensor, image in images.items():
        names = band_names(images, sensor)
        groups = {"": names} if len(names) == 1 else _groups(config, sensor, names)
        sets = [((name,), "") for name in names] + [(tuple(own), name) for name, own in groups.items() if name]
        for own, name in sets:
            there = torch.tensor([band in own for band in names]).view(1, -1, 1, 1)
            yield Part(sensor, own, None, nothing, name), {sensor: there}
        dates = image.pixels.shape[1]
        for t in range(dates if dates > 1 else 0):
            yield Part(sensor, tuple(names), t, nothing), {sensor: (torch.arange(dates) == t).view(-1, 1, 1, 1)}


def _groups(config: Config, sensor: str, names: list[str]) -> dict[str, list[str]]:
    if config.groups:
        own = {group: [name for name in names if f"{sensor}/{name}" in keys] for group, keys in config.groups.items()}
        return {group: found for group, found in own.items() if found}
    by_region: dict[str, list[str]] = {}
    for name in names:
        by_region.setdefault(sensors.spectral_region(f"{sensor}/{name}"), []).append(name)
    return by_region


def _falls(explained: Explained, images: Images, target: Target, masks: list[Masks]) -> Float[Tensor, " n"]:
    """By how much each of the masks lowers the score of one location."""
    blank = explained.blank(images)
    with torch.no_grad():
        before, after = explained.score(images, target), []
        for start in range(0, len(masks), BATCH):
            some = masks[start : start + BATCH]
            pixels = {
                sensor: torch.cat([_masked(image.pixels, blank[sensor], mask.get(sensor)) for mask in some])
                for sensor, image in images.items()
            }
            occluded = with_pixels(copies(images, len(some)), pixels)
            after.append(explained.score(occluded, target.copies(len(some))))
    return before - torch.cat(after)


def _masked(pixels: Tensor, blank: Tensor, mask: Tensor | None) -> Tensor:
    return pixels if mask is None else torch.where(mask.to(pixels.device), blank, pixels)
