"""Everything that produces a published speed or memory figure: `python -m benchmarks NAME [--json] [--quick]`.

A benchmark is a module here with `run(quick: bool = False) -> Result`; its first docstring line says what it measures.
"""

import os
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any


@dataclass(frozen=True, slots=True)
class Result:
    """One measured comparison."""

    ours: float
    peer: float
    ratio: float
    """What the claim is about; the setting says which way it is better."""
    unit: str
    """Of `ours` and `peer`."""
    setting: dict[str, Any] = field(default_factory=dict)
    """Sizes, threads and whatever else is needed to repeat it; further figures go here as well."""
    versions: dict[str, str] = field(default_factory=dict)


def versions(*packages: str) -> dict[str, str]:
    """Installed versions of these packages, swath's among them."""
    found = {}
    for package in ("swath", *packages):
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def on_one_core() -> None:
    """Keep this process, with all threads it starts from now on, on one core."""
    import torch

    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)


def race(ours: Callable[[], int], peer: Callable[[], int], seconds: float) -> tuple[float, float]:
    """Items per second of processor time of two ways to do the same, as the median of runs in turn.

    The time of all threads counts, and both run under the same conditions, so that other work on the machine changes
    the ratio little.

    Args:
        ours: does some work and returns how many items that was.
        peer: likewise.
        seconds: how long to repeat both, after one run each that does not count.
    """
    rates: tuple[list[float], list[float]] = [], []
    for work in (ours, peer):
        work()
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(rates[0]) < 3:
        for work, found in zip((ours, peer), rates, strict=True):
            found.append(_rate(work))
    return statistics.median(rates[0]), statistics.median(rates[1])


def _rate(work: Callable[[], int]) -> float:
    start = time.process_time()
    items = work()
    return items / (time.process_time() - start)
