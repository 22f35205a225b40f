"""The header of a Zarr v2 array and of its chunks, examined before anything is decoded.

Only the codecs that published formats use are decoded: others may run code (pickle) or unpack without a bound.
"""

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from swath._files import parse_json

COMPRESSORS = ("blosc", "zstd")
FILTERS = ("vlen-utf8",)
_ZSTD = bytes.fromhex("28b52ffd")
_SIZE_FIELD, _DICTIONARY_FIELD = (0, 2, 4, 8), (0, 1, 2, 4)
"""Lengths in bytes of two fields in the head of a Zstandard frame (RFC 8878), by two bits of its flags each."""
_TEXT_BYTES = 80
"""Bytes that a short text takes in memory, with the reference to it."""


@dataclass(frozen=True, slots=True)
class Description:
    """What an array's `.zarray` states about it."""

    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: np.dtype
    compressor: str | None

    @property
    def size(self) -> int:
        """Bytes of the array, or of one of its parts if that is more; each text counts as a short one."""
        return max(prod(self.shape), prod(self.chunks)) * (_TEXT_BYTES if self.dtype.hasobject else self.dtype.itemsize)

    @property
    def parts(self) -> int:
        """How many chunks it has."""
        return prod(-(-size // step) for size, step in zip(self.shape, self.chunks, strict=True))

    def part_size(self, part: bytes) -> int:
        """Bytes that a chunk becomes, by its own head.

        Raises:
            ValueError: it does not say so, or says another size than such a chunk has.
        """
        size = _SIZES[self.compressor](part)
        if not self.dtype.hasobject and size != prod(self.chunks) * self.dtype.itemsize:
            raise ValueError(f"a part would become {size:,} bytes, not {prod(self.chunks) * self.dtype.itemsize:,}")
        return size

    def check_texts(self, part: bytes) -> None:
        """Raise ValueError unless a chunk of texts, whose size was checked, says that it holds as many as it should.

        The list of texts is made as long as the chunk says before the first of them is read.
        """
        from numcodecs import get_codec
        from numcodecs.compat import ensure_bytes

        unpacked = part if self.compressor is None else ensure_bytes(get_codec({"id": self.compressor}).decode(part))
        count = int.from_bytes(unpacked[:4], "little")
        if count != prod(self.chunks):
            raise ValueError(f"a part says that it holds {count:,} texts, not {prod(self.chunks):,}")


def description(text: bytes) -> Description:
    """Read a `.zarray`.

    Raises:
        ValueError: it is none, or names a codec that is not decoded.
    """
    said = parse_json(text)
    try:
        compressor = said["compressor"] and said["compressor"]["id"]
        filters = [one["id"] for one in said["filters"] or ()]
        described = Description(
            _sizes(said["shape"], 0), _sizes(said["chunks"], 1), np.dtype(said["dtype"]), compressor
        )
    except (KeyError, TypeError) as error:
        raise ValueError("its description has no shape, chunks, type or codec that can be understood") from error
    if said.get("zarr_format") != 2 or len(described.shape) != len(described.chunks):
        raise ValueError("its description is none of Zarr 2")
    if compressor not in (None, *COMPRESSORS):
        raise ValueError(f"it is packed by {compressor!r}, which is not decoded: only {' and '.join(COMPRESSORS)} are")
    if unknown := [name for name in filters if name not in FILTERS]:
        raise ValueError(f"it has the filter {unknown[0]!r}, which is not decoded: only {' and '.join(FILTERS)} is")
    if described.dtype.hasobject and not filters:
        raise ValueError("it holds Python objects")
    return described


def _sizes(said: Any, least: int) -> tuple[int, ...]:
    if not isinstance(said, list) or any(type(one) is not int or one < least for one in said):
        raise TypeError
    return tuple(said)


def _blosc(part: bytes) -> int:
    if len(part) < 16:
        raise ValueError("a part is cut")
    return int.from_bytes(part[4:8], "little")


def _zstd(part: bytes) -> int:
    """Bytes that all frames of Zstandard will unpack to, one after the other."""
    total, start = 0, 0
    while start < len(part):
        size, start = _frame(part, start)
        total += size
    return total


def _frame(part: bytes, start: int) -> tuple[int, int]:
    """Size that a frame becomes, and where the next one starts."""
    if part[start : start + 4] != _ZSTD or start + 5 > len(part):
        raise ValueError("a part is no Zstandard")
    flags = part[start + 4]
    single = flags >> 5 & 1
    width = _SIZE_FIELD[flags >> 6] or single
    field = start + 5 + (not single) + _DICTIONARY_FIELD[flags & 3]
    if not width:
        raise ValueError("a part does not say how large it becomes")
    size = int.from_bytes(part[field : field + width], "little") + (256 if width == 2 else 0)
    at, last = field + width, False
    while not last:
        head = int.from_bytes(part[at : at + 3], "little")
        if at + 3 > len(part):
            raise ValueError("a part is cut")
        last, at = bool(head & 1), at + 3 + (1 if head >> 1 & 3 == 1 else head >> 3)
    return size, at + 4 * (flags >> 2 & 1)


_SIZES = {None: len, "blosc": _blosc, "zstd": _zstd}
