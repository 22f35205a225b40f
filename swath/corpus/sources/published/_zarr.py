"""Reading Zarr v2 arrays that lie in a zip file, with every failure turned into a message that names the file."""

import re
import zipfile
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped
from numpy import ndarray

from swath.corpus.sources._raster import BadFileError, File, check_size
from swath.corpus.sources.published import _zip
from swath.corpus.sources.published._codecs import Description, description
from swath.corpus.sources.published._convert import SKIP
from swath.errors import RecipeError

_UNITS = {"nanoseconds": "ns", "microseconds": "us", "milliseconds": "ms", "seconds": "s"}
_UNITS |= {"minutes": "m", "hours": "h", "days": "D"}


@dataclass(frozen=True, slots=True)
class Zipped:
    """A zip file, or one that lies uncompressed inside a larger file, such as a tar file."""

    path: Path
    name: str
    """Name for messages and the index."""
    offset: int = 0
    """Position of its first byte."""
    size: int | None = None
    """Size in bytes; None for the whole file."""

    @property
    def whole(self) -> File:
        """The file as messages about its size call it."""
        return File(self.path, self.name)

    def bad(self, what: str) -> BadFileError:
        """The error that names this file and states what is wrong with it."""
        return BadFileError(f"{self.name} {what}", where=str(self.path), remedy=SKIP)


@dataclass(frozen=True, slots=True, eq=False)
class Array:
    """An array in memory and its attributes."""

    values: Shaped[ndarray, "..."]
    attributes: dict[str, Any]


def arrays(file: Zipped, names: Sequence[str], limit_gb: float, optional: Sequence[str] = ()) -> dict[str, Array]:
    """Arrays by name, whole; of the optional ones those that are there.

    Raises:
        BadFileError: the file is missing or damaged, or an array is; or it would take more gigabytes than the limit.
        RecipeError: zarr is not installed.
    """
    zarr = _zarr()
    contents = _contents(file, {*names, *optional}, limit_gb)
    decoded = {}
    for name in (*names, *optional):
        if f"{name}/.zarray" in contents:
            decoded[name] = _decoded(file, zarr, contents, name, limit_gb)
        elif name in names:
            raise file.bad(f"holds no {name}")
    return decoded


def dtype(file: Zipped, name: str, limit_gb: float) -> str:
    """NumPy type of an array, which is not read.

    Raises:
        BadFileError: the file is missing or damaged, or has no such array.
    """
    contents = _contents(file, {name}, limit_gb, only=".zarray")
    if f"{name}/.zarray" not in contents:
        raise file.bad(f"holds no {name}")
    return _described(file, contents, name).dtype.name


def _contents(file: Zipped, names: Collection[str], limit_gb: float, only: str = "") -> dict[str, bytes]:
    """Entries of the zip file that belong to these arrays, by name."""
    try:
        with zipfile.ZipFile(_bytes(file, limit_gb)) as archive:
            # some writers leave a name twice: the last one counts, and that is what zipfile reads
            entries = {name for name in archive.namelist() if name.partition("/")[0] in names and name.endswith(only)}
            members = {name: archive.getinfo(name) for name in entries}
            _zip.check(file.whole, list(members.values()), limit_gb)
            return {name: _zip.content(archive, member) for name, member in members.items()}
    except (OSError, zipfile.BadZipFile, EOFError, zlib.error, RuntimeError, ValueError) as error:
        raise file.bad(f"cannot be read: {error}") from error


def _bytes(file: Zipped, limit_gb: float) -> Path | BytesIO:
    if file.size is None:
        return file.path
    check_size(file.whole, file.size, limit_gb)
    with file.path.open("rb") as stream:
        stream.seek(file.offset)
        return BytesIO(stream.read(file.size))


def _described(file: Zipped, contents: dict[str, bytes], name: str) -> Description:
    try:
        return description(contents[f"{name}/.zarray"])
    except ValueError as error:
        raise file.bad(f"holds {name}, which cannot be read: {error}") from None


def _check(file: Zipped, own: dict[str, bytes], name: str, limit_gb: float) -> None:
    """Raise BadFileError unless an array is decoded by what is allowed, and becomes no larger than the limit."""
    said = _described(file, own, name)
    check_size(file.whole, said.size, limit_gb)
    parts = [value for key, value in own.items() if not key.rpartition("/")[2].startswith(".z")]
    if (missing := said.parts - len(parts)) > 0:
        raise file.bad(f"lacks {missing} of the {said.parts} parts of {name}")
    try:
        check_size(file.whole, sum(said.part_size(part) for part in parts), limit_gb)
        for part in parts if said.dtype.hasobject else ():
            said.check_texts(part)
    except (ValueError, RuntimeError) as error:
        raise file.bad(f"holds {name}, which cannot be read: {error}") from None


def _decoded(file: Zipped, zarr: Any, contents: dict[str, bytes], name: str, limit_gb: float) -> Array:
    raw = {key: value for key, value in contents.items() if key.startswith(f"{name}/")}
    _check(file, raw, name, limit_gb)
    own = {key: zarr.core.buffer.cpu.Buffer.from_bytes(value) for key, value in raw.items()}
    try:
        array = zarr.open_array(zarr.storage.MemoryStore(own), path=name, mode="r", zarr_format=2)
        if missing := array.nchunks - array.nchunks_initialized:
            raise file.bad(f"lacks {missing} of the {array.nchunks} parts of {name}")
        return Array(np.asarray(array[...]), dict(array.attrs))
    except (OSError, ValueError, TypeError, KeyError, RuntimeError) as error:
        raise file.bad(f"holds {name}, which cannot be read: {str(error).splitlines()[0]}") from error


def _zarr() -> Any:
    try:
        import zarr
        import zarr.core.buffer.cpu
    except ImportError as error:
        raise RecipeError("this format needs zarr", remedy="pip install 'swath[zarr]'") from error
    return zarr


def times(file: Zipped, array: Array) -> Shaped[ndarray, "..."]:
    """Times as `datetime64[ns]`, UTC; not a time where there is none, or one before 1970.

    Whole numbers of nanoseconds since 1970, unless the array says other units.

    Raises:
        BadFileError: the units cannot be understood.
    """
    units = str(array.attributes.get("units", "nanoseconds since 1970-01-01"))
    match = re.fullmatch(r"(\w+) since (.+)", units)
    try:
        code, start = _UNITS[match[1]], datetime.fromisoformat(match[2])  # type: ignore[index] — None is caught
    except (KeyError, TypeError, ValueError) as error:
        raise file.bad(f"gives its times in units that cannot be understood: {units!r}") from error
    moments = np.datetime64(start.replace(tzinfo=None), "ns") + array.values.astype(np.int64).astype(f"m8[{code}]")
    moments[moments <= np.datetime64(0, "ns")] = np.datetime64("NaT")
    return moments


def when(time: np.datetime64) -> datetime | None:
    """A time as the index stores it."""
    return None if np.isnat(time) else time.astype("M8[us]").item().replace(tzinfo=UTC)
