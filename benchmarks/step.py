"""A complete training step of MoCo v2, augmentation and all: swath against torchgeo's MoCoTask."""

import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch import Trainer
from torchgeo.datamodules import SSL4EOLDataModule
from torchgeo.trainers import MoCoTask

from benchmarks import Result, on_one_core, versions
from benchmarks._training import BATCH, CHIP, VIEW, Clock, Repeat, complete_steps, in_memory, reflectance

THREADS = 2


def run(quick: bool = False) -> Result:
    """Both train ResNet-18 through their own Lightning module on a batch that is in memory already."""
    steps, rounds = (4, 1) if quick else (8, 3)
    torch.set_num_threads(THREADS)
    ours, peer, narrow = _in_turn(steps, rounds, time.perf_counter)
    on_one_core()
    one_core = _in_turn(steps, 1, time.process_time)
    return Result(
        ours=ours,
        peer=peer,
        ratio=peer / ours,
        unit="s/step",
        setting={
            "model": "ResNet-18, MoCo v2, queue 65536",
            "batch": f"{BATCH} of 7x{CHIP}x{CHIP}, two views of {VIEW}",
            "threads": THREADS,
            "ours": "bf16, channels last (the default)",
            "peer": "float32, contiguous (the default)",
            "peer at bf16, channels last, s": round(narrow, 3),
            "ratio at bf16, channels last": round(narrow / ours, 2),
            "clock": "wall, median of runs in turn",
            "better": "ratio above 1",
            "one core, processor time: ours, peer, peer at bf16, s": [round(seconds, 3) for seconds in one_core],
            "ratio, one core, processor time": round(one_core[1] / one_core[0], 2),
        },
        versions=versions("torchgeo", "kornia", "lightly", "lightning", "torch", "timm"),
    )


def _in_turn(steps: int, rounds: int, read: Callable[[], float]) -> tuple[float, float, float]:
    """Seconds of a step: ours, the peer's, the peer's at our precision; alternating, so that all share the weather."""
    batch = in_memory()
    times: tuple[list[float], list[float], list[float]] = [], [], []
    for _ in range(rounds):
        times[0].extend(complete_steps(lambda n: Repeat(batch, n), steps, read))
        times[1].extend(_torchgeo(steps, "32-true", torch.contiguous_format, read))
        times[2].extend(_torchgeo(steps, "bf16-mixed", torch.channels_last, read))
    return statistics.median(times[0]), statistics.median(times[1]), statistics.median(times[2])


def _torchgeo(steps: int, precision: Any, layout: torch.memory_format, read: Callable[[], float]) -> list[float]:
    clock = Clock(read)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        task = MoCoTask(
            model="resnet18",
            in_channels=7,
            version=2,
            layers=2,
            hidden_dim=2048,
            output_dim=128,
            lr=0.03 * BATCH / 256,
            weight_decay=1e-4,
            temperature=0.07,
            memory_bank_size=65536,
            moco_momentum=0.999,
            size=VIEW,
        ).to(memory_format=layout)
        trainer = Trainer(
            accelerator="cpu",
            devices=1,
            precision=precision,
            max_epochs=1,
            limit_val_batches=0,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(task, datamodule=_InMemory(clock, steps))
    return clock.seconds()


class _InMemory(SSL4EOLDataModule):
    """torchgeo's data module, which scales 0..255 to 0..1 in every step, around a batch that need not be read."""

    def __init__(self, clock: Clock, steps: int):
        super().__init__(batch_size=BATCH)
        self.clock, self.steps, self.pixels = clock, steps, reflectance() / 0.3 * 255

    def prepare_data(self) -> None:
        pass

    def setup(self, stage: str) -> None:
        pass

    def train_dataloader(self) -> Any:
        return _Batches(self)


class _Batches:
    def __init__(self, data: _InMemory):
        self.data = data

    def __iter__(self):
        return self.data.clock.watch({"image": self.data.pixels} for _ in range(self.data.steps))
