"""What a policy says about the encoder that it feeds."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import torch

from swath.batch import Batch, View
from swath.settings import PluginSettings


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


@dataclass(frozen=True, slots=True)
class Nearby:
    """One date of each location, and one of another location near it, in this order."""

    metres: float
    """Largest distance between their centres."""


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
    """What its views hold."""
    reads: dict[str, tuple[str, ...]]
    """Sensor name -> names of the bands that it wants in a batch's image, in order."""
    dates: int | Literal["all", "paired"] | Nearby | Seasons
    """Dates per sensor and location that it wants in a batch, as `corpus.Selection` says it; or
    those of a neighbour or of different seasons."""
    most: int | None
    """How many dates of whole series ("all", "paired") it wants at most; None: all."""
    gaps: bool
    """Whether it wants dates without a usable pixel as well."""

    def __init__(self, config: Any) -> None: ...

    def __call__(self, batch: Batch, generator: torch.Generator) -> list[View]:
        """The views, on the batch's device; all randomness comes from `generator`, which lives on the host."""
        ...
