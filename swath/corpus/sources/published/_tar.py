"""Members of tar files, found without believing what their heads say."""

import io
import tarfile
from pathlib import Path

from swath.corpus.sources._raster import BadFileError
from swath.corpus.sources.published._convert import SKIP

_LARGEST_HEAD = 2**20
"""Bytes allowed for a member's name and extended attributes; real ones have hundreds."""


class _Heads(io.FileIO):
    """A tar file of which only headers can be read, in sequence: tarfile itself trusts any size and seeks anywhere."""

    last = b""
    """The bytes that were read last."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Read a header at the current position.

        Raises:
            tarfile.ReadError: more than a head has.
        """
        if size is None or not 0 <= size <= _LARGEST_HEAD:
            raise tarfile.ReadError(f"a head says that it has {size:,} bytes")
        self.last = super().read(size) or b""
        return self.last

    def seek(self, position: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a later position, or to the last byte that was passed.

        Raises:
            tarfile.ReadError: it lies before what was read.
        """
        if position < self.tell() - 1:
            raise tarfile.ReadError("a head says that the next one lies before it")
        return super().seek(position, whence)


def members(path: Path, name: str) -> list[tarfile.TarInfo]:
    """All files of an uncompressed tar file, in its order.

    Args:
        path: of the tar file.
        name: of the tar file, for messages.

    Raises:
        BadFileError: it is missing, damaged or cut: where a head is damaged, tarfile itself would end without a word.
    """
    try:
        with _Heads(path) as heads, tarfile.open(fileobj=heads, mode="r:") as archive:
            files = [member for member in archive if member.isfile()]
            complete = heads.last == tarfile.NUL * tarfile.BLOCKSIZE
    except (OSError, tarfile.TarError, ValueError, OverflowError, LookupError, RecursionError) as error:
        raise BadFileError(f"{name} cannot be read: {error}", where=str(path), remedy=SKIP) from error
    if not complete:
        what = f"{name} is damaged or cut: no mark of the end follows its {len(files)} files"
        raise BadFileError(what, where=str(path), remedy=SKIP)
    if holes := next((member.name for member in files if member.issparse()), None):
        raise BadFileError(f"{name} leaves out parts of {holes} (sparse)", where=str(path), remedy=SKIP)
    return files
