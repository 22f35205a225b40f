"""Counts gathered on their way to a GPU, by processor time, against NumPy copying as many bytes."""

import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks import Result, on_one_core, race, versions
from benchmarks._gpu import READS, corpus
from benchmarks._training import CHIP, SENSOR
from swath.corpus import Reader, Selection
from swath.training._memory import kept_memory

BATCH, LOCATIONS = 32, 256
INTERVALS_MS = (0.1, 5, 50)
"""After which a thread that wants the interpreter has it taken from one that keeps it; Python's own is 5 ms."""


def run(quick: bool = False) -> Result:
    """Both into memory that is in use already, as pinned memory is."""
    on_one_core()
    with tempfile.TemporaryDirectory() as folder, kept_memory():
        made = corpus(Path(folder) / "corpus", BATCH if quick else LOCATIONS)
        reader = Reader(made, READS, threads=1)
        sampler, rng = reader.sampler(Selection()), np.random.default_rng(0)
        source = rng.integers(0, 256, (BATCH, 7, CHIP, CHIP), dtype=np.uint8)

        def gather() -> int:
            rows = sampler.choose(rng.choice(len(made), BATCH, replace=False))
            return reader.counts(rows)[SENSOR].nbytes

        ours, theirs = race(gather, lambda: source.copy().nbytes, 1 if quick else 10)
        beside = _beside(gather, 0.2 if quick else 2)
    return Result(
        ours=ours / 1e9,
        peer=theirs / 1e9,
        ratio=ours / theirs,
        unit="GB/s of one core",
        setting={
            "chip": f"7x{CHIP}x{CHIP} uint8, not compressed, in the page cache",
            "batch": BATCH,
            "locations": LOCATIONS,
            "peer": "numpy.copy from memory to memory",
            "chips/s by the clock on one core beside another thread, by ms it may keep the interpreter": beside,
            "clock": "processor time of one core",
            "better": "ratio above 0.5",
        },
        versions=versions("numpy", "tensorstore", "torch"),
    )


def _beside(gather: Callable[[], int], seconds: float) -> dict[str, dict[float, int]]:
    """Chips a second of a thread beside a main thread that keeps the interpreter, and one that launches as torch does.

    Where the rate does not fall with the interval, a thread that reads does not wait for the interpreter.
    """
    few, before = torch.zeros(8), sys.getswitchinterval()
    busy = {"pure Python": lambda: [i * i for i in range(1000)], "short torch calls": lambda: few.add_(1)}
    try:
        return {name: {ms: _rate(gather, work, ms, seconds) for ms in INTERVALS_MS} for name, work in busy.items()}
    finally:
        sys.setswitchinterval(before)


def _rate(gather: Callable[[], int], busy: Callable[[], object], interval_ms: float, seconds: float) -> int:
    sys.setswitchinterval(interval_ms / 1000)
    stop, gathered = threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            gathered.append(gather())

    thread, start = threading.Thread(target=read), time.perf_counter()
    thread.start()
    while time.perf_counter() - start < seconds:
        busy()
    stop.set()
    thread.join()
    return round(sum(gathered) / (7 * CHIP * CHIP) / (time.perf_counter() - start))
