"""Finished cells on disk: one file each, whole or absent, so that an evaluation can be killed at any moment."""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from swath._files import whole
from swath.corpus.labels.target import VOID
from swath.tasks._types import Cell
from swath.tasks.data.labels import packed
from swath.tasks.statistics import CELL_COLUMNS

FORMAT = 4
"""Part of every digest: raise it when old cells would mean something else. 4: label codes below 0 are looked up, and
likelihood decides between equals on validation."""

SCHEMA = pa.schema(
    [
        *[pa.field(name, pa.string()) for name in ("task", "input", "probe", "row", "kind")],
        pa.field("seed", pa.int64()),
        pa.field("uid", pa.string()),
        pa.field("group", pa.string()),
        pa.field("y_true", pa.int64()),
        pa.field("y_pred", pa.int64()),
        pa.field("count", pa.int64()),
        pa.field("score", pa.list_(pa.float32())),
    ]
)
"""Of predictions.parquet, and of each cell's file: a line per unit and entry of its confusion matrix that is not 0.
Where units have several classes: a line per unit, in whose y the bit of each class says whether it is there."""
MAPS = pa.schema(
    [
        *[pa.field(name, pa.string()) for name in ("task", "input", "probe", "row", "kind")],
        pa.field("seed", pa.int64()),
        pa.field("uid", pa.string()),
        pa.field("height", pa.int32()),
        pa.field("y_true", pa.list_(pa.int16())),
        pa.field("y_pred", pa.list_(pa.int16())),
    ]
)
"""Of maps.parquet: labels and predictions of some units of each cell, row by row, for pictures."""
SHOWN = 8
"""Of each cell, maps of so many of the units that are most and least right."""
UNDER_CLOUDS = SCHEMA.append(pa.field("cloud", pa.float64()))
"""Of under_clouds.parquet: predictions with so much cloud painted over the test series."""

_NOTE = b"swath"


def table_of(cell: Cell) -> pa.Table:
    """Predictions of one cell; none if it could not be computed."""
    if cell.prediction is None:
        return SCHEMA.empty_table()
    return pa.Table.from_pydict(_columns(cell, cell.prediction.y_pred, cell.prediction.scores), schema=SCHEMA)


def under_clouds_of(cell: Cell) -> pa.Table:
    """Predictions of one cell under painted clouds; none if the task asks for none, or nothing was trained."""
    levels = {} if cell.prediction is None else cell.prediction.under_clouds
    tables = [
        pa.Table.from_pydict(found | {"cloud": [share] * len(found["count"])}, schema=UNDER_CLOUDS)
        for share, found in ((share, _columns(cell, y_pred, None)) for share, y_pred in levels.items())
    ]
    return pa.concat_tables([UNDER_CLOUDS.empty_table(), *tables])


def _columns(cell: Cell, y_pred: np.ndarray, scores: np.ndarray | None) -> dict[str, Any]:
    unit, y_true, y_pred, count = _entries(cell.units.y_true, y_pred)
    return {
        **{name: [getattr(cell, name)] * len(unit) for name in CELL_COLUMNS},
        "uid": np.array(cell.units.uid, dtype=object)[unit],
        "group": np.array(cell.units.group, dtype=object)[unit],
        "y_true": y_true,
        "y_pred": y_pred,
        "count": count,
        "score": [None] * len(unit) if scores is None else scores.astype(np.float32).tolist(),
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
    found, count = np.unique(entries, axis=0, return_counts=True)
    return found[:, 0], found[:, 1], found[:, 2], count


def maps_of(cell: Cell) -> pa.Table:
    """Maps of the units that are most and least right, by the share of labelled pixels; none of whole locations."""
    if cell.prediction is None or cell.units.y_true.ndim < 3:
        return MAPS.empty_table()
    y_true, y_pred = cell.units.y_true, cell.prediction.y_pred
    there = y_true != VOID
    right = ((y_true == y_pred) & there).sum((1, 2)) / there.sum((1, 2))
    order = np.argsort(right, kind="stable")
    chosen = np.unique(np.concatenate([order[:SHOWN], order[-SHOWN:]]))
    columns = {
        **{name: [getattr(cell, name)] * len(chosen) for name in CELL_COLUMNS},
        "uid": [cell.units.uid[i] for i in chosen],
        "height": [y_true.shape[1]] * len(chosen),
        "y_true": list(y_true[chosen].reshape(len(chosen), -1)),
        "y_pred": list(y_pred[chosen].reshape(len(chosen), -1)),
    }
    return pa.Table.from_pydict(columns, schema=MAPS)


def digest(*parts: Any) -> str:
    """Short hash of plain data."""
    text = json.dumps([FORMAT, *parts], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


@dataclass(frozen=True)
class Stored:
    """A cell as it was read back."""

    identity: dict[str, Any]
    """CELL_COLUMNS."""
    note: str
    predictions: pa.Table
    maps: pa.Table
    under_clouds: pa.Table

    def remarked(self, remark: str) -> "Stored":
        """The same cell with a remark put before its note."""
        return replace(self, note="; ".join(filter(None, (remark, self.note))))

    @property
    def note_line(self) -> dict[str, Any]:
        """One row of the notes."""
        return {**self.identity, "note": self.note}


class CellStore:
    """A folder of cells by digest of everything that they depend on."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, key: str) -> Path:
        """The file of the cell with that digest."""
        return self.folder / f"{key}.parquet"

    def maps_path(self, key: str) -> Path:
        """The file of that cell's maps, if it has any."""
        return self.folder / f"{key}.maps.parquet"

    def under_clouds_path(self, key: str) -> Path:
        """The file of that cell's predictions under painted clouds, if it has any."""
        return self.folder / f"{key}.clouds.parquet"

    def has(self, key: str) -> bool:
        """Whether the cell is finished."""
        return self.path(key).exists()

    def write(self, key: str, cell: Cell) -> None:
        """Store a cell; the file appears whole or not at all."""
        identity = {name: getattr(cell, name) for name in CELL_COLUMNS}
        said = json.dumps({"cell": identity, "note": cell.note})
        # predictions come last: a cell is finished once they are there
        if (maps := maps_of(cell)).num_rows:
            write_table(maps, self.maps_path(key))
        if (under_clouds := under_clouds_of(cell)).num_rows:
            write_table(under_clouds, self.under_clouds_path(key))
        write_table(table_of(cell).replace_schema_metadata({_NOTE: said.encode()}), self.path(key))

    def read(self, key: str) -> Stored:
        """A finished cell."""
        table = pq.read_table(self.path(key))
        said = json.loads((table.schema.metadata or {})[_NOTE])
        maps, clouds = _read(self.maps_path(key), MAPS), _read(self.under_clouds_path(key), UNDER_CLOUDS)
        return Stored(said["cell"], said["note"], _wide(table, SCHEMA), maps, clouds)


def _read(path: Path, schema: pa.Schema) -> pa.Table:
    return _wide(pq.read_table(path), schema) if path.exists() else schema.empty_table()


def _wide(table: pa.Table, schema: pa.Schema) -> pa.Table:
    # cells of older versions hold narrower numbers
    return table.replace_schema_metadata(None).cast(schema)


def write_table(table: pa.Table, path: Path) -> None:
    """Write a Parquet file that appears whole or not at all."""
    with whole(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
