"""Finished results on disk: one file each, whole or absent, so that an evaluation can be killed at any moment."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from swath._files import replacing
from swath.corpus.labels import VOID
from swath.tasks._types import EvaluationUnits, Outcome
from swath.tasks.data import are_numbers, packed
from swath.tasks.schema import (
    CLASS_MAP,
    CLOUD,
    HELD_OUT,
    NUMBERS,
    OUTPUT,
    UNCERTAINTY,
    Note,
    ResultKey,
    Table,
    completed,
)

FORMAT = 4
"""Version that is part of every digest, raised when old results would mean something else. 4: label codes below
0 are looked up, and likelihood decides between equals on validation."""
SHOWN = 8
"""Number of a result's units whose maps are kept: this many of those most right, and as many of those least right."""
CLOUDED = OUTPUT.append(CLOUD)
_NOTE = b"swath"
_PARTS = ("output", "maps", "under_clouds", "validation")
"""What a result says of units, one table each."""


def output_of(outcome: Outcome, units: EvaluationUnits) -> pa.Table:
    """The prediction of each unit in the columns of `OUTPUT`; no line if it could not be computed."""
    said = outcome.prediction
    if said is None:
        return OUTPUT.empty_table()
    return pa.Table.from_pydict(_columns(units, said.y_pred, said.scores), schema=OUTPUT)


def share_changed(before: pa.Table, after: pa.Table) -> float:
    """Share of the units, or pixels, of which two predictions of the same units say different things.

    Of pixels no more is known than how many of a unit have which true and predicted class. Numbers are the same to a
    thousandth of their spread.
    """
    was, now = before.to_pandas(), after.to_pandas()
    if now["value_pred"].notna().any():
        both = was.merge(now, on="uid", how="outer")
        near = 1e-3 * float(now["value_true"].std() or 1.0)
        return float(((both["value_pred_x"] - both["value_pred_y"]).abs().fillna(np.inf) > near).mean())
    keys = ["uid", "y_true", "y_pred"]
    both = was[[*keys, "count"]].merge(now[[*keys, "count"]], on=keys, how="outer").fillna({"count_x": 0, "count_y": 0})
    total = max(1, int(now["count"].sum()))
    return float((both["count_x"] - both["count_y"]).abs().sum() / 2 / total)


def under_clouds_of(outcome: Outcome, units: EvaluationUnits) -> pa.Table:
    """What an outcome says under painted clouds; no line if the task asks for none, or nothing was trained."""
    levels = {} if outcome.prediction is None else outcome.prediction.under_clouds
    columns = {share: _columns(units, y_pred, None) for share, y_pred in levels.items()}
    tables = [
        pa.Table.from_pydict(said | {CLOUD.name: [share] * len(said["count"])}, schema=CLOUDED)
        for share, said in columns.items()
    ]
    return pa.concat_tables([CLOUDED.empty_table(), *tables])


def validation_of(outcome: Outcome, units: EvaluationUnits) -> pa.Table:
    """Class scores of the validation part in the columns of `HELD_OUT`, of units that have some; no line where none are
    kept."""
    scores = None if outcome.prediction is None else outcome.prediction.validation
    if scores is None:
        return HELD_OUT.empty_table()
    columns = {"uid": list(units.uid), "group": list(units.group), "y_true": units.y_true}
    table = pa.Table.from_pydict(columns | {"score": list(scores.astype(np.float32))}, schema=HELD_OUT)
    return table.filter(pa.array(np.isfinite(scores).all(axis=1)))


def _columns(units: EvaluationUnits, y_pred: np.ndarray, scores: np.ndarray | None) -> dict[str, Any]:
    if are_numbers(units.y_true):
        return _numbers(units, y_pred)
    unit, y_true, y_pred, count = _entries(units.y_true, y_pred)
    return {
        "uid": np.array(units.uid, dtype=object)[unit],
        "group": np.array(units.group, dtype=object)[unit],
        "y_true": y_true,
        "y_pred": y_pred,
        "count": count,
        "score": [None] * len(unit) if scores is None else scores.astype(np.float32).tolist(),
        **{name: pa.nulls(len(unit), pa.float64()) for name in NUMBERS},
    }


def _numbers(units: EvaluationUnits, y_pred: np.ndarray) -> dict[str, Any]:
    """Of a regression, which has no classes."""
    none = np.full(len(units), VOID)
    return {
        "uid": list(units.uid),
        "group": list(units.group),
        "y_true": none,
        "y_pred": none,
        "count": np.ones(len(units), np.int64),
        "score": [None] * len(units),
        "value_true": units.y_true,
        "value_pred": y_pred,
    }


def _entries(y_true: np.ndarray, y_pred: np.ndarray) -> tuple[np.ndarray, ...]:
    """Number of the unit, true and predicted class, and count, of every entry that is not 0."""
    if y_true.ndim == 2:
        y_true, y_pred = packed(y_true), packed(y_pred)
    if y_true.ndim == 1:
        return np.arange(len(y_true)), y_true, y_pred, np.ones(len(y_true), np.int64)
    unit = np.broadcast_to(np.arange(len(y_true))[:, None, None], y_true.shape)
    there = y_true != VOID
    entries = np.stack([unit[there], y_true[there], y_pred[there]], axis=1).astype(np.int64)
    distinct, count = np.unique(entries, axis=0, return_counts=True)
    return distinct[:, 0], distinct[:, 1], distinct[:, 2], count


def maps_of(outcome: Outcome, units: EvaluationUnits) -> pa.Table:
    """Maps of the units that are most and least right, by the share of labelled pixels; none of whole locations."""
    if outcome.prediction is None or units.y_true.ndim < 3:
        return CLASS_MAP.empty_table()
    y_true, y_pred = units.y_true, outcome.prediction.y_pred
    there = y_true != VOID
    right = ((y_true == y_pred) & there).sum((1, 2)) / there.sum((1, 2))
    order = np.argsort(right, kind="stable")
    chosen = np.unique(np.concatenate([order[:SHOWN], order[-SHOWN:]]))
    unsure = outcome.prediction.uncertainty
    columns = {
        "uid": [units.uid[i] for i in chosen],
        "height": [y_true.shape[1]] * len(chosen),
        "y_true": list(y_true[chosen].reshape(len(chosen), -1)),
        "y_pred": list(y_pred[chosen].reshape(len(chosen), -1)),
        "uncertainty": [None if unsure is None else unsure[i].ravel() for i in chosen],
    }
    return pa.Table.from_pydict(columns, schema=CLASS_MAP)


def digest(*parts: Any) -> str:
    """A short hash of plain data."""
    text = json.dumps([FORMAT, *parts], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


@dataclass(frozen=True)
class Result:
    """A finished result, as it goes into the tables."""

    key: ResultKey
    notes: tuple[str, ...]
    """What a reader must know of it, or why there is nothing."""
    output: pa.Table
    """Its prediction for each unit, in the columns of `schema.OUTPUT`; no line where there is no result."""
    maps: pa.Table
    under_clouds: pa.Table
    validation: pa.Table

    @property
    def note_lines(self) -> list[Note]:
        """The lines of notes.csv."""
        return [Note(**asdict(self.key), note=note) for note in self.notes]

    def without_output(self, reason: str) -> "Result":
        """The result without its predictions, where they may not go into the tables; the note says why."""
        parts = {name: getattr(self, name).slice(0, 0) for name in _PARTS}
        return replace(self, notes=(*self.notes, reason), **parts)


def joined(table: Table, parts: Sequence[tuple[ResultKey, pa.Table]]) -> pa.Table:
    """Parts of many results as one table, whose first columns say which result each line belongs to."""
    return pa.concat_tables([table.schema.empty_table(), *(_keyed(table, key, part) for key, part in parts)])


def _keyed(table: Table, key: ResultKey, part: pa.Table) -> pa.Table:
    columns = {name: [value] * len(part) for name, value in asdict(key).items()}
    return pa.Table.from_pydict(columns | {name: part[name] for name in part.column_names}, schema=table.schema)


class ResultStore:
    """A folder of results by digest of everything that they depend on."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, digest: str) -> Path:
        """The file of the result with that digest."""
        return self.folder / f"{digest}.parquet"

    def maps_path(self, digest: str) -> Path:
        """The file of that result's maps, if it has any."""
        return self.folder / f"{digest}.maps.parquet"

    def under_clouds_path(self, digest: str) -> Path:
        """The file of what it says under painted clouds, if it says anything."""
        return self.folder / f"{digest}.clouds.parquet"

    def validation_path(self, digest: str) -> Path:
        """The file of its class scores of the validation part, if any are kept."""
        return self.folder / f"{digest}.validation.parquet"

    def has(self, digest: str) -> bool:
        """Whether the result is finished."""
        return self.path(digest).exists()

    def write(
        self,
        digest: str,
        about: Mapping[str, Any],
        outcome: Outcome,
        units: EvaluationUnits,
        validation: EvaluationUnits | None = None,
    ) -> None:
        """Store an outcome; the file appears whole or not at all.

        Args:
            digest: of everything that it depends on.
            about: plain data for whoever looks into the file: whose outcome it is.
            outcome: what was said of the units, or why nothing.
            units: the task's evaluation units.
            validation: those of its validation part, whose scores are kept too if they are given.
        """
        note = json.dumps({"cell": about, "note": outcome.note})
        # the predictions come last: a result is finished once they are there
        if (maps := maps_of(outcome, units)).num_rows:
            _write(maps, self.maps_path(digest))
        if (under_clouds := under_clouds_of(outcome, units)).num_rows:
            _write(under_clouds, self.under_clouds_path(digest))
        if validation is not None and (scores := validation_of(outcome, validation)).num_rows:
            _write(scores, self.validation_path(digest))
        _write(output_of(outcome, units).replace_schema_metadata({_NOTE: note.encode()}), self.path(digest))

    def read(self, digest: str, key: ResultKey, remark: str = "") -> Result:
        """A finished result.

        Args:
            digest: of everything that it depends on.
            key: what it is in the tables.
            remark: what a reader must know of it whatever came out.
        """
        table = pq.read_table(self.path(digest))
        note = json.loads((table.schema.metadata or {})[_NOTE])["note"]
        maps, clouds = _read(self.maps_path(digest), CLASS_MAP), _read(self.under_clouds_path(digest), CLOUDED)
        held_out = _read(self.validation_path(digest), HELD_OUT)
        return Result(key, tuple(filter(None, (remark, note))), _as(table, OUTPUT), maps, clouds, held_out)


def _read(path: Path, schema: pa.Schema) -> pa.Table:
    return _as(pq.read_table(path), schema) if path.exists() else schema.empty_table()


def _as(table: pa.Table, schema: pa.Schema) -> pa.Table:
    # results of older versions hold narrower numbers, no numbers of regressions, no uncertainty, and columns that said
    # what the row is
    return completed(table.replace_schema_metadata(None), schema, (*NUMBERS, *UNCERTAINTY))


def _write(table: pa.Table, path: Path) -> None:
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
