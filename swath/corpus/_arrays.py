"""Zarr v3 arrays with one row a chip (or a location): created, grown and opened. TensorStore does the work.

`<folder>/pixels/<sensor>.zarr` is a Zarr group holding one array, so that xarray opens it as a data set.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import tensorstore as ts

from swath._files import write_whole
from swath.errors import CorpusError

Compression = Literal["none", "fast", "small"]
"""`none` stores counts as they are, and wanted bands are read alone; `fast` does so with bytes, and packs wider counts
into about two thirds of the room, for half as much time again to read whole series; `small` takes the least room and is
several times slower to read."""

SHARD_BYTES = 32 * 2**20
"""Wanted size of a shard file: few files for large corpora, and cheap to rewrite when a part ends inside one."""


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

    An array that is there keeps the compression that it was created with.
    """
    if exists(path, name):
        return open_array(path, name)
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
    """One row an inner chunk.

    None: as it is. Fast: LZ4, except for single bytes of imagery, which it can hardly compress but slows down.
    Small: Zstandard.
    """
    size = np.dtype(dtype).itemsize
    little: dict[str, Any] = {"name": "bytes", "configuration": {"endian": "little"}} if size > 1 else {"name": "bytes"}
    shuffle = "bitshuffle" if size > 1 or compression == "small" else "noshuffle"
    method = {"cname": "zstd", "clevel": 5} if compression == "small" else {"cname": "lz4", "clevel": 1}
    blosc = {**method, "shuffle": shuffle, "typesize": size, "blocksize": 0}
    plain = compression == "none" or (compression == "fast" and size == 1 and len(row) != 2)
    codecs = [little] if plain else [little, {"name": "blosc", "configuration": blosc}]
    index = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]
    return {
        "name": "sharding_indexed",
        "configuration": {
            "chunk_shape": [1, *row],
            "codecs": codecs,
            "index_codecs": index,
        },
    }


def _spec(path: Path, name: str) -> dict[str, Any]:
    return {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(path / name)}}


def exists(path: Path, name: str) -> bool:
    """Whether the group at `path` holds that array."""
    return (path / name / "zarr.json").exists()


def open_array(path: Path, name: str, threads: int | None = None) -> ts.TensorStore:
    """Open an existing array; `threads` limits the cores used for decoding (default: all)."""
    pools = ("data_copy_concurrency", "file_io_concurrency")
    limits = {} if threads is None else {pool: {"limit": threads} for pool in pools}
    return ts.open(_spec(path, name), context=ts.Context(limits), open=True).result()


def read(rows: ts.TensorStore) -> np.ndarray:
    """These rows of an array, in memory.

    Raises:
        CorpusError: a file is truncated or damaged.
    """
    try:
        return rows.read().result()
    except ValueError as error:
        file = re.search(r'local file "([^"]+)"', str(error))
        raise damaged(file[1] if file else str(rows.kvstore), str(error).rsplit(": ", 1)[-1]) from None


def damaged(file: str, why: str) -> CorpusError:
    """What to raise for such a file of an array."""
    return CorpusError(
        f"a file of the corpus is damaged: {why}", where=file, remedy="restore the file, or build the corpus again"
    )


def rows_per_file(array: ts.TensorStore) -> int:
    """Rows of a shard."""
    return cast("tuple[int, ...]", array.chunk_layout.write_chunk.shape)[0]


def file_of(array: ts.TensorStore, number: int) -> Path:
    """Where a shard is. A row that is the fill value need not be in it, and a shard of such rows need not be there."""
    assert array.kvstore is not None
    return Path(array.kvstore.path, "c", str(number), *["0"] * (array.ndim - 1))


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
