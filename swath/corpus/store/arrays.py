"""Zarr v3 arrays with one row a chip (or a location): created, grown and opened. TensorStore does the work.

`<folder>/pixels/<sensor>.zarr` is a Zarr group holding one array, so that xarray opens it as a data set.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import tensorstore as ts
from jaxtyping import Integer, Shaped
from numpy import ndarray

from swath._files import write_whole
from swath.errors import CorpusError

Compression = Literal["none", "fast", "small"]
"""`none` stores counts as they are, and wanted bands can be read alone. `fast` does so with bytes, and packs
wider counts into about two thirds of the room, for half as much time again to read whole series. `small` takes
the least room and is several times slower to read."""

SHARD_BYTES = 32 * 2**20
"""Wanted size of a shard file: large enough for few files, small enough to rewrite when a part ends inside one."""


CHECKSUM = "crc32c"
"""Zarr's checksum codec, which ends every row and every shard's index. An array with checksums stores all of
its rows, also those of the fill value alone, so that an absent row is damage."""


UNREADABLE = (ValueError, NotImplementedError)
"""Exceptions that TensorStore raises for damage; the second one where a row's length and its bytes disagree."""


class DamagedError(CorpusError):
    """A file of an array cannot be read, or holds something else than what was written."""

    why: str = ""
    row: int | None = None
    """Row of the array that is damaged; None where it is not about one row."""


def create(
    path: Path,
    name: str,
    shape: Sequence[int],
    dtype: str,
    dims: Sequence[str],
    attributes: dict[str, Any],
    fill: Any = 0,
    compression: Compression = "fast",
) -> ts.TensorStore:
    """Open the array in the group at `path`, or create it with `shape[0]` rows, each an inner chunk of a shard.

    An array that is there keeps the compression that it was created with, and stays without checksums if it has none.
    """
    if exists(path, name):
        return open_array(path, name, sparse=True)
    row = tuple(shape[1:])
    rows_per_shard = int(np.clip(SHARD_BYTES // (np.dtype(dtype).itemsize * int(np.prod(row))), 1, 1024))
    group = path / "zarr.json"
    if not group.exists():
        path.mkdir(parents=True, exist_ok=True)
        write_whole(group, json.dumps({"zarr_format": 3, "node_type": "group", "attributes": {}}).encode())
    metadata = {
        "shape": list(shape),
        "data_type": dtype,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [rows_per_shard, *row]}},
        "codecs": [_sharding(row, dtype, compression)],
        "fill_value": fill,
        "dimension_names": list(dims),
        "attributes": attributes,
    }
    return ts.open({**_spec(path, name), "metadata": metadata}, create=True).result()


def _sharding(row: tuple[int, ...], dtype: str, compression: Compression) -> dict[str, Any]:
    """The sharding codec: one row per inner chunk, followed by its checksum.

    None: as it is. Fast: LZ4, except for single bytes of imagery, which it can hardly compress but slows down.
    Small: Zstandard.
    """
    size = np.dtype(dtype).itemsize
    little: dict[str, Any] = {"name": "bytes", "configuration": {"endian": "little"}} if size > 1 else {"name": "bytes"}
    shuffle = "bitshuffle" if size > 1 or compression == "small" else "noshuffle"
    method = {"cname": "zstd", "clevel": 5} if compression == "small" else {"cname": "lz4", "clevel": 1}
    blosc = {**method, "shuffle": shuffle, "typesize": size, "blocksize": 0}
    plain = compression == "none" or (compression == "fast" and size == 1 and len(row) != 2)
    packed = [] if plain else [{"name": "blosc", "configuration": blosc}]
    index = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": CHECKSUM}]
    return {
        "name": "sharding_indexed",
        "configuration": {
            "chunk_shape": [1, *row],
            "codecs": [little, *packed, {"name": CHECKSUM}],
            "index_codecs": index,
        },
    }


def _spec(path: Path, name: str) -> dict[str, Any]:
    store = {"driver": "file", "path": str(path / name)}
    return {"driver": "zarr3", "kvstore": store, "store_data_equal_to_fill_value": True}


def exists(path: Path, name: str) -> bool:
    """Whether the group at `path` holds that array."""
    return (path / name / "zarr.json").exists()


def open_array(path: Path, name: str, threads: int | None = None, *, sparse: bool = False) -> ts.TensorStore:
    """Open an existing array.

    Args:
        path: of its group.
        name: in the group.
        threads: cores used for decoding; default all.
        sparse: rows that are not there read as the fill value. They always do in an array without checksums.

    Raises:
        DamagedError: the array's description cannot be understood.
    """
    pools = ("data_copy_concurrency", "file_io_concurrency")
    limits = {} if threads is None else {pool: {"limit": threads} for pool in pools}
    context = ts.Context(limits)
    try:
        array = ts.open(_spec(path, name), context=context, open=True).result()
        if sparse or not has_checksums(array):
            return array
        return ts.open({**_spec(path, name), "fill_missing_data_reads": False}, context=context, open=True).result()
    except UNREADABLE as error:
        raise damaged(path / name / "zarr.json", _reason(error)) from None


def has_checksums(array: ts.TensorStore) -> bool:
    """Whether every row ends with a checksum."""
    return row_codecs(array)[-1:] == [CHECKSUM]


def row_codecs(array: ts.TensorStore) -> list[str]:
    """Names of the codecs that a row passes on its way to a shard; empty where rows are no inner chunks of shards."""
    assert array.codec is not None
    first = array.codec.to_json()["codecs"][0]
    if first["name"] != "sharding_indexed" or first["configuration"]["chunk_shape"] != [1, *array.shape[1:]]:
        return []
    return [codec["name"] for codec in first["configuration"]["codecs"]]


def read(
    array: ts.TensorStore, rows: Integer[ndarray, " n"], bands: Integer[ndarray, " c"] | None = None
) -> Shaped[ndarray, "n ..."]:
    """Read these rows of an array into memory.

    Args:
        array: as `open_array` returns it.
        rows: row numbers.
        bands: positions on the second axis; None for all.

    Raises:
        DamagedError: a file is missing, truncated or damaged; names the first row that cannot be read.
    """
    try:
        return (array[rows] if bands is None else array.oindex[rows, bands]).read().result()
    except UNREADABLE as error:
        raise _first_damage(array, rows, error) from None


def _first_damage(array: ts.TensorStore, rows: Integer[ndarray, " n"], error: Exception) -> DamagedError:
    for row in rows.tolist():
        try:
            array[row].read().result()
        except UNREADABLE as one:
            file = file_of(array, row // rows_per_file(array))
            return damaged(file, _reason(one) if file.exists() else "it is not there", row)
    return damaged(file_of(array, int(rows[0]) // rows_per_file(array)), _reason(error))


def _reason(error: Exception) -> str:
    """TensorStore's message without the file, which is named elsewhere."""
    text = str(error)
    if text.startswith("NOT_FOUND"):
        return "a row is missing"
    if isinstance(error, NotImplementedError):
        return "a row cannot be decoded"
    return text.rsplit(": ", 1)[-1] if "igest mismatch" not in text else "the checksum is wrong"


def damaged(file: Path, why: str, row: int | None = None, location: str | None = None) -> DamagedError:
    """The error for a damaged file of an array.

    Args:
        file: path of the file.
        why: what is wrong with it.
        row: row of the array, where it is known.
        location: id of the location, where it is known.
    """
    details = [f"row {row}"] * (row is not None) + [f"location {location!r}"] * (location is not None)
    error = DamagedError(
        f"a file of the corpus is damaged: {why}" + (f" ({', '.join(details)})" if details else ""),
        where=str(file),
        remedy="restore the file, or build the corpus again",
    )
    error.why, error.row = why, row
    return error


def rows_per_file(array: ts.TensorStore) -> int:
    """How many rows of an array a shard file holds."""
    return cast("tuple[int, ...]", array.chunk_layout.write_chunk.shape)[0]


def file_of(array: ts.TensorStore, number: int) -> Path:
    """Path of a shard. Without checksums, rows of the fill value may be absent from it, and so may the file."""
    assert array.kvstore is not None
    return Path(array.kvstore.path, "c", str(number), *["0"] * (array.ndim - 1))


def remove_unfinished(folder: Path) -> None:
    """Remove the files that a killed process was writing below a folder that nobody else writes to.

    TensorStore writes a file beside the one that it replaces and renames it. It begins a new one over what such a file
    holds, and keeps what is longer: the row index at the end would be of the killed write, and the shard unreadable.
    """
    for path in folder.rglob("*.__lock"):
        path.unlink(missing_ok=True)


def with_rows(array: ts.TensorStore, rows: int) -> ts.TensorStore:
    """The array with room for at least that many rows; shrinking is left to `trim`."""
    if array.shape[0] >= rows:
        return array
    return array.resize(exclusive_max=[rows, *array.shape[1:]], resize_metadata_only=True).result()


def trim(array: ts.TensorStore, rows: int) -> ts.TensorStore:
    """The array with exactly that many rows: drops what an interrupted build wrote beyond its last committed part."""
    if array.shape[0] == rows:
        return array
    return array.resize(exclusive_max=[rows, *array.shape[1:]]).result()
