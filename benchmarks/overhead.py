"""A complete training step over the bare forward and backward passes of its encoders, at the same precision."""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks import Result, on_one_core, versions
from benchmarks._training import BANDS, BATCH, CHIP, SENSOR, VIEW, complete_steps, method
from swath.corpus import Chip, Corpus, CorpusWriter, Loader, Location, Part, SensorLayout
from swath.training._memory import kept_memory

STEPS = 8


def run(quick: bool = False) -> Result:
    """Complete: read a corpus, augment, encoders, heads, loss, backward, SGD, teacher, queue, log; by Lightning."""
    on_one_core()
    rounds, steps = (1, 4) if quick else (3, STEPS)
    complete: list[float] = []
    bare: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        corpus = _corpus(Path(folder) / "corpus", steps * BATCH)
        reads = {SENSOR: tuple(key.partition("/")[2] for key in BANDS)}
        rows = np.arange(len(corpus))
        passes = _passes()
        for _ in range(rounds):
            complete += complete_steps(lambda _: Loader(corpus, reads, rows, BATCH), steps)
            with kept_memory():
                bare += [_seconds(passes) for _ in range(steps)][1:]
    ours, theirs = statistics.median(complete), statistics.median(bare)
    return Result(
        ours=ours,
        peer=theirs,
        ratio=ours / theirs,
        unit="s/step of one core",
        setting={
            "model": "ResNet-18, MoCo v2: one encoder forward and backward, one forward",
            "batch": f"{BATCH} of 7x{CHIP}x{CHIP}, two views of {VIEW}",
            "both": "bf16, channels last, freed memory kept",
            "clock": "processor time of one core",
            "better": "lower ratio",
        },
        versions=versions("lightning", "torch", "timm", "tensorstore"),
    )


def _passes() -> Callable[[], None]:
    """The encoders' networks alone, on pictures that are ready for them."""
    query, key = method().encoder.network, method().encoder.network
    pixels = torch.randn(BATCH, 7, VIEW, VIEW).contiguous(memory_format=torch.channels_last)

    def passes() -> None:
        query.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():
                key(pixels)
            features = query(pixels)
        features.float().sum().backward()

    return passes


def _seconds(work: Callable[[], None]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _corpus(path: Path, locations: int) -> Corpus:
    names = tuple(key.partition("/")[2] for key in BANDS)
    layout = SensorLayout(bands=names, gsd_m=30, dtype="uint8", scale=(0.3 / 255,) * 7)
    rng = np.random.default_rng(0)
    with CorpusWriter(path, {SENSOR: layout}, CHIP) as writer:
        for number in range(locations):
            pixels = rng.integers(1, 256, (7, CHIP, CHIP), dtype=np.uint8)
            writer.append(Part([Location(str(number))], [Chip(str(number), SENSOR, pixels)]))
        return writer.finish()
