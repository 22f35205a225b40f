"""A random forest on the bands of a single pixel: what a practitioner would try first on one date.

Of several dates the means are taken.
"""

from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

from pydantic import Field

from swath.encoders import Encoder
from swath.tasks._types import Outcome
from swath.tasks.floors._pixels import PixelFloorSettings, predicted
from swath.tasks.floors._surroundings import pixel
from swath.tasks.floors._types import Task
from swath.tasks.floors.random_forest import forest
from swath.tasks.panel import Panel


class Config(PixelFloorSettings):
    """The floor of a random forest (Breiman 2001) on the bands of a single pixel, and its number of trees."""

    name: Literal["pixel-random-forest"] = "pixel-random-forest"
    row: ClassVar[str] = "random forest (pixel)"
    trees: int = Field(default=300, ge=1)


def outcomes(
    config: Config,
    task: Task,
    panels: Sequence[Panel],
    seed: int,
    network: Encoder | None,  # noqa: ARG001 — as every floor
) -> Iterator[Outcome]:
    """What a forest says, which is the same under each of an input's probes."""
    return predicted(task, panels, seed, config.pixels, forest(config.trees, seed), pixel)
