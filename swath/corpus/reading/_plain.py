"""Rows of a Zarr array that are stored as they are, copied straight from its files.

TensorStore reads a whole row into memory of its own and copies the wanted part from there. Where nothing is to be
decoded, the system copies it from its cache into a small buffer, which the core's cache still holds when the counts are
converted, and of a row it reads the wanted bands alone. A checksum is of a whole row: it is compared when a row is read
for the first time, and only then are bands read alone.
"""

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import google_crc32c
import numpy as np
import tensorstore as ts
from jaxtyping import Bool, Int64, Integer, Shaped, UInt8
from numpy import ndarray

from swath.corpus.store import arrays as _arrays

ENTRY_BYTES = 16
"""Bytes of an entry of a shard's index: offset and length of a row, unsigned and little-endian; all bits are
set for an absent row."""
CHECKSUM_BYTES = 4
"""Bytes of a checksum, little-endian: it follows the index, which ends a shard, and each row of an array with
checksums."""
ABSENT = -1

Runs = list[tuple[int, int]]
"""Stretches of neighbouring bands: first band and number of bands of each."""


@dataclass(frozen=True, slots=True)
class PlainArray:
    """An array "n c y x" whose rows are stored without compression."""

    array: ts.TensorStore
    row: tuple[int, int, int]
    """Bands, height and width."""
    dtype: np.dtype
    row_bytes: int
    """Bytes of a row without its checksum."""
    step: int
    """Bytes from the start of a row to that of the next."""
    rows_per_file: int
    unread: Bool[ndarray, " n"] | None
    """True for rows whose checksum has not been compared yet; None where there are no checksums."""
    _indices: "dict[int, _Index]" = field(default_factory=dict)
    """Indices of the files that were opened before."""

    @classmethod
    def of(cls, array: ts.TensorStore) -> "PlainArray | None":
        """The array, if its rows are stored uncompressed and this system can read at any position of a file;
        else None.
        """
        bands, height, width = array.shape[1:]
        if not _is_plain(array) or not hasattr(os, "posix_fadvise"):
            return None
        dtype = array.dtype.numpy_dtype.newbyteorder("<")
        row_bytes = dtype.itemsize * bands * height * width
        sums = _arrays.has_checksums(array)
        step = row_bytes + CHECKSUM_BYTES * sums
        unread = np.ones(array.shape[0], bool) if sums else None
        return cls(array, (bands, height, width), dtype, row_bytes, step, _arrays.rows_per_file(array), unread)

    def pieces(
        self, rows: Integer[ndarray, " n"], bands: Integer[ndarray, " c"] | None, most: int
    ) -> Generator[tuple[slice, Shaped[ndarray, "m c y x"]]]:
        """Yield these bands (None: all) of these rows, in pieces of limited size.

        Every piece lies in the same memory: it has to be used before the next is asked for.

        Raises:
            DamagedError: a file is missing, truncated or damaged.
        """
        number, row_in_file = np.divmod(rows, self.rows_per_file)
        same_file = [(first, end, int(number[first])) for first, end in stretches(number, 0)]
        memory = np.empty((min(most, len(rows)) if bands is None else 1, self.step), np.uint8)
        chosen = None if bands is None else np.empty((min(most, len(rows)), len(bands), *self.row[1:]), self.dtype)
        # opened twice, for a batch may be spread over more files than a process may hold open
        for first, end, file in same_file:
            with self._opened(file) as shard:
                shard.announce(row_in_file[first:end])
        for first, end, file in same_file:
            with self._opened(file) as shard:
                for start in range(first, end, most):
                    part = slice(start, min(start + most, end))
                    if bands is None or chosen is None:
                        yield part, self._whole(shard, rows[part], memory)
                    else:
                        yield part, self._some(shard, rows[part], bands, memory, chosen)

    def gather(
        self,
        rows: Integer[ndarray, " n"],
        bands: Integer[ndarray, " c"] | None,
        places: Integer[ndarray, " n"],
        into: Shaped[ndarray, "m c y x"],
    ) -> None:
        """Copy these bands (None: all) of rows, ascending, to their places in an array, straight from the files.

        For several threads, each with its share of the rows: they wait for the disk side by side, so that no row is
        announced to the system, which costs a quarter of the time where the files are in its cache.

        Raises:
            DamagedError: a file is missing, truncated or damaged.
        """
        memory = np.empty((1, self.step), np.uint8)
        runs = [(0, self.row[0])] if bands is None else _runs(bands)
        for first, end in stretches(rows // self.rows_per_file, 0):
            with self._opened(int(rows[first]) // self.rows_per_file) as shard:
                for row, put in zip(rows[first:end].tolist(), places[first:end].tolist(), strict=True):
                    self._copy(shard, row, bands, runs, memory, into[put])

    def _whole(
        self, shard: "_Shard", rows: Integer[ndarray, " m"], memory: UInt8[ndarray, "most step"]
    ) -> Shaped[ndarray, "m c y x"]:
        """Read all bands of some rows of a file; the rows' checksums stay between them in memory."""
        raw = memory[: len(rows)]
        shard.read(rows % self.rows_per_file, raw)
        self._compare(shard.path, rows, raw)
        strides = (self.step, *np.empty(self.row, self.dtype).strides)
        return np.ndarray((len(rows), *self.row), self.dtype, raw, strides=strides)

    def _some(
        self,
        shard: "_Shard",
        rows: Integer[ndarray, " m"],
        bands: Integer[ndarray, " c"],
        memory: UInt8[ndarray, "1 step"],
        into: Shaped[ndarray, "most c y x"],
    ) -> Shaped[ndarray, "m c y x"]:
        """Read some bands of rows of a file, without the others where the row's checksum was compared before."""
        runs = _runs(bands)
        for index, row in enumerate(rows.tolist()):
            self._copy(shard, row, bands, runs, memory, into[index])
        return into[: len(rows)]

    def _copy(
        self,
        shard: "_Shard",
        row: int,
        bands: Integer[ndarray, " c"] | None,
        runs: Runs,
        memory: UInt8[ndarray, "1 step"],
        into: Shaped[ndarray, "c y x"],
    ) -> None:
        """Copy some bands of a row, by way of `memory` where its checksum has to be compared first."""
        if self.unread is not None and self.unread[row]:
            all_bands = self._whole(shard, np.array([row]), memory)[0]
            into[:] = all_bands if bands is None else all_bands[bands]
        else:
            shard.read_bands(row % self.rows_per_file, runs, into)

    def _compare(self, path: Path, rows: Integer[ndarray, " m"], raw: UInt8[ndarray, "m step"]) -> None:
        """Raise DamagedError if a row's checksum is not that of its bytes."""
        if self.unread is None:
            return
        stored = np.ascontiguousarray(raw[:, self.row_bytes :]).view("<u4")
        for index in np.flatnonzero(self.unread[rows]).tolist():
            if google_crc32c.value(raw[index, : self.row_bytes]) != int(stored[index, 0]):
                raise _arrays.damaged(path, "the checksum is wrong", int(rows[index]))
        self.unread[rows] = False

    @contextmanager
    def _opened(self, number: int) -> Iterator["_Shard"]:
        index = self._indices.get(number)
        path = _arrays.file_of(self.array, number) if index is None else index.path
        try:
            file = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            yield self._shard(path, number, -1, np.full(self.rows_per_file, ABSENT))
            return
        try:
            version = _version(file)
            if index is None or index.version != version:
                self._indices[number] = index = _Index(path, version, self._offsets(path, file))
            yield self._shard(path, number, file, index.offsets)
        finally:
            os.close(file)

    def _shard(self, path: Path, number: int, file: int, offsets: Int64[ndarray, " n"]) -> "_Shard":
        band_bytes = self.row_bytes // self.row[0]
        first = number * self.rows_per_file
        return _Shard(path, file, offsets, self.step, band_bytes, first, complete=self.unread is not None)

    def _offsets(self, path: Path, file: int) -> Int64[ndarray, " n"]:
        """Position in an open file at which each of its rows begins."""
        length = ENTRY_BYTES * self.rows_per_file
        end = os.fstat(file).st_size - length - CHECKSUM_BYTES
        if end < 0:
            raise _arrays.damaged(path, "it has no index")
        index = os.pread(file, length + CHECKSUM_BYTES, end)
        if google_crc32c.value(index[:length]) != int.from_bytes(index[length:], "little"):
            raise _arrays.damaged(path, "the checksum of its index is wrong")
        offsets, lengths = np.frombuffer(index[:length], "<i8").reshape(-1, 2).T
        there = offsets != ABSENT
        wrong = (offsets < 0) | (offsets > end - self.step) | (lengths != self.step)
        if wrong[there].any():
            raise _arrays.damaged(path, "its index is wrong")
        return offsets


@dataclass(frozen=True, slots=True)
class _Index:
    """The index of a file as read when the file was opened before."""

    path: Path
    version: tuple[int, ...]
    offsets: Int64[ndarray, " n"]


def _version(file: int) -> tuple[int, ...]:
    """What identifies the state of a file: it changes when the file is replaced or written to."""
    status = os.fstat(file)
    return status.st_ino, status.st_size, status.st_mtime_ns


@dataclass(frozen=True, slots=True)
class _Shard:
    """One open file of an array."""

    path: Path
    file: int
    """Descriptor of the open file; negative where there is no file."""
    offsets: Int64[ndarray, " n"]
    """Position in the file at which each row begins."""
    step: int
    """Bytes from the start of a row to that of the next."""
    band_bytes: int
    first: int
    """Number of the file's first row within the array."""
    complete: bool
    """Whether an absent row is damage; otherwise its values are 0, as in Zarr."""

    def announce(self, places: Integer[ndarray, " m"]) -> None:
        """Ask the system to fetch these rows from the disk, without waiting for them."""
        for first, end, offset in self._side_by_side(places):
            if offset != ABSENT:
                os.posix_fadvise(self.file, offset, (end - first) * self.step, os.POSIX_FADV_WILLNEED)

    def read(self, places: Integer[ndarray, " m"], into: UInt8[ndarray, "m step"]) -> None:
        """Copy rows as they lie in the file, checksums included."""
        for first, end, offset in self._side_by_side(places):
            self._copy(offset, into[first:end], int(places[first]))

    def read_bands(self, place: int, runs: Runs, into: Shaped[ndarray, "c y x"]) -> None:
        """Copy these runs of bands of a row."""
        offset, put = int(self.offsets[place]), 0
        for first, count in runs:
            start = offset if offset == ABSENT else offset + first * self.band_bytes
            self._copy(start, into[put : put + count], place)
            put += count

    def _side_by_side(self, places: Integer[ndarray, " m"]) -> Iterator[tuple[int, int, int]]:
        """Stretches of rows that follow each other in the file (or one absent row): first, end, and position in
        the file.
        """
        offsets = self.offsets[places]
        for first, end in stretches(offsets, self.step):
            yield first, end, int(offsets[first])

    def _copy(self, offset: int, into: Shaped[ndarray, "..."], place: int) -> None:
        if offset == ABSENT:
            if self.complete:
                why = "it is not there" if self.file < 0 else "a row is missing"
                raise _arrays.damaged(self.path, why, self.first + place)
            into[:] = 0
        elif os.preadv(self.file, [into.data], offset) != into.nbytes:
            raise _arrays.damaged(self.path, "it ends too early", self.first + place)


def _is_plain(array: ts.TensorStore) -> bool:
    """Whether a shard holds the bytes of its rows, one after the other, and ends with their index."""
    assert array.codec is not None
    at_end = array.codec.to_json()["codecs"][0].get("configuration", {}).get("index_location") == "end"
    return at_end and _arrays.row_codecs(array) in (["bytes"], ["bytes", _arrays.CHECKSUM])


def _runs(bands: Integer[ndarray, " c"]) -> Runs:
    return [(int(bands[first]), end - first) for first, end in stretches(bands, 1)]


def stretches(values: Integer[ndarray, " n"], step: int) -> Iterator[tuple[int, int]]:
    """First and end of the longest stretches in which each value exceeds the one before it by `step`."""
    first = 0
    for end in (*(np.flatnonzero(np.diff(values) != step) + 1).tolist(), len(values)):
        if end > first:
            yield first, end
        first = end
