"""What a method of attribution is asked, and what it answers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from swath.products.explain._explained import Explained, Images, Target
from swath.sensors import bands
from swath.settings import PluginSettings


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What bands at a date, or at all dates, did to the score of each location."""

    sensor: str
    bands: tuple[str, ...]
    """Names of the sensor's bands that are meant together."""
    date: int | None
    """Position in the series; None: all dates together."""
    value: Float[Tensor, " b"]
    name: str = ""
    """Name of the group of bands; empty where it is one band, or all."""


@dataclass(frozen=True, slots=True, eq=False)
class Attribution:
    """How much of the score of each location of a batch is due to what."""

    map: Float[Tensor, "b h w"]
    """Due to each pixel, all bands and dates together; 0 where no date is valid."""
    parts: tuple[Part, ...] = ()
    """By band and date; empty where the method does not tell them apart."""
    elsewhere: Float[Tensor, " b"] | None = None
    """What is due to no pixel but to the network itself; None where the method does not say."""
    gap: Float[Tensor, " b"] | None = None
    """By how much all of it misses what it has to sum up to, as a share of that; None where it has to sum up to
    nothing."""


@runtime_checkable
class AttributionPlugin(Protocol):
    """A module of this folder, or one that an installed package offers."""

    Config: type[PluginSettings]
    """Its settings."""
    NEEDS_GRADIENT: bool
    """Whether it cannot explain what has no gradient."""
    attribute: Callable[[Any, Explained, Images, Target], Attribution]
    """A function of its settings, the network, images and what of them is explained, which returns the attribution. It
    raises ContractError where the network is none that it can explain."""


def summed(by_pixel: dict[str, Float[Tensor, "b t c h w"]]) -> Float[Tensor, "b h w"]:
    """A map of what is due to each pixel: the sum over bands, dates and sensors."""
    return torch.stack([each.sum(dim=(1, 2)) for each in by_pixel.values()]).sum(dim=0)


def by_band_and_date(by_pixel: dict[str, Float[Tensor, "b t c h w"]], images: Images) -> tuple[Part, ...]:
    """The sums over pixels, for each band at each date."""
    return tuple(
        Part(sensor, (name,), t, values[:, t, c].sum(dim=(1, 2)))
        for sensor, values in by_pixel.items()
        for c, name in enumerate(band_names(images, sensor))
        for t in range(values.shape[1])
    )


def band_names(images: Images, sensor: str) -> list[str]:
    """Names of the bands that an image's channels hold, those of the first location."""
    table = bands()
    return [table[i].name for i in images[sensor].first_ids()]
