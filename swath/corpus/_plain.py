"""Rows of a Zarr array that are stored as they are, copied straight from its files.

TensorStore reads a whole row into memory of its own and copies the wanted part from there. Where nothing is to be
decoded, the system copies it from its cache into a small buffer, which the core's cache still holds when the counts are
converted, and of a row it reads the wanted bands alone.
"""

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorstore as ts
from jaxtyping import Int64, Integer, Shaped
from numpy import ndarray

from swath.corpus import _arrays

ENTRY_BYTES = 16
"""Of a shard's index: offset and length of a row, unsigned and little-endian; all bits are set where there is none."""
CHECKSUM_BYTES = 4
"""Behind the index, which ends a shard."""
ABSENT = -1

Runs = list[tuple[int, int]]
"""First band and number of bands of stretches of neighbours."""


@dataclass(frozen=True, slots=True)
class PlainArray:
    """An array "n c y x" whose rows are stored without compression."""

    array: ts.TensorStore
    row: tuple[int, int, int]
    """Bands, height and width."""
    dtype: np.dtype
    row_bytes: int
    rows_per_file: int

    @classmethod
    def of(cls, array: ts.TensorStore) -> "PlainArray | None":
        """The array if its rows are stored as they are and this system reads at any place of a file; else None."""
        bands, height, width = array.shape[1:]
        if not _is_plain(array) or not hasattr(os, "posix_fadvise"):
            return None
        dtype = array.dtype.numpy_dtype.newbyteorder("<")
        row_bytes = dtype.itemsize * bands * height * width
        return cls(array, (bands, height, width), dtype, row_bytes, _arrays.rows_per_file(array))

    def pieces(
        self, rows: Integer[ndarray, " n"], bands: Integer[ndarray, " c"] | None, most: int
    ) -> Generator[tuple[slice, Shaped[ndarray, "m c y x"]]]:
        """These bands (None: all) of these rows, at most so many at a time.

        Every piece lies in the same memory: it has to be used before the next is asked for.

        Raises:
            CorpusError: a file is truncated or damaged.
        """
        runs = None if bands is None else _runs(bands)
        count = self.row[0] if bands is None else len(bands)
        memory = np.empty((min(most, len(rows)), count, *self.row[1:]), self.dtype)
        number, place = np.divmod(rows, self.rows_per_file)
        same_file = [(first, end, int(number[first])) for first, end in stretches(number, 0)]
        # opened twice, for a batch may be spread over more files than a process may hold open
        for first, end, file in same_file:
            with self._opened(file) as shard:
                shard.announce(place[first:end])
        for first, end, file in same_file:
            with self._opened(file) as shard:
                for start in range(first, end, most):
                    part = slice(start, min(start + most, end))
                    piece = memory[: part.stop - part.start]
                    shard.read(place[part], runs, piece)
                    yield part, piece

    @contextmanager
    def _opened(self, number: int) -> Iterator["_Shard"]:
        path = _arrays.file_of(self.array, number)
        try:
            file = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            yield self._shard(path, -1, np.full(self.rows_per_file, ABSENT))
            return
        try:
            yield self._shard(path, file, self._offsets(path, file))
        finally:
            os.close(file)

    def _shard(self, path: Path, file: int, offsets: Int64[ndarray, " n"]) -> "_Shard":
        return _Shard(path, file, offsets, self.row_bytes, self.row_bytes // self.row[0])

    def _offsets(self, path: Path, file: int) -> Int64[ndarray, " n"]:
        """Where each row of an open file begins."""
        length = ENTRY_BYTES * self.rows_per_file
        end = os.fstat(file).st_size - length - CHECKSUM_BYTES
        if end < 0:
            raise _arrays.damaged(str(path), "it has no index")
        offsets, lengths = np.frombuffer(os.pread(file, length, end), "<i8").reshape(-1, 2).T
        there = offsets != ABSENT
        wrong = (offsets < 0) | (offsets > end - self.row_bytes) | (lengths != self.row_bytes)
        if wrong[there].any():
            raise _arrays.damaged(str(path), "its index is wrong")
        return offsets


@dataclass(frozen=True, slots=True)
class _Shard:
    """One file of an array."""

    path: Path
    file: int
    """Open; without meaning where no row is there."""
    offsets: Int64[ndarray, " n"]
    """Where each row begins."""
    row_bytes: int
    band_bytes: int

    def announce(self, places: Integer[ndarray, " m"]) -> None:
        """Let the system fetch these rows from the disk; it does not wait for them."""
        for first, end, offset in self._side_by_side(places):
            if offset != ABSENT:
                os.posix_fadvise(self.file, offset, (end - first) * self.row_bytes, os.POSIX_FADV_WILLNEED)

    def read(self, places: Integer[ndarray, " m"], runs: Runs | None, into: Shaped[ndarray, "m c y x"]) -> None:
        """Copy these runs of bands (None: all bands) of these rows; what is not there is 0, as Zarr has it."""
        for first, end, offset in self._side_by_side(places):
            if offset == ABSENT:
                into[first:end] = 0
            elif runs is None:
                self._copy(offset, into[first:end])
            else:
                for index in range(first, end):
                    self._copy_runs(offset + (index - first) * self.row_bytes, runs, into[index])

    def _side_by_side(self, places: Integer[ndarray, " m"]) -> Iterator[tuple[int, int, int]]:
        """Stretches of rows that follow each other in the file (or one that is absent): first, end and where."""
        offsets = self.offsets[places]
        for first, end in stretches(offsets, self.row_bytes):
            yield first, end, int(offsets[first])

    def _copy_runs(self, offset: int, runs: Runs, into: Shaped[ndarray, "c y x"]) -> None:
        put = 0
        for first, count in runs:
            self._copy(offset + first * self.band_bytes, into[put : put + count])
            put += count

    def _copy(self, offset: int, into: Shaped[ndarray, "..."]) -> None:
        if os.preadv(self.file, [into.data], offset) != into.nbytes:
            raise _arrays.damaged(str(self.path), "it ends too early")


def _is_plain(array: ts.TensorStore) -> bool:
    """Whether a shard holds the bytes of its rows, one after the other, and ends with their index."""
    assert array.codec is not None
    shards = array.codec.to_json()["codecs"][0]
    if shards["name"] != "sharding_indexed":
        return False
    settings = shards["configuration"]
    whole_rows = settings["chunk_shape"] == [1, *array.shape[1:]]
    as_they_are = [codec["name"] for codec in settings["codecs"]] == ["bytes"]
    return whole_rows and as_they_are and settings["index_location"] == "end"


def _runs(bands: Integer[ndarray, " c"]) -> Runs:
    return [(int(bands[first]), end - first) for first, end in stretches(bands, 1)]


def stretches(values: Integer[ndarray, " n"], step: int) -> Iterator[tuple[int, int]]:
    """First and end of the longest stretches in which each value is the one before it and so much more."""
    first = 0
    for end in (*(np.flatnonzero(np.diff(values) != step) + 1).tolist(), len(values)):
        if end > first:
            yield first, end
        first = end
