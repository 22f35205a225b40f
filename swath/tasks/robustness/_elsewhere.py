"""Test locations of regions and years that no training location is of."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool, Shaped
from numpy import ndarray

from swath.batch import NO_DAY
from swath.corpus.reading import PADDING, days
from swath.tasks.task import Task

COLUMNS = ("region", "country", "continent")
"""Columns of locations that say which region they lie in; the first that there is counts."""


def unseen(folds: Sequence[Task], kind: str) -> tuple[str, dict[str, bool], list[str]]:
    """Whether each test location is of a region, or a year, of which its fold's training part has no location.

    Args:
        folds: the same task in each fold.
        kind: `other-region` or `other-year`.

    Returns:
        What tells them apart, whether each location that is known is unseen by its uid, and what must be said. Where
        all are seen, or none, there is nothing to compare.
    """
    task = folds[0]
    column = next((name for name in COLUMNS if name in task.corpus.locations), "") if kind == "other-region" else "year"
    if not column:
        return "", {}, [f"no other region: the corpus has no column {' or '.join(COLUMNS)}"]
    is_new: dict[str, bool] = {}
    for fold in folds:
        is_new |= _of_fold(fold, column)
    lacking = sum(map(len, (fold.undrawn["test"] for fold in folds))) - len(is_new)
    said = [f"{lacking} test locations have no {column}"] if lacking else []
    if len(set(is_new.values())) < 2:
        which = "no test location is" if not any(is_new.values()) else "all test locations are"
        return column, {}, [*said, f"{which} of a {column} without training locations: compare splits instead"]
    return column, is_new, said


def _of_fold(task: Task, column: str) -> dict[str, bool]:
    train, test = (task.undrawn[part].locations for part in ("train", "test"))
    values = _years(task) if column == "year" else _texts(task, column)
    known = {value for value in values[train] if value}
    uids = task.corpus.locations["uid"].to_numpy(dtype=str)
    return {str(uids[row]): bool(values[row] not in known) for row in test if values[row]}


def _texts(task: Task, column: str) -> Shaped[ndarray, " n"]:
    """A column as texts; empty where there is no value."""
    own = pd.Series(task.corpus.locations[column])
    return np.where(own.notna(), own.astype(str), "").astype(object)


def _years(task: Task) -> Shaped[ndarray, " n"]:
    """The year of the middle date of the first sensor that is read of each location of the task; empty if unknown."""
    rows = np.concatenate([task.undrawn[part].locations for part in ("train", "test")])
    chips = next(iter(task.reader.choose(rows).values()))
    when = np.nan_to_num(np.floor(days(task.corpus.chip_index)), nan=NO_DAY)[chips]
    there: Bool[ndarray, "n t"] = (chips != PADDING) & (when != NO_DAY)
    middle = np.array([np.median(own[seen]) if seen.any() else np.nan for own, seen in zip(when, there, strict=True)])
    values = np.full(len(task.corpus.locations), "", dtype=object)
    known = np.isfinite(middle)
    values[rows[known]] = middle[known].astype("datetime64[D]").astype("datetime64[Y]").astype(str)
    return values
