"""What an evaluation writes: predictions, tables and what they were made from."""

import json
from collections.abc import Sequence
from math import nan
from pathlib import Path

import numpy as np
import pandas as pd

from swath._files import write_whole
from swath.tasks import schema
from swath.tasks.data import Labelled, packed
from swath.tasks.run.results import Result, joined
from swath.tasks.schema import CloudGain, TaskParts
from swath.tasks.statistics import StatisticsConfig, at_level, cloud_share, gains, summarise
from swath.tasks.task import PARTS, Task, remarks_on_test


def write(out: Path, tasks: Sequence[Task], results: Sequence[Result], statistics: StatisticsConfig) -> None:
    """Write everything but the results' own files.

    Args:
        out: folder.
        tasks: one for each fold where seeds rotate.
        results: finished, in the order of the tables.
        statistics: each task's metrics are filled in.
    """
    predictions = joined(schema.PREDICTIONS, [(result.key, result.output) for result in results])
    notes = schema.NOTES.frame(line for result in results for line in result.note_lines)
    by_name = {task.name: task for task in tasks}
    rules = {name: task.config.rules.model_copy(update={"unit": task.unit}) for name, task in by_name.items()}
    config = statistics.model_copy(update={"tasks": rules})
    frame = predictions.to_pandas()
    summary = summarise(frame, config, notes)
    schema.CLOUDS.write(out, schema.CLOUDS.frame(_gains(list(by_name.values()), frame, config)))
    _write_levels(out, list(by_name.values()), results, config)
    schema.PREDICTIONS.write(out, predictions)
    schema.VALIDATION.write(out, joined(schema.VALIDATION, [(result.key, result.validation) for result in results]))
    schema.MAPS.write(out, joined(schema.MAPS, [(result.key, result.maps) for result in results]))
    schema.SPLITS.write(out, _splits(tasks))
    schema.NOTES.write(out, notes)
    write_whole(out / "classes.json", json.dumps({name: task.classes for name, task in by_name.items()}, indent=1))
    schema.TASKS.write(out, schema.TASKS.frame(_parts(tasks)))
    schema.COMPARISONS.write(out, summary.comparisons)
    schema.CLAIMS.write(out, summary.claims)
    # the table last: where it is, everything is
    schema.TABLE.write(out, summary.table)


def _gains(tasks: Sequence[Task], predictions: pd.DataFrame, config: StatisticsConfig) -> list[CloudGain]:
    lines = []
    for task in tasks:
        own = predictions.loc[predictions["task"] == task.name]
        if task.config.cloud_bins and len(own):
            share = cloud_share(task.corpus)
            lines += gains(task.name, own, share, task.config.cloud_bins, task.config.rules, config)
    return lines


def _write_levels(out: Path, tasks: Sequence[Task], results: Sequence[Result], config: StatisticsConfig) -> None:
    """Where a task asks for it: what painted clouds leave of each row, and of the differences."""
    asked = [task for task in tasks if task.config.cloud_levels]
    if not asked:
        for unasked in (schema.UNDER_CLOUDS, schema.CLOUD_LEVELS, schema.CLOUD_GAINS):
            (out / unasked.file).unlink(missing_ok=True)
        return
    predictions = joined(schema.UNDER_CLOUDS, [(result.key, result.under_clouds) for result in results])
    frame, values, differences = predictions.to_pandas(), [], []
    for task in asked:
        own = frame.loc[frame["task"] == task.name]
        for share, some in own.groupby("cloud"):
            more = at_level(task.name, some, float(share), task.config.metric, config)  # pyright: ignore[reportArgumentType]
            values, differences = values + more[0], differences + more[1]
    schema.UNDER_CLOUDS.write(out, predictions)
    schema.CLOUD_LEVELS.write(out, schema.CLOUD_LEVELS.frame(values))
    schema.CLOUD_GAINS.write(out, schema.CLOUD_GAINS.frame(differences))


def _parts(tasks: Sequence[Task]) -> list[TaskParts]:
    """What each task learns from and is tested on: locations by part, and labels, which may be of pixels."""
    lines = []
    for name in dict.fromkeys(task.name for task in tasks):
        folds = [task for task in tasks if task.name == name]
        # what is tested is tested by all folds together, so it is said once
        lines.append(_fold_parts(folds[0], [*folds[0].remarks, *remarks_on_test(folds)]))
        lines += [_fold_parts(task, task.remarks) for task in folds[1:]]
    return lines


def _fold_parts(task: Task, remarks: Sequence[str]) -> TaskParts:
    budget = task.config.budget
    return TaskParts(
        task=task.name,
        fold=task.fold,
        fraction=budget.fraction if budget.per_class is None else nan,
        classes=len(task.classes),
        **{part: len(task.parts[part]) for part in PARTS},
        **{f"{part}_labels": task.parts[part].labels for part in PARTS},
        label="pixel" if task.per_pixel else "location",
        incomplete=task.incomplete,
        note="; ".join(remarks),
        unit=task.unit,
        labels_per_class=budget.per_class,
    )


def _splits(tasks: Sequence[Task]) -> pd.DataFrame:
    """The use of each labelled location, in the columns of `SPLITS`."""
    frames = [_split(task, part) for task in tasks for part in PARTS]
    return pd.concat(frames, ignore_index=True)


def _split(task: Task, part: str) -> pd.DataFrame:
    labelled = task.parts[part]
    return pd.DataFrame(
        {
            "task": np.full(len(labelled), task.name, dtype=object),
            "uid": task.corpus.locations["uid"].to_numpy(dtype=object)[labelled.locations],
            "group": task.groups[labelled.locations],
            "split": np.full(len(labelled), part, dtype=object),
            "fold": np.full(len(labelled), task.fold),
            "y": pd.array(_classes(labelled), dtype="Int64"),
        }
    )


def _classes(labelled: Labelled) -> Sequence | np.ndarray:
    """A number for each location, as in the predictions; pixels have no one class, and numbers are none."""
    if labelled.per_pixel or labelled.regression:
        return [pd.NA] * len(labelled)
    return packed(labelled.y) if labelled.multi_label else labelled.y
