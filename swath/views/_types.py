"""The interface of a view policy, and what it says about the encoder that it feeds."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import torch

from swath.batch import Batch, View
from swath.settings import PluginSettings


@dataclass(frozen=True, slots=True)
class Wanted:
    """Something that a method shall predict beside the image, in the words of a recipe."""

    name: str
    kind: Literal["map", "layer", "class", "numbers", "month", "latitude", "longitude"]
    """A continuous `map` has a value, a label `layer` a class at every pixel; the location as a whole has a `class`
    or `numbers`, the image a month and a place."""
    of: tuple[str, ...]
    """Band keys of a map; the layer's name; the columns of a class or of numbers; else the image's band keys."""

    @property
    def labels(self) -> tuple[str, ...]:
        """What of it a batch's `targets` hold, by name."""
        return self.of if self.kind in ("layer", "class", "numbers") else ()


@dataclass(frozen=True, slots=True)
class Inputs:
    """The channels of a policy's views; joined with a corpus's statistics it becomes an encoder's input contract."""

    channels: int
    """Number of channels of every view."""
    bands: tuple[str, ...]
    """Band keys `sensor/band`. Fixed: the channels, in order. Free: what any channel may hold."""
    fixed: bool
    """True: channel i is always `bands[i]`. False: any `channels` of `bands`, differing from sample to sample."""
    branches: tuple[int, ...] = ()
    """Fixed only: how many of `bands`, one after the other, make a view each, where views are of different sensors."""
    any_number: bool = False
    """Free only: a view has any number of `bands`, not `channels` of them."""
    targets: tuple[Wanted, ...] = ()
    """What views carry for a method to predict; a location that lacks some of it is read all the same. Maps are views
    of their own, whose role is the target's name; the rest is in the first view's `targets`."""


@dataclass(frozen=True, slots=True)
class Nearby:
    """One date of each location, and one of another location near it, in this order."""

    metres: float
    """Largest distance between the two locations' centres, in metres."""


@dataclass(frozen=True, slots=True)
class Seasons:
    """Two dates of each location that lie in different seasons, in either order."""

    apart_days: float
    """Least distance within the year, in days: of 20 December and 10 January it is 21."""


@runtime_checkable
class PolicyPlugin(Protocol):
    """A module of `swath.views.policies`, or one that an installed package offers."""

    Config: type[PluginSettings]
    """Its settings in a recipe."""
    Policy: "Callable[[Any], Policy]"
    """The policy's class, made from its settings."""


@runtime_checkable
class Policy(Protocol):
    """Turns a batch of locations into the views that a method compares."""

    inputs: Inputs
    """The channels of its views."""
    reads: dict[str, tuple[str, ...]]
    """Names of the bands wanted in a batch's image, in order, by sensor name."""
    dates: int | Literal["all", "paired"] | Nearby | Seasons
    """Dates per sensor and location wanted in a batch, as in `corpus.Selection`, or those of a neighbour or of
    different seasons."""
    most: int | None
    """Largest number of dates of whole series ("all", "paired"); None: all dates."""
    gaps: bool
    """Whether dates without a usable pixel are wanted as well."""

    def __init__(self, config: Any) -> None: ...

    def __call__(self, batch: Batch, generator: torch.Generator) -> list[View]:
        """The views, on the batch's device. All randomness comes from `generator`, which lives on the host."""
        ...
