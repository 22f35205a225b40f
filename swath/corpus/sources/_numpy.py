"""Reading NumPy files and JSON, with every failure turned into a message that names the file."""

import ast
import zipfile
import zlib
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped
from numpy import ndarray

from swath._files import parse_json, read_json
from swath.corpus.sources._raster import BadFileError

REMEDY = "get the file again, or leave such files out: on_bad_file=skip"
Shape = Sequence[int | None]
"""Size of each axis; None where any will do."""


def bad(path: Path, what: str) -> BadFileError:
    """That something is wrong with a file."""
    return BadFileError(f"{path.name} {what}", where=str(path), remedy=REMEDY)


def array(path: Path, dtypes: Collection[str], shape: Shape) -> Shaped[ndarray, "..."]:
    """A `.npy` file of one of these types and this shape.

    Raises:
        BadFileError: it is missing, truncated, or something else.
    """
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise bad(path, f"cannot be read: {_reason(error)}") from error
    if not isinstance(values, ndarray):
        raise bad(path, "is no .npy file but an archive")
    return _checked(path, values, dtypes, shape, "")


def type_of(path: Path) -> str | None:
    """Name of the type in a `.npy` file, from its head; None if it cannot be read."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False).dtype.name
    except (OSError, ValueError, EOFError, AttributeError):
        return None


def member(path: Path, name: str, dtypes: Collection[str], shape: Shape) -> Shaped[ndarray, "..."]:
    """An array of a `.npz` archive, of one of these types and this shape.

    Raises:
        BadFileError: it is missing, damaged, or something else.
    """
    try:
        # opened here, for NumPy leaves the file of a damaged archive open
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            values = archive[name]
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, AttributeError) as error:
        raise bad(path, f"holds no {name} that can be read: {_reason(error)}") from error
    return _checked(path, values, dtypes, shape, f" in {name}")


def _checked(
    path: Path, values: Shaped[ndarray, "..."], dtypes: Collection[str], shape: Shape, where: str
) -> Shaped[ndarray, "..."]:
    if values.dtype.name not in dtypes:
        raise bad(path, f"holds {values.dtype}{where}, not {' or '.join(dtypes)}")
    if len(values.shape) != len(shape) or any(w not in (None, s) for s, w in zip(values.shape, shape, strict=True)):
        wanted = " x ".join("any" if size is None else str(size) for size in shape)
        raise bad(path, f"has the shape {' x '.join(map(str, values.shape))}{where}, not {wanted}")
    return values


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
    """JSON, or the same with single quotes, as some tools write it."""
    try:
        return parse_json(text)
    except ValueError:
        return ast.literal_eval(text)


def in_time(stamps: Sequence[datetime]) -> list[int]:
    """Positions by date; equal dates keep their order."""
    return sorted(range(len(stamps)), key=lambda position: stamps[position])


def _reason(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
