"""Files that are either whole or absent."""

import os
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside the target, flush to the disk, rename: readers see the old file or the new one."""
    beside = path.with_name(f".{path.name}.tmp")
    with beside.open("wb") as file:
        file.write(content)
    publish(beside, path)


def publish(finished: Path, target: Path) -> None:
    """Give a finished file or folder its final name, once its bytes are on the disk."""
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
