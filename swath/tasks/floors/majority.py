"""The most frequent training class, whatever the input; its scores are the training part's shares."""

from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

import numpy as np

from swath.encoders import Encoder
from swath.tasks._types import EvaluationUnits, Outcome, Prediction
from swath.tasks.data import Labelled
from swath.tasks.floors._types import FloorSettings, Task
from swath.tasks.panel import Panel


class Config(FloorSettings):
    """The floor that predicts the most frequent training class. It has no settings."""

    name: Literal["majority"] = "majority"
    row: ClassVar[str] = "majority"
    random: ClassVar[bool] = False

    def stands(self, task: Task, panel: Panel) -> bool:  # noqa: ARG002 — as every floor
        """Wherever there are classes: it depends neither on the input nor on the probe."""
        return not task.regression


def outcomes(
    config: Config,  # noqa: ARG001 — as every floor
    task: Task,
    panels: Sequence[Panel],
    seed: int,  # noqa: ARG001
    network: Encoder | None,  # noqa: ARG001
) -> Iterator[Outcome]:
    """The most frequent class as a prediction, which is the same in every panel."""
    if not panels:
        return
    prediction = majority(task.parts["train"], task.units, len(task.classes))
    for panel in panels:
        yield panel.outcome(prediction)


def majority(train: Labelled, units: EvaluationUnits, classes: int) -> Prediction:
    """The most frequent training class for every unit or pixel.

    Where units have several classes: those that more than half of the training part has.
    """
    counts = train.counts(classes)
    if train.multi_label:
        shares = (counts / len(train)).astype(np.float32)
        return Prediction.of(np.tile(shares, (len(units), 1)), multi_label=True)
    y_pred = np.full(units.y_true.shape, counts.argmax())
    if train.per_pixel:
        return Prediction(y_pred)
    return Prediction(y_pred, np.tile((counts / counts.sum()).astype(np.float32), (len(units), 1)))
