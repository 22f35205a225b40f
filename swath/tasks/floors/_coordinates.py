"""Floors that are told where a location lies, and nothing else."""

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
"""Features, and what validation labels are used for, to what is said of the test part."""
Describe = Callable[[Float[np.ndarray, "n 2"]], Float[np.ndarray, "n d"]]
"""Longitudes and latitudes, in degrees, to features."""


class CoordinateFloorSettings(FloorSettings):
    """What these floors have in common."""

    def stands(self, task: Task, panel: Panel) -> bool:
        """Beside named inputs, where locations have a class or a number."""
        single = not task.per_pixel and not task.parts["test"].multi_label
        return single and panel.input.name in task.config.inputs


def read(task: Task, panels: Sequence[Panel], describe: Describe, judge: Judge) -> Iterator[Outcome]:
    """What is read out of the coordinates of a task's locations, the same in each panel with one use of validation."""
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
