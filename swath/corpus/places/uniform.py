"""Uniform on the sphere inside an area: every square kilometre is equally likely."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from pydantic import Field

from swath.corpus.ground.utm import Footprint
from swath.corpus.places._area import area
from swath.corpus.places._types import Candidates, PlacesConfig, block_size


class Config(PlacesConfig):
    """Locations uniform on the sphere inside an area. Give a file of land polygons as `area` to stay out of the sea."""

    name: Literal["uniform"] = "uniform"
    count: int = Field(default=1000, gt=0)
    """Number of locations wanted."""


def candidates(
    config: Config,
    footprint: Footprint,  # noqa: ARG001
    rng: np.random.Generator,
) -> Iterator[Candidates]:
    """Points inside the area, without end."""
    region, size = area(config.area), block_size(config)
    while True:
        yield Candidates(*region.draw(size, rng))
