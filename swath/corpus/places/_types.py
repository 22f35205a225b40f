"""What a strategy for locations has to define, what it is given and what it yields."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import geopandas as gpd
import numpy as np
from jaxtyping import Float, Shaped
from numpy import ndarray
from pydantic import Field

from swath.corpus.ground.utm import Footprint
from swath.corpus.places._separate import InMetres, Separation
from swath.settings import PluginSettings, Seed


class PlacesConfig(PluginSettings):
    """Base of every strategy's `Config`: the settings that all of them have."""

    count: int | None = Field(default=None, gt=0)
    """Number of locations wanted. Strategies that come to an end (`grid`, `points`, `planned`) give all if it is not
    set."""
    seed: Seed = 0
    area: Path | tuple[float, float, float, float] | None = None
    """Region that must hold the centres: a file of polygons, or west, south, east, north in degrees (west > east
    crosses the antimeridian)."""
    overlap: Literal["reject", "allow"] = "reject"
    """Whether chips may show the same ground. Rejection is exact: footprints that share an edge only do not overlap."""

    def separation(self, footprint: Footprint) -> Separation | None:
        """The object that rejects locations overlapping an earlier one; None where they may overlap."""
        return None if self.overlap == "allow" else InMetres(footprint.side_m)


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Points that may become the centres of chips, in the order in which they are considered."""

    lon: Float[ndarray, " n"]
    """Degrees; multiples of 360 are removed later."""
    lat: Float[ndarray, " n"]
    facts: dict[str, Shaped[ndarray, " n"]] = field(default_factory=dict)
    """Further facts of each point, such as the city that it was drawn around, which become columns of the plan."""

    def __len__(self) -> int:
        return len(self.lon)

    def at(self, rows: Shaped[ndarray, " m"]) -> "Candidates":
        """The candidates at these positions."""
        return Candidates(self.lon[rows], self.lat[rows], {name: values[rows] for name, values in self.facts.items()})


@runtime_checkable
class StrategyPlugin(Protocol):
    """A module of this folder that draws locations, or one that an installed package offers."""

    Config: type[PlacesConfig]
    """Its settings in a recipe."""

    def candidates(self, config: Any, footprint: Footprint, rng: np.random.Generator) -> Iterator[Candidates]:
        """Points in blocks, in the order in which they are considered, without end or until there are no more.

        Whatever is random comes from the generator, so that a seed always gives the same locations.
        """
        ...


@runtime_checkable
class ListingStrategyPlugin(Protocol):
    """A module that knows its locations already, so that nothing is drawn or rejected."""

    Config: type[PlacesConfig]
    """Its settings in a recipe."""

    def plan(self, config: Any, footprint: Footprint) -> gpd.GeoDataFrame:
        """The locations, with the columns that `swath.corpus.places.draw` returns."""
        ...


BLOCK = 16384
"""Largest number of points drawn at once."""


def block_size(config: PlacesConfig) -> int:
    """Points to draw at once: a function of the settings alone, so that a seed always gives the same locations."""
    return BLOCK if config.count is None else int(np.clip(2 * config.count, 256, BLOCK))


def in_blocks(candidates: Candidates) -> Iterator[Candidates]:
    """A finite list of candidates, block by block."""
    for start in range(0, len(candidates), BLOCK):
        yield candidates.at(np.arange(start, min(start + BLOCK, len(candidates))))
