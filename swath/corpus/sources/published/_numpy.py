"""Reading NumPy files and JSON, with every failure turned into a message that names the file."""

import ast
import zipfile
import zlib
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from functools import partial
from math import prod
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Shaped
from numpy import ndarray

from swath._files import parse_json, read_json
from swath.corpus.sources._raster import BadFileError, File, check_size
from swath.corpus.sources.published import _zip

REMEDY = "get the file again, or leave such files out: on_bad_file=skip"
Shape = Sequence[int | None]
"""Expected size of each axis; None where any size will do."""
PARSING = Lock()
"""Python before 3.11.8 fails where two threads parse text at once, as NumPy does with each head: gh-106905."""
CHUNK = 1 << 20
"""Bytes that are read at a time."""


def bad(path: Path, what: str) -> BadFileError:
    """The error that names a file and states what is wrong with it."""
    return BadFileError(f"{path.name} {what}", where=str(path), remedy=REMEDY)


def array(path: Path, dtypes: Collection[str], shape: Shape, limit_gb: float) -> Shaped[ndarray, "..."]:
    """A `.npy` file of one of these types and this shape.

    Raises:
        BadFileError: it is missing, truncated, or something else, or would take more gigabytes than the limit.
    """
    try:
        with path.open("rb") as stream:
            if stream.read(4) == b"PK\x03\x04":
                raise bad(path, "is no .npy file but an archive")
            stream.seek(0)
            check = partial(_check, path, dtypes=dtypes, shape=shape, limit_gb=limit_gb)
            return _read(stream, path.stat().st_size, check)
    except (OSError, ValueError, EOFError) as error:
        raise bad(path, f"cannot be read: {_reason(error)}") from error


def type_of(path: Path) -> str | None:
    """Name of the type in a `.npy` file, from its head; None if it cannot be read."""
    try:
        with path.open("rb") as stream:
            return _head(stream).dtype.name
    except (OSError, ValueError, EOFError):
        return None


def member(path: Path, name: str, dtypes: Collection[str], shape: Shape, limit_gb: float) -> Shaped[ndarray, "..."]:
    """An array of a `.npz` archive, of one of these types and this shape.

    Raises:
        BadFileError: it is missing, damaged, or something else, or would take more gigabytes than the limit.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            packed = archive.getinfo(f"{name}.npy")
            _zip.check(File(path, path.name), [packed], limit_gb)
            with archive.open(packed) as stream:
                check = partial(_check, path, dtypes=dtypes, shape=shape, limit_gb=limit_gb, where=f" in {name}")
                return _read(stream, packed.file_size, check)
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, RuntimeError) as error:
        raise bad(path, f"holds no {name} that can be read: {_reason(error)}") from error


class _Head(NamedTuple):
    """What an array in NumPy's format says before its values."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype


def _head(stream: Any) -> _Head:
    """Read the head of an array in NumPy's format."""
    version = np.lib.format.read_magic(stream)
    with PARSING:
        if version == (1, 0):
            return _Head(*np.lib.format.read_array_header_1_0(stream))
        # of a third version are only tables with names in other letters, which it refuses
        return _Head(*np.lib.format.read_array_header_2_0(stream))


def _read(stream: Any, length: int, check: Callable[[_Head], None]) -> Shaped[ndarray, "..."]:
    """Read an array in NumPy's format from a file of `length` bytes; `check` sees its head before it takes memory."""
    head = _head(stream)
    check(head)
    size, there = prod(head.shape) * head.dtype.itemsize, length - stream.tell()
    if size > there:
        raise ValueError(f"its values take {size} bytes and it has {there}")
    values = np.empty(prod(head.shape), head.dtype)
    raw = values.view(np.uint8)
    for start in range(0, size, CHUNK):
        wanted = min(CHUNK, size - start)
        part = stream.read(wanted)
        if len(part) != wanted:
            raise EOFError(f"it ends after {start + len(part)} of {size} bytes of values")
        raw[start : start + wanted] = np.frombuffer(part, np.uint8)
    return values.reshape(head.shape, order="F" if head.fortran else "C")


def _check(
    path: Path,
    head: _Head,
    dtypes: Collection[str],
    shape: Shape,
    limit_gb: float,
    where: str = "",
) -> None:
    """Raise BadFileError unless an array is of such a type and shape and within the limit."""
    actual = head.shape
    if head.dtype.name not in dtypes:
        raise bad(path, f"holds {head.dtype}{where}, not {' or '.join(dtypes)}")
    if len(actual) != len(shape) or any(w not in (None, s) for s, w in zip(actual, shape, strict=True)):
        wanted = " x ".join("any" if size is None else str(size) for size in shape)
        raise bad(path, f"has the shape {' x '.join(map(str, actual))}{where}, not {wanted}")
    check_size(File(path, path.name), prod(actual) * head.dtype.itemsize, limit_gb)


def document(path: Path) -> Any:
    """A JSON file.

    Raises:
        BadFileError: it is missing or no JSON.
    """
    try:
        return read_json(path)
    except (OSError, ValueError) as error:
        raise bad(path, f"cannot be read: {_reason(error)}") from error


def dates(path: Path, said: Any) -> list[datetime]:
    """Dates in the order of an array's axis, from a list, a mapping of positions to dates, or the text of one.

    A date is `20180917` or `2018-09-17`, a number or a text.

    Raises:
        BadFileError: that is no such thing.
    """
    try:
        said = _mapping(said) if isinstance(said, str) else said
        if isinstance(said, dict):
            positions = sorted(said, key=int)
            if [int(key) for key in positions] != list(range(len(said))):
                raise ValueError("positions are not 0, 1, 2, ...")  # noqa: TRY301
            said = [said[key] for key in positions]
        return [datetime.strptime(str(one).replace("-", ""), "%Y%m%d").replace(tzinfo=UTC) for one in said]
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:  # literal_eval's answers
        raise bad(path, f"says dates that cannot be understood: {_reason(error)}") from error


def _mapping(text: str) -> Any:
    """Parse JSON, or the same with single quotes, as some tools write it."""
    try:
        return parse_json(text)
    except ValueError:
        with PARSING:
            return ast.literal_eval(text)


def in_time(stamps: Sequence[datetime]) -> list[int]:
    """Positions by date; equal dates keep their order."""
    return sorted(range(len(stamps)), key=lambda position: stamps[position])


def _reason(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
