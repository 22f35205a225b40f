"""Files that are either whole or not there, whatever kills the process or fills the disk."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def named(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Say in the system's errors which file was to be written: of a full disk they do not know."""
    try:
        yield
    except OSError as error:
        if error.filename in {None, str(temporary)}:
            error.filename = str(path)
        raise


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to; it becomes `path` when the block ends well."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        with named(path, temporary):
            yield temporary
            publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file beside the target and rename it: readers see the old file or the new one."""
    with whole(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


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
