"""Finished cells on disk: one file each, whole or absent, so that an evaluation can be killed at any moment."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from swath._files import whole
from swath.tasks._types import Cell
from swath.tasks.statistics import CELL_COLUMNS

FORMAT = 1
"""Part of every digest: raise it when old cells would mean something else."""

SCHEMA = pa.schema(
    [
        *[pa.field(name, pa.string()) for name in ("task", "input", "probe", "row", "kind")],
        pa.field("seed", pa.int64()),
        pa.field("uid", pa.string()),
        pa.field("group", pa.string()),
        pa.field("y_true", pa.int32()),
        pa.field("y_pred", pa.int32()),
        pa.field("score", pa.list_(pa.float32())),
    ]
)
"""Of predictions.parquet, and of each cell's file."""

_NOTE = b"swath"


def table_of(cell: Cell) -> pa.Table:
    """Predictions of one cell, one row per unit; none if it could not be computed."""
    if cell.prediction is None:
        return SCHEMA.empty_table()
    n, scores = len(cell.units), cell.prediction.scores
    columns = {
        **{name: [getattr(cell, name)] * n for name in CELL_COLUMNS},
        "uid": list(cell.units.uid),
        "group": list(cell.units.group),
        "y_true": cell.units.y_true,
        "y_pred": cell.prediction.y_pred,
        "score": [None] * n if scores is None else scores.astype(np.float32).tolist(),
    }
    return pa.Table.from_pydict(columns, schema=SCHEMA)


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

    def has(self, key: str) -> bool:
        """Whether the cell is finished."""
        return self.path(key).exists()

    def write(self, key: str, cell: Cell) -> None:
        """Store a cell; the file appears whole or not at all."""
        identity = {name: getattr(cell, name) for name in CELL_COLUMNS}
        said = json.dumps({"cell": identity, "note": cell.note})
        write_table(table_of(cell).replace_schema_metadata({_NOTE: said.encode()}), self.path(key))

    def read(self, key: str) -> Stored:
        """A finished cell."""
        table = pq.read_table(self.path(key))
        said = json.loads((table.schema.metadata or {})[_NOTE])
        return Stored(said["cell"], said["note"], table.replace_schema_metadata(None))


def write_table(table: pa.Table, path: Path) -> None:
    """Write a Parquet file that appears whole or not at all."""
    with whole(path) as temporary:
        pq.write_table(table, temporary)
