"""Rows of small arrays, kept in memory once they were read: series of pixels take longer to decode than to train on."""

from dataclasses import dataclass

import numpy as np
import tensorstore as ts
from jaxtyping import Bool, Integer, Shaped
from numpy import ndarray

from swath.corpus.store import arrays as _arrays

ROW_BYTES = 16 * 2**10
"""Largest row: up to there, to find and decode it is what reading costs, not to copy it."""
ARRAY_BYTES = 128 * 2**20
"""Largest array."""


def is_small(array: ts.TensorStore) -> bool:
    """Whether an array's rows are worth keeping."""
    rows, *shape = array.shape
    row_bytes = array.dtype.numpy_dtype.itemsize * int(np.prod(shape))
    return row_bytes <= ROW_BYTES and rows * row_bytes <= ARRAY_BYTES


@dataclass(frozen=True, slots=True, eq=False)
class KeptArray:
    """An array each of whose rows is read once. Safe to use from several threads: two may read a row, to one end."""

    array: ts.TensorStore
    rows: Shaped[ndarray, "n ..."]
    """Those that were read; to the others the system gives no memory."""
    is_read: Bool[ndarray, " n"]

    @classmethod
    def of(cls, array: ts.TensorStore) -> "KeptArray":
        """The array, with none of its rows read."""
        return cls(array, np.empty(array.shape, array.dtype.numpy_dtype), np.zeros(array.shape[0], bool))

    def read(
        self, rows: Integer[ndarray, " n"], bands: Integer[ndarray, " c"] | None = None
    ) -> Shaped[ndarray, "n ..."]:
        """These rows, or some bands of them: what `arrays.read` returns, and raises for rows not read before."""
        missing = rows[~self.is_read[rows]]
        if len(missing):
            self.rows[missing] = _arrays.read(self.array, missing)
            self.is_read[missing] = True
        return self.rows[rows] if bands is None else self.rows[rows[:, None], bands]
