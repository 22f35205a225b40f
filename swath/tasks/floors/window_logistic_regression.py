"""Logistic regression on the bands of a pixel and of those around it, 5 x 5: what a practitioner would try first.

It learns as the probe beside it does, where that is a linear one. Of several dates the means are taken.
"""

from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

from swath.encoders import Encoder
from swath.tasks._types import Outcome
from swath.tasks.floors._pixels import PixelFloorSettings, predicted
from swath.tasks.floors._surroundings import surroundings
from swath.tasks.floors._types import Task
from swath.tasks.floors.logistic_regression import learns_as
from swath.tasks.panel import Panel


class Config(PixelFloorSettings):
    """The floor of logistic regression on the bands of a pixel and its surroundings. The probe beside it says
    how it learns.
    """

    name: Literal["window-logistic-regression"] = "window-logistic-regression"
    row: ClassVar[str] = "logistic regression (5 x 5)"
    random: ClassVar[bool] = False


def outcomes(
    config: Config,
    task: Task,
    panels: Sequence[Panel],
    seed: int,
    network: Encoder | None,  # noqa: ARG001 — as every floor
) -> Iterator[Outcome]:
    """What a regression says, fitted once for each way to learn that the panels' probes ask for."""
    return predicted(task, panels, seed, config.pixels, learns_as, surroundings)
