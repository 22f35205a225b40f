"""The data sets of an HDF5 file, examined before any of them is read."""

import sys
import zlib
from collections.abc import Iterable, Iterator
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from swath.corpus.sources._raster import BadFileError, File, check_size
from swath.corpus.sources.published._convert import SKIP

_DEFLATE, _SHUFFLE, _FLETCHER32 = 1, 2, 3
"""Numbers, in HDF5's registry, of the filters that published files use."""
_CHECKSUM_BYTES = 4


def datasets(path: Path, opened: Any) -> list[Any]:
    """All data sets of an open file, by their heads.

    Raises:
        BadFileError: one lies in another file, which might be any of this machine, or is packed by an unknown filter;
            or the file is damaged.
    """
    import h5py

    listed = []

    def elsewhere(name: str, link: Any) -> str | None:
        """The name of what lies in another file, which ends the visit: an error must not cross the library."""
        if isinstance(link, h5py.HardLink) and isinstance(opened[name], h5py.Dataset):
            listed.append(opened[name])
            return name if listed[-1].external or listed[-1].is_virtual else None
        return name if isinstance(link, h5py.ExternalLink) else None

    try:
        name = opened.visititems_links(elsewhere)
    except (OSError, RuntimeError, KeyError, ValueError, SystemError) as error:  # the last is a bug of h5py
        what = f"{path.name} is damaged: its data sets cannot be listed"
        raise BadFileError(what, where=str(path), remedy=SKIP) from error
    if name:
        raise BadFileError(f"{path.name} takes {name} from another file", where=str(path), remedy=SKIP)
    for dataset in listed:
        _check_filters(path, dataset)
    return listed


def _filters(dataset: Any) -> list[int]:
    described = dataset.id.get_create_plist()
    return [described.get_filter(number)[0] for number in range(described.get_nfilters())]


def _check_filters(path: Path, dataset: Any) -> None:
    filters = _filters(dataset)
    if set(filters) - {_DEFLATE, _SHUFFLE, _FLETCHER32} or len(set(filters)) < len(filters):
        what = (
            f"{path.name} packs {dataset.name} by the HDF5 filters {filters}, of which only deflate is unpacked, once"
        )
        raise BadFileError(what, where=str(path), remedy=SKIP)


def decoded_size(dataset: Any, rows: int | None = None) -> int:
    """Bytes that are decoded for all values, or for those of some rows: a chunk is decoded whole.

    Texts of any length lie elsewhere in the file, and many may be one of them: each may be as long as the file.
    """
    all_rows = dataset.size * _file_bytes(dataset) if dataset.dtype.hasobject else dataset.nbytes
    wanted = all_rows if rows is None else all_rows // max(1, len(dataset)) * rows
    return max(wanted, _chunk_bytes(dataset))


def check_attributes(path: Path, holders: Iterable[Any], limit_gb: float) -> None:
    """Raise BadFileError if the attributes of data sets, and of the file itself, take more gigabytes than the limit.

    They are read one by one, since each of many texts may be as long as the file.
    """
    file, total = File(path, f"{path.name}, its attributes"), 0
    for holder in holders:
        for name in holder.attrs:
            said = holder.attrs.get_id(name)
            each = _file_bytes(holder) if said.dtype.hasobject else said.dtype.itemsize
            check_size(file, total + prod(said.shape or ()) * each, limit_gb)
            total += _bytes_of(holder.attrs[name])
            check_size(file, total, limit_gb)


def _file_bytes(holder: Any) -> int:
    return Path(holder.file.filename).stat().st_size


def _bytes_of(value: Any) -> int:
    """Of an attribute as it was read, with all of its texts."""
    if isinstance(value, np.ndarray | np.generic):
        return sum(map(_bytes_of, np.ravel(value).tolist())) if value.dtype.hasobject else value.nbytes
    return sum(map(_bytes_of, value)) if isinstance(value, tuple) else sys.getsizeof(value)


def _chunk_bytes(dataset: Any) -> int:
    return prod(dataset.chunks) * dataset.id.get_type().get_size() if dataset.chunks else 0


def check_chunks(path: Path, dataset: Any, row: int | None = None) -> None:
    """Raise BadFileError unless all chunks, or those of one row, unpack to the bytes that a chunk has.

    HDF5 itself unpacks a chunk however large it becomes, and fills one that is too short with what memory holds.
    """
    filters = _filters(dataset)
    if _DEFLATE not in filters:
        return
    for offset, skipped in _stored(dataset, row):
        applied = [name for number, name in enumerate(filters) if not skipped >> number & 1]
        if _DEFLATE not in applied:
            continue
        before = _FLETCHER32 in applied[: applied.index(_DEFLATE)]
        wanted = _chunk_bytes(dataset) + _CHECKSUM_BYTES * before
        if not _becomes(dataset.id.read_direct_chunk(offset)[1], wanted):
            what = f"{path.name} is damaged: a part of {dataset.name} does not unpack to {wanted:,} bytes"
            raise BadFileError(what, where=str(path), remedy=SKIP)


def _stored(dataset: Any, row: int | None) -> Iterator[tuple[tuple[int, ...], int]]:
    """Start of each written chunk (all chunks, or those of a row), and which filters each of them skipped."""
    if row is None:
        chunks: list[Any] = []
        dataset.id.chunk_iter(chunks.append)
        yield from ((info.chunk_offset, info.filter_mask) for info in chunks)
        return
    first, *others = dataset.chunks
    steps = [range(0, size, step) for size, step in zip(dataset.shape[1:], others, strict=True)]
    for offset in product((row // first * first,), *steps):
        info = dataset.id.get_chunk_info_by_coord(offset)
        if info.byte_offset is not None:
            yield offset, info.filter_mask


def _becomes(packed: bytes, size: int) -> bool:
    """Whether deflated bytes inflate to exactly this size; at most one byte more is unpacked."""
    inflating = zlib.decompressobj()
    try:
        return len(inflating.decompress(packed, size + 1)) == size
    except zlib.error:
        return False
