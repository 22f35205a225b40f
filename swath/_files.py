"""Files that are either whole or not there, whatever kills the process or fills the disk."""

import errno
import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LONGEST = 120
"""Most bytes of a user's name that go into a file name; the ending comes on top, and file systems allow 255 in all."""
SHORT = re.compile(r"\d+ requested and \d+ written")
"""What NumPy says of a full disk: neither that it is full, nor which."""
SPECIAL = frozenset('/\\:*?"<>|%~')
"""Characters that mean something to a file system, a shell or `file_name`."""


def file_name(name: str) -> str:
    """A name that someone gave (a layer, a location, a run) as part of a path: it stays in its folder.

    Printable characters stay, other than `/ \\ : * ? " < > | % ~` and a point at the beginning: those become `%XX` for
    each byte in UTF-8, as in URLs. Of what is longer than `LONGEST` bytes the beginning stays, with `~` and a digest of
    the whole. Different names make different file names.

    >>> file_name("../land cover")
    '%2E.%2Fland cover'
    """
    coded = "".join(_percent(char) if char in SPECIAL or not char.isprintable() else char for char in name)
    coded = "%2E" + coded[1:] if coded.startswith(".") else coded or "%"
    if len(coded.encode()) <= LONGEST:
        return coded
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return coded.encode()[: LONGEST - 17].decode(errors="ignore") + "~" + digest


def _percent(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogatepass"))


@contextmanager
def named(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Add the name of the file that was being written to the system's errors: those of a full disk do not have it."""
    try:
        yield
    except OSError as error:
        if error.errno is None and SHORT.fullmatch(str(error)):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        # a library's own message would be replaced by number and name
        if error.errno is not None and error.filename in {None, str(temporary)}:
            error.filename = str(path)
        raise


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to; it becomes `path` when the block ends well.

    No two processes get the same one: several may begin in one folder, and the last to end counts.
    """
    temporary = path.with_name(f".{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        with named(path, temporary):
            yield temporary
            publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file beside the target and rename it: readers see the old file or the new one."""
    with replacing(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


def parse_json(text: str | bytes) -> Any:
    """Parse JSON; whatever is wrong with the text is a ValueError."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("its brackets are nested too deeply") from None


def read_json(path: Path) -> Any:
    """Parse the JSON in a file.

    Raises:
        ValueError: it is damaged.
        OSError: it cannot be read.
    """
    return parse_json(path.read_bytes())


def publish(finished: Path, target: Path) -> None:
    """Give a finished file, or a folder of files, its final name, once its bytes are on the disk."""
    for file in sorted(finished.iterdir()) if finished.is_dir() else [finished]:
        _flush(file)
    finished.replace(target)
    _flush(target.parent)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
