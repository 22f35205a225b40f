"""What the benchmarks of a GPU share: a corpus of bytes in the page cache, a method, clocks of the device."""

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from benchmarks._training import BANDS, CHIP, SENSOR, VIEW
from swath import encoders, methods, views
from swath.batch import Batch
from swath.corpus import Chip, Corpus, CorpusWriter, Loader, Location, Part, Reader, SensorLayout
from swath.encoders import InputContract
from swath.encoders.timm import Config as Timm
from swath.methods.moco_v2 import Config as MoCo
from swath.views.policies.two_crops import Config as TwoCrops

DEVICE = torch.device("cuda")
BATCH = 256
PART = 128
"""Locations that are committed to a corpus at a time."""
READS = {SENSOR: tuple(key.partition("/")[2] for key in BANDS)}


def corpus(path: Path, locations: int) -> Corpus:
    """Chips of 7 x 264 x 264 bytes."""
    layout = SensorLayout(bands=READS[SENSOR], gsd_m=30, dtype="uint8", scale=(0.3 / 255,) * 7)
    rng = np.random.default_rng(0)
    with CorpusWriter(path, {SENSOR: layout}, CHIP) as writer:
        for start in range(0, locations, PART):
            names = [str(number) for number in range(start, min(start + PART, locations))]
            pixels = rng.integers(1, 256, (len(names), 7, CHIP, CHIP), dtype=np.uint8)
            chips = [Chip(name, SENSOR, chip) for name, chip in zip(names, pixels, strict=True)]
            writer.append(Part([Location(name) for name in names], chips))
        return writer.finish()


def loader(made: Corpus, batches: int, batch: int = BATCH) -> Loader:
    """So many batches an epoch, on the GPU: locations come several times, so that it is as long as real ones are."""
    rows = np.resize(np.arange(len(made)), batches * batch)
    return Loader(made, READS, rows, batch, device=DEVICE)


def resident(made: Corpus, batch: int = BATCH) -> Batch:
    """One batch, on the GPU."""
    return Reader(made, READS).batch(np.resize(np.arange(len(made)), batch), device=DEVICE)


def method(model: str) -> methods.Method:
    """MoCo v2 as SSL4EO-L sets it."""
    contract = InputContract(7, BANDS, True, ("reflectance",) * 7, (0.1,) * 7, (0.05,) * 7)
    policy = views.build(TwoCrops(bands=BANDS, augment=views.presets.moco_v2(VIEW)))
    torch.manual_seed(0)
    size = VIEW if model.startswith("vit") else None
    encoder = encoders.build(Timm(model=model, image_size=size), contract)
    return methods.build(MoCo(hidden=2048, temperature=0.07), encoder, policy)


def device_seconds(work: Callable[[], object], runs: int = 20, warm: int = 3) -> float:
    """Median of the device's seconds from a call's first kernel to its last."""
    for _ in range(warm):
        work()
    times = []
    for _ in range(runs):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        work()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) / 1000)
    return statistics.median(times)


def wall_seconds(work: Callable[[], object], runs: int = 20, warm: int = 3) -> float:
    """Seconds a call by the clock, of many calls one after the other, until the device is done with all."""
    for _ in range(warm):
        work()
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(runs):
        work()
    torch.cuda.synchronize()
    return (time.perf_counter() - start) / runs


class Timed:
    """A loader whose steps are timed all together, once they run smoothly, until the device is done."""

    def __init__(self, batches: Callable[[], Iterator[Batch]], steps: int, warm: int = 6):
        self.batches, self.steps, self.warm = batches, steps, warm
        self.seconds = float("nan")
        """Of a step."""

    def __len__(self) -> int:
        return self.steps

    def epoch(self, epoch: int, start_step: int = 0) -> Iterator[Batch]:  # noqa: ARG002
        """The batches."""
        start = 0.0
        for step, batch in zip(range(self.steps), self.batches(), strict=False):
            if step in (self.warm, self.steps - 1):
                torch.cuda.synchronize()
                start, self.seconds = time.perf_counter(), (time.perf_counter() - start) / (self.steps - 1 - self.warm)
            yield batch
