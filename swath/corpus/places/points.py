"""Around given points, such as field sites, plots or stations: at them, or scattered evenly over a disc."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from swath.corpus.ground.utm import Footprint
from swath.corpus.places._files import points
from swath.corpus.places._types import Candidates, PlacesConfig, in_blocks
from swath.corpus.places.cities import DEGREES_PER_KM


class Config(PlacesConfig):
    """Locations around given points, such as field sites or stations: at the points, or scattered over a disc."""

    name: Literal["points"] = "points"
    points: Path
    """CSV with longitude and latitude, or a file of points; its other columns become columns of the plan."""
    each: int = Field(default=1, gt=0)
    """Number of chips around every point."""
    radius_km: float = Field(default=0.0, ge=0)
    """Radius in kilometres of the disc from which centres are drawn; 0 centres the chip on the point."""


def candidates(
    config: Config,
    footprint: Footprint,  # noqa: ARG001
    rng: np.random.Generator,
) -> Iterator[Candidates]:
    """`each` points around every given one, in the file's order; in random order if only some are wanted."""
    table = points(config.points, "points")
    rows = np.repeat(np.arange(len(table)), config.each)
    if config.count is not None:
        rows = rng.permutation(rows)
    distance = config.radius_km * DEGREES_PER_KM * np.sqrt(rng.random(len(rows)))
    bearing = 2 * np.pi * rng.random(len(rows))
    lat = table["lat"].to_numpy(float)[rows]
    lon = table["lon"].to_numpy(float)[rows] + distance * np.sin(bearing) / np.cos(np.radians(lat))
    facts = table.drop(columns=["lon", "lat"]).iloc[rows]
    given = {f"given_{name}": facts[name].to_numpy() for name in facts}
    yield from in_blocks(Candidates(lon, lat + distance * np.cos(bearing), given))
