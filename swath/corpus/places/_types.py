"""What a strategy is given and what it yields."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Shaped
from numpy import ndarray
from pydantic import Field

from swath.settings import Seed, Settings


class PlacesConfig(Settings):
    """What all strategies have in common."""

    count: int | None = Field(default=None, gt=0)
    """Locations wanted; strategies that come to an end (`grid`, `points`, `planned`) give all if it is not said."""
    seed: Seed = 0
    area: Path | tuple[float, float, float, float] | None = None
    """Centres lie inside: a file of polygons, or west, south, east, north in degrees (west > east crosses the
    antimeridian)."""
    overlap: Literal["reject", "allow"] = "reject"
    """Whether chips may show the same ground. Rejection is exact: footprints that share an edge only do not overlap."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Points that may become the centres of chips, in the order in which they are considered."""

    lon: Float[ndarray, " n"]
    """Degrees; any multiple of 360 too much or too little is removed later."""
    lat: Float[ndarray, " n"]
    facts: dict[str, Shaped[ndarray, " n"]] = field(default_factory=dict)
    """What else is known of each, such as the place it was drawn around; becomes a column of the plan."""

    def __len__(self) -> int:
        return len(self.lon)

    def at(self, rows: Shaped[ndarray, " m"]) -> "Candidates":
        """Only these rows."""
        return Candidates(self.lon[rows], self.lat[rows], {name: values[rows] for name, values in self.facts.items()})


BLOCK = 16384
"""Points drawn at once."""


def block_size(config: PlacesConfig) -> int:
    """Points to draw at once: a function of the settings alone, so that a seed always gives the same places."""
    return BLOCK if config.count is None else int(np.clip(2 * config.count, 256, BLOCK))


def in_blocks(candidates: Candidates) -> Iterator[Candidates]:
    """A finite list of candidates, block by block."""
    for start in range(0, len(candidates), BLOCK):
        yield candidates.at(np.arange(start, min(start + BLOCK, len(candidates))))
