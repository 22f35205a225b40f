"""A random forest on the raw series of a pixel, brought to one calendar of months; training and validation labels."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import ClassVar, Literal

from pydantic import Field

from swath.encoders import Encoder
from swath.tasks._types import Outcome
from swath.tasks.floors._monthly import SeriesFloorSettings, by_month
from swath.tasks.floors._pixels import LearnsAs, predicted
from swath.tasks.floors._types import Task
from swath.tasks.panel import Panel
from swath.tasks.probes import ProbeSettings, linear


class Config(SeriesFloorSettings):
    """The floor of a random forest (Breiman 2001) on a pixel's raw series, and its number of trees."""

    name: Literal["random-forest"] = "random-forest"
    row: ClassVar[str] = "random forest"
    trees: int = Field(default=300, ge=1)


def outcomes(
    config: Config,
    task: Task,
    panels: Sequence[Panel],
    seed: int,
    network: Encoder | None,  # noqa: ARG001 — as every floor
) -> Iterator[Outcome]:
    """What a forest says, which is the same under each of an input's probes but those that have a teacher."""
    return predicted(task, panels, seed, config.pixels, forest(config.trees, seed), by_month)


def forest(trees: int, seed: int) -> LearnsAs:
    """How a forest of so many trees learns beside a probe."""

    def learn(settings: linear.Config, train: linear.Labelled, val: linear.Labelled, classes: int) -> linear.Fitted:
        from sklearn.ensemble import RandomForestClassifier  # seconds to import: not for reading a recipe

        grown = RandomForestClassifier(trees, random_state=seed)
        return linear.scored(grown.fit(*linear.learnt_from(settings, train, val)), classes)

    def learns_as(probe: ProbeSettings) -> tuple[None, linear.Learn]:
        # a forest has none of the settings, but learns from the validation labels where a linear probe would
        return None, partial(learn, linear.beside(probe))

    return learns_as
