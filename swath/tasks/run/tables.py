"""What an evaluation writes: predictions, tables and what they were made from."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from swath._files import write_whole
from swath.tasks.data.labels import Labelled, packed
from swath.tasks.run.results import MAPS, SCHEMA, UNDER_CLOUDS, Stored, write_table
from swath.tasks.statistics import NOTE_COLUMNS, StatisticsConfig, summarise
from swath.tasks.statistics.clouds import at_level, cloud_share, frame, gains, level_frame
from swath.tasks.task import PARTS, Task


def write(out: Path, tasks: Sequence[Task], cells: Sequence[Stored], statistics: StatisticsConfig) -> None:
    """Write everything but the cells themselves.

    Args:
        out: folder.
        tasks: one for each fold where seeds rotate.
        cells: finished, in the order of the tables.
        statistics: each task's metrics are filled in.
    """
    table = pa.concat_tables([SCHEMA.empty_table(), *(cell.predictions for cell in cells)])
    notes = pd.DataFrame([cell.note_line for cell in cells if cell.note], columns=NOTE_COLUMNS)
    by_name = {task.name: task for task in tasks}
    config = statistics.model_copy(update={"tasks": {name: task.config.rules for name, task in by_name.items()}})
    predictions = table.to_pandas()
    results, comparisons = summarise(predictions, config, notes)
    write_whole(out / "clouds.csv", _clouds(list(by_name.values()), predictions, config).to_csv(index=False))
    _write_levels(out, list(by_name.values()), cells, config)
    write_table(table, out / "predictions.parquet")
    write_table(pa.concat_tables([MAPS.empty_table(), *(cell.maps for cell in cells)]), out / "maps.parquet")
    write_table(pa.Table.from_pandas(_splits(tasks), preserve_index=False), out / "splits.parquet")
    write_whole(out / "notes.csv", notes.to_csv(index=False))
    write_whole(out / "classes.json", json.dumps({name: task.classes for name, task in by_name.items()}, indent=1))
    write_whole(out / "tasks.csv", _about(tasks).to_csv(index=False))
    write_whole(out / "comparisons.csv", comparisons.to_csv(index=False))
    # the table last: where it is, everything is
    write_whole(out / "table.csv", results.to_csv(index=False))


def _clouds(tasks: Sequence[Task], predictions: pd.DataFrame, config: StatisticsConfig) -> pd.DataFrame:
    found = []
    for task in tasks:
        own = predictions.loc[predictions["task"] == task.name]
        if task.config.cloud_bins and len(own):
            share = cloud_share(task.corpus)
            found += gains(task.name, own, share, task.config.cloud_bins, task.config.rules, config)
    return frame(found)


def _write_levels(out: Path, tasks: Sequence[Task], cells: Sequence[Stored], config: StatisticsConfig) -> None:
    """Where a task asks for it: what painted clouds leave of each row, and of the differences."""
    names = ("under_clouds.parquet", "cloud_levels.csv", "cloud_gains.csv")
    asked = [task for task in tasks if task.config.cloud_levels]
    if not asked:
        for name in names:
            (out / name).unlink(missing_ok=True)
        return
    table = pa.concat_tables([UNDER_CLOUDS.empty_table(), *(cell.under_clouds for cell in cells)])
    predictions, found, differences = table.to_pandas(), [], []
    for task in asked:
        own = predictions.loc[predictions["task"] == task.name]
        for share, some in own.groupby("cloud"):
            more = at_level(task.name, some, float(share), task.config.metric, config)  # pyright: ignore[reportArgumentType]
            found, differences = found + more[0], differences + more[1]
    write_table(table, out / names[0])
    write_whole(out / names[1], level_frame(found).to_csv(index=False))
    write_whole(out / names[2], frame(differences).to_csv(index=False))


def _about(tasks: Sequence[Task]) -> pd.DataFrame:
    """What each task learns from and is tested on: locations by part, and labels, which may be of pixels."""
    return pd.DataFrame(
        [
            {
                "task": task.name,
                "fold": _fold(task),
                "fraction": task.config.label_fraction,
                "classes": len(task.classes),
                **{part: len(task.parts[part]) for part in PARTS},
                **{f"{part}_labels": task.parts[part].labels for part in PARTS},
                "label": "pixel" if task.per_pixel else "location",
                "incomplete": task.incomplete,
                "note": "; ".join(task.remarks),
            }
            for task in tasks
        ]
    )


def _fold(task: Task) -> int:
    """Number of the fold that tests; 0 where there are none."""
    return (task.split_config.fold if task.split_config else None) or 0


def _splits(tasks: Sequence[Task]) -> pd.DataFrame:
    """Which labelled location was used for what."""
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
            "fold": np.full(len(labelled), _fold(task)),
            "y": pd.array(_classes(labelled), dtype="Int64"),
        }
    )


def _classes(labelled: Labelled) -> Sequence | np.ndarray:
    """A number for each location, as in the predictions; of pixels there is no one class."""
    if labelled.per_pixel:
        return [pd.NA] * len(labelled)
    return packed(labelled.y) if labelled.several else labelled.y
