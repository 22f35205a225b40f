"""Reading NumPy files and JSON, with every failure turned into a message that names the file."""

import ast
import zipfile
import zlib
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped
from numpy import ndarray

from swath._files import parse_json, read_json
from swath.corpus.sources._raster import BadFileError, File, check_size
from swath.corpus.sources.published import _zip

REMEDY = "get the file again, or leave such files out: on_bad_file=skip"
Shape = Sequence[int | None]
"""Expected size of each axis; None where any size will do."""


def bad(path: Path, what: str) -> BadFileError:
    """The error that names a file and states what is wrong with it."""
    return BadFileError(f"{path.name} {what}", where=str(path), remedy=REMEDY)


def array(path: Path, dtypes: Collection[str], shape: Shape, limit_gb: float) -> Shaped[ndarray, "..."]:
    """A `.npy` file of one of these types and this shape.

    Raises:
        BadFileError: it is missing, truncated, or something else, or would take more gigabytes than the limit.
    """
    try:
        # its head, by which it is checked before it takes memory
        head = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(head, ndarray):
            head.close()
            raise bad(path, "is no .npy file but an archive")
        _check(path, (head.dtype, head.shape), dtypes, shape, limit_gb)
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise bad(path, f"cannot be read: {_reason(error)}") from error


def type_of(path: Path) -> str | None:
    """Name of the type in a `.npy` file, from its head; None if it cannot be read."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False).dtype.name
    except (OSError, ValueError, EOFError, AttributeError):
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
                _check(path, _head(stream), dtypes, shape, limit_gb, f" in {name}")
            with archive.open(packed) as stream:
                return np.lib.format.read_array(stream, allow_pickle=False)
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, RuntimeError) as error:
        raise bad(path, f"holds no {name} that can be read: {_reason(error)}") from error


def _head(stream: Any) -> tuple[np.dtype, tuple[int, ...]]:
    """Type and shape of an array in NumPy's format."""
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    else:  # of a third version are only tables with names in other letters, which it refuses
        shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
    return dtype, shape


def _check(
    path: Path,
    head: tuple[np.dtype, tuple[int, ...]],
    dtypes: Collection[str],
    shape: Shape,
    limit_gb: float,
    where: str = "",
) -> None:
    """Raise BadFileError unless an array is of such a type and shape and within the limit."""
    dtype, actual = head
    if dtype.name not in dtypes:
        raise bad(path, f"holds {dtype}{where}, not {' or '.join(dtypes)}")
    if len(actual) != len(shape) or any(w not in (None, s) for s, w in zip(actual, shape, strict=True)):
        wanted = " x ".join("any" if size is None else str(size) for size in shape)
        raise bad(path, f"has the shape {' x '.join(map(str, actual))}{where}, not {wanted}")
    check_size(File(path, path.name), prod(actual) * dtype.itemsize, limit_gb)


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
        return ast.literal_eval(text)


def in_time(stamps: Sequence[datetime]) -> list[int]:
    """Positions by date; equal dates keep their order."""
    return sorted(range(len(stamps)), key=lambda position: stamps[position])


def _reason(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
