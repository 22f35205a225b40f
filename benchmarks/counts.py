"""Counts gathered on their way to a GPU, by processor time, against NumPy copying as many bytes."""

import tempfile
from pathlib import Path

import numpy as np

from benchmarks import Result, on_one_core, race, versions
from benchmarks._gpu import READS, corpus
from benchmarks._training import CHIP, SENSOR
from swath.corpus import Reader, Selection
from swath.training._memory import kept_memory

BATCH, LOCATIONS = 32, 256


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
            "clock": "processor time of one core",
            "better": "ratio above 0.5",
        },
        versions=versions("numpy", "tensorstore", "torch"),
    )
