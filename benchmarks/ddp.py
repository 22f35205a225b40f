"""Two processes of a thread each against one of one thread: samples a second of the same training, for each process.

The share of two processes' time that is not lost by waiting for each other and by averaging gradients. Both are timed
by the clock, so the machine has to be quiet, and needs two cores.
"""

import os
import statistics
import tempfile
from functools import partial
from pathlib import Path

import pandas as pd
import torch

from benchmarks import Result, versions
from benchmarks._training import BATCH, CHIP, VIEW, Repeat, in_memory, method
from swath.training.config import Optimizer, TrainConfig
from swath.training.fit import fit

STEPS, WARM = 12, 3


def run(quick: bool = False) -> Result:
    """MoCo v2 with ResNet-18, batches that grow with the processes, by Lightning and gloo."""
    steps = WARM + 2 if quick else STEPS
    seconds = {processes: _seconds_a_step(processes, steps) for processes in (1, 2)}
    ours, peer = (processes * BATCH / seconds[processes] for processes in (2, 1))
    return Result(
        ours=ours,
        peer=peer,
        ratio=ours / (2 * peer),
        unit="locations/s",
        setting={
            "model": "ResNet-18, MoCo v2, BatchNorm over both processes",
            "batch": f"{BATCH} a process of 7x{CHIP}x{CHIP}, two views of {VIEW}",
            "ours and peer": "two processes, one",
            "cores": os.cpu_count(),
            "clock": "wall, median of steps",
            "better": "ratio higher, 1 is twice as fast as one process",
        },
        versions=versions("lightning", "torch", "timm"),
    )


def _seconds_a_step(processes: int, steps: int) -> float:
    """Median time of a step, by the log of the training."""
    # processes that are started take their share of this one's threads: one each
    torch.set_num_threads(processes)
    train = TrainConfig(
        samples=steps * BATCH * processes,
        batch_size=BATCH * processes,
        optimizer=Optimizer(lr=0.03),
        log_every=1,
        gauge_every=10**6,
        checkpoint_every=10**6,
        collapse=None,
    )
    with tempfile.TemporaryDirectory() as out:
        fit(method(), train, partial(_batches, steps), Path(out), devices=processes)
        clock = pd.read_csv(Path(out) / "log.csv")["seconds"].to_list()
    return statistics.median(b - a for a, b in zip(clock[WARM:], clock[WARM + 1 :], strict=False))


def _batches(steps: int, *_: int) -> Repeat:
    return Repeat(in_memory(), steps)
