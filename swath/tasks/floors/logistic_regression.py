"""Logistic regression on the raw series of a pixel, brought to one calendar of months and standardised.

It learns as the probe beside it does, where that is a linear one.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import ClassVar, Literal

from swath.encoders import Encoder
from swath.tasks._types import Outcome
from swath.tasks.floors._monthly import SeriesFloorSettings, by_month
from swath.tasks.floors._pixels import predicted
from swath.tasks.floors._types import Task
from swath.tasks.panel import Panel
from swath.tasks.probes import ProbeSettings, linear


class Config(SeriesFloorSettings):
    """The floor of logistic regression on a pixel's raw series. The probe beside it says how it learns."""

    name: Literal["logistic-regression"] = "logistic-regression"
    row: ClassVar[str] = "logistic regression"
    random: ClassVar[bool] = False


def outcomes(
    config: Config,
    task: Task,
    panels: Sequence[Panel],
    seed: int,
    network: Encoder | None,  # noqa: ARG001 — as every floor
) -> Iterator[Outcome]:
    """What a regression says, fitted once for each way to learn and each teacher of the panels' probes."""
    return predicted(task, panels, seed, config.pixels, learns_as, by_month)


def learns_as(probe: ProbeSettings) -> tuple[linear.Config, linear.Learn]:
    """A regression by the settings of a linear probe, or by the usual ones beside another."""
    settings = probe.regression() or linear.beside(probe)
    return settings, partial(linear.learn, settings)
