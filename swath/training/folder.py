"""A training's folder: whether anything stands in it that other settings would belie, and who is at work there."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from swath.errors import TrainingError

_LOCK = ".lock"


def is_trained(out: Path) -> bool:
    """Whether the folder holds a finished encoder."""
    return (out / "encoder.json").exists() and (out / "encoder.safetensors").exists()


def has_steps(out: Path) -> bool:
    """Whether the folder holds a finished encoder, or steps to continue from; what failed before leaves neither."""
    return is_trained(out) or (out / "last.ckpt").exists()


def has_begun(out: Path) -> bool:
    """Whether the folder holds steps, or another process is about to make them."""
    return has_steps(out) or _is_at_work(out)


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Keep other processes out of the folder; the system lets them in when this one ends, however.

    Raises:
        TrainingError: another process is at it.
    """
    out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out / _LOCK, timeout=0):
            yield
    except Timeout:
        raise TrainingError(
            "another process is at this pre-training",
            where=str(out),
            remedy="wait for it, or give this one another arm or seed",
        ) from None


def _is_at_work(out: Path) -> bool:
    if not (out / _LOCK).exists():
        return False
    try:
        with FileLock(out / _LOCK, timeout=0):
            return False
    except Timeout:
        return True
