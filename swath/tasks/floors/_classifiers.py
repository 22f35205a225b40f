"""Logistic regression and the random forest of the floors on pixels, whatever describes a pixel to them."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, ClassVar

from pydantic import Field

from swath.encoders import Encoder
from swath.tasks._types import Outcome
from swath.tasks.floors._pixels import Describe, LearnsAs, PixelFloorSettings, predicted
from swath.tasks.floors._types import Task
from swath.tasks.panel import Panel
from swath.tasks.probes import ProbeSettings, linear

Outcomes = Callable[[Any, Task, Sequence[Panel], int, Encoder | None], Iterator[Outcome]]
"""What a floor's module defines as `outcomes` (`FloorPlugin`)."""


class RegressionSettings(PixelFloorSettings):
    """Settings of a floor of logistic regression on pixels."""

    random: ClassVar[bool] = False


class ForestSettings(PixelFloorSettings):
    """Settings of a floor of a random forest (Breiman 2001) on pixels."""

    trees: int = Field(default=300, ge=1)


def regression(describe: Describe) -> Outcomes:
    """The outcomes of logistic regression, fitted once for each way to learn that the panels' probes ask for."""

    def outcomes(
        config: RegressionSettings,
        task: Task,
        panels: Sequence[Panel],
        seed: int,
        network: Encoder | None,  # noqa: ARG001 — as every floor
    ) -> Iterator[Outcome]:
        return predicted(task, panels, seed, config.pixels, regression_beside, describe)

    return outcomes


def forest(describe: Describe) -> Outcomes:
    """The outcomes of a random forest: the same under each of an input's probes but those that have a teacher."""

    def outcomes(
        config: ForestSettings,
        task: Task,
        panels: Sequence[Panel],
        seed: int,
        network: Encoder | None,  # noqa: ARG001 — as every floor
    ) -> Iterator[Outcome]:
        return predicted(task, panels, seed, config.pixels, forest_beside(config.trees, seed), describe)

    return outcomes


def regression_beside(probe: ProbeSettings) -> tuple[linear.Config, linear.Learn]:
    """A regression by the settings of a linear probe, or by the usual ones beside another."""
    settings = probe.regression() or linear.beside(probe)
    return settings, partial(linear.learn, settings)


def forest_beside(trees: int, seed: int) -> LearnsAs:
    """How a forest of so many trees learns beside a probe."""

    def learn(settings: linear.Config, train: linear.Labelled, val: linear.Labelled, classes: int) -> linear.Fitted:
        from sklearn.ensemble import RandomForestClassifier  # seconds to import: not for reading a recipe

        model = RandomForestClassifier(trees, random_state=seed)
        return linear.scored(model.fit(*linear.learnt_from(settings, train, val)), classes)

    def learns_as(probe: ProbeSettings) -> tuple[None, linear.Learn]:
        # a forest has none of the settings, but learns from the validation labels where a linear probe would
        return None, partial(learn, linear.beside(probe))

    return learns_as
