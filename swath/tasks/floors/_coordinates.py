"""What the floors have in common that predict from longitude and latitude alone."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
from jaxtyping import Float

from swath.errors import TrainingError
from swath.tasks._types import Features, Outcome, Prediction
from swath.tasks.floors._types import FloorSettings, Task
from swath.tasks.panel import Panel
from swath.tasks.probes import Validation

Judge = Callable[[Features, Validation], Prediction]
"""Fits to features and predicts the test part; is told what validation labels may be used for."""
Describe = Callable[[Float[np.ndarray, "n 2"]], Float[np.ndarray, "n d"]]
"""Turns longitudes and latitudes, in degrees, into features."""


class CoordinateFloorSettings(FloorSettings):
    """Settings of floors on coordinates."""

    def stands(self, task: Task, panel: Panel) -> bool:
        """Whether the floor applies: on the task's named inputs, where each location has one class or one number."""
        single = not task.per_pixel and not task.parts["test"].multi_label
        return single and panel.input.name in task.config.inputs


def read(task: Task, panels: Sequence[Panel], describe: Describe, judge: Judge) -> Iterator[Outcome]:
    """Predictions from coordinates for every panel.

    Coordinates are the same in every panel, so one fit serves all panels whose probes use validation labels alike.

    Args:
        task: whose locations are predicted.
        panels: that want an outcome each.
        describe: makes the features.
        judge: fits and predicts.
    """
    made: dict[Validation, Outcome] = {}
    for panel in panels:
        use = panel.probe.validation()
        if use not in made:
            made[use] = panel.tried(partial(_predicted, task, describe, judge, use))
        yield panel.outcome(made[use].prediction, made[use].note)


def _predicted(task: Task, describe: Describe, judge: Judge, use: Validation) -> Prediction:
    features = features_of(task, describe)
    return judge(features.without_validation() if use == "unused" else features, use)


def features_of(task: Task, describe: Describe) -> Features:
    """The coordinates of a task's parts as features.

    Raises:
        TrainingError: a location has none.
    """
    parts = task.parts
    x = {name: describe(_lonlat(task, parts[name].locations)) for name in ("train", "val", "test")}
    return Features(
        x["train"], parts["train"].y, x["val"], parts["val"].y, x["test"], len(task.classes), x["train"][:0]
    )


def _lonlat(task: Task, rows: np.ndarray) -> Float[np.ndarray, "n 2"]:
    lonlat = task.corpus.locations[["lon", "lat"]].to_numpy(float)[rows]
    if unknown := int(np.isnan(lonlat).any(axis=1).sum()):
        raise TrainingError(f"{unknown} of {len(rows)} locations have no coordinates")
    return lonlat
