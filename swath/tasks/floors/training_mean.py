"""The mean of the training labels, whatever the input: what a regression has to beat first."""

from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

import numpy as np

from swath.encoders import Encoder
from swath.tasks._types import Outcome, Prediction
from swath.tasks.floors._types import FloorSettings, Task
from swath.tasks.panel import Panel


class Config(FloorSettings):
    """There is nothing to set."""

    name: Literal["training-mean"] = "training-mean"
    row: ClassVar[str] = "mean of the training labels"
    random: ClassVar[bool] = False

    def stands(self, task: Task, panel: Panel) -> bool:  # noqa: ARG002 — as every floor
        """Where labels are numbers; it depends neither on the input nor on the probe."""
        return task.regression


def outcomes(
    config: Config,  # noqa: ARG001 — as every floor
    task: Task,
    panels: Sequence[Panel],
    seed: int,  # noqa: ARG001
    network: Encoder | None,  # noqa: ARG001
) -> Iterator[Outcome]:
    """The mean as an estimate, which is the same in every panel."""
    mean = task.parts["train"].y.mean()
    prediction = Prediction.of_numbers(np.full(len(task.units), mean))
    return (panel.outcome(prediction) for panel in panels)
