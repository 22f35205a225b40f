"""A complete training step of MoCo v2, augmentation and all: swath against torchgeo's MoCoTask."""

import statistics
import warnings

import torch
from lightning.pytorch import Trainer
from torchgeo.trainers import MoCoTask

from benchmarks import Result, on_one_core, versions
from benchmarks._training import BATCH, CHIP, VIEW, Clock, Repeat, complete_steps, in_memory, reflectance


def run(quick: bool = False) -> Result:
    """Both train ResNet-18 through their own Lightning module on a batch that is in memory already."""
    on_one_core()
    steps, rounds = (4, 1) if quick else (6, 3)
    batch = in_memory()
    times: dict[str, list[float]] = {"ours": [], "peer": [], "peer at our precision": []}
    for _ in range(rounds):
        # in turn, so that other work on the machine touches all alike
        times["ours"] += complete_steps(lambda n: Repeat(batch, n), steps)
        times["peer"] += _torchgeo(steps, "32-true", torch.contiguous_format)
        times["peer at our precision"] += _torchgeo(steps, "bf16-mixed", torch.channels_last)
    ours, peer, narrow = (statistics.median(seconds) for seconds in times.values())
    return Result(
        ours=ours,
        peer=peer,
        ratio=peer / ours,
        unit="s/step of one core",
        setting={
            "model": "ResNet-18, MoCo v2, queue 65536",
            "batch": f"{BATCH} of 7x{CHIP}x{CHIP}, two views of {VIEW}",
            "ours": "bf16, channels last (the default)",
            "peer": "float32, contiguous (the default)",
            "peer at bf16, channels last": round(narrow, 3),
            "ratio at bf16, channels last": round(narrow / ours, 2),
            "clock": "processor time of one core",
            "better": "higher ratio",
        },
        versions=versions("torchgeo", "kornia", "lightly", "lightning", "torch", "timm"),
    )


def _torchgeo(steps: int, precision: str, layout: torch.memory_format) -> list[float]:
    clock = Clock()
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
            precision="bf16-mixed" if precision == "bf16-mixed" else "32-true",
            max_epochs=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        # the pixels as torchgeo's data module hands them on: uint8 / 255
        trainer.fit(task, _Batches(reflectance() / 0.3, steps, clock))
    return clock.seconds()


class _Batches:
    def __init__(self, pixels: torch.Tensor, steps: int, clock: Clock):
        self.pixels, self.steps, self.clock = pixels, steps, clock

    def __iter__(self):
        return self.clock.watch({"image": self.pixels} for _ in range(self.steps))
