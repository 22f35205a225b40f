"""A complete training step on a GPU, batch 256, over the bare passes of its encoders."""

import tempfile
from collections.abc import Callable, Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import Result, versions
from benchmarks._gpu import BATCH, DEVICE, Timed, corpus, device_seconds, loader, method, resident, wall_seconds
from benchmarks._training import CHIP, VIEW
from swath import encoders, methods, views
from swath.batch import NO_DAY, Batch, Image
from swath.corpus import Corpus
from swath.encoders import InputContract
from swath.encoders.timm import Config as Timm
from swath.methods.simclr import Config as SimClr
from swath.sensors import band_id
from swath.training.config import Optimizer, TrainConfig
from swath.training.fit import fit
from swath.training.module import SelfSupervised
from swath.training.plan import Plan
from swath.views import Augment, Crop, Jitter
from swath.views.policies.two_crops import Config as TwoCrops

MODELS = ("resnet18", "resnet50", "vit_small_patch16_224")
HEADLINE = "resnet50"
LOCATIONS = 1024


def run(quick: bool = False) -> Result:
    """Complete: read a corpus, views, encoders, heads, loss, backward, SGD, teacher, queue, log; by Lightning."""
    steps = 8 if quick else 40
    with tempfile.TemporaryDirectory() as folder:
        made = corpus(Path(folder) / "corpus", BATCH if quick else LOCATIONS)
        found = {model: _compared(model, made, steps) for model in (MODELS[:1] if quick else MODELS)}
    headline = found.get(HEADLINE, found[MODELS[0]])
    return Result(
        ours=headline["step from a corpus, ms"] / 1000,
        peer=headline["bare network, ms"] / 1000,
        ratio=headline["ratio"],
        unit="s/step",
        setting={
            "gpu": torch.cuda.get_device_name(),
            "model": HEADLINE,
            "batch": f"{BATCH} of 7x{CHIP}x{CHIP} uint8, two views of {VIEW}",
            "both": "bf16, channels last",
            "bare network": "one encoder forward and backward, one forward, on views that are ready",
            "better": "lower ratio, at most 1.2",
            **found,
            "32 px, batch 128, SimCLR with ResNet-18 as in the quickstart, ms": _small(8 if quick else 60),
        },
        versions=versions("lightning", "torch", "triton", "timm", "tensorstore"),
    )


def _compared(model: str, made: Corpus, steps: int) -> dict[str, float]:
    bare = _bare(model)
    from_corpus = _complete(method(model), lambda: iter(loader(made, steps).epoch(0)), steps)
    batch = resident(made)
    in_memory = _complete(method(model), lambda: repeat(batch), steps)
    return {
        "bare network, ms": round(1000 * bare, 2),
        "step from a corpus, ms": round(1000 * from_corpus, 2),
        "samples/s": round(BATCH / from_corpus),
        "ratio": round(from_corpus / bare, 3),
        "batch on the device, ms": round(1000 * in_memory, 2),
        "without Lightning, ms": round(1000 * _without_lightning(method(model), batch, steps), 2),
    }


def _bare(model: str) -> float:
    query, key = (method(model).encoder.network.to(DEVICE) for _ in range(2))
    pixels = torch.randn(BATCH, 7, VIEW, VIEW, device=DEVICE).contiguous(memory_format=torch.channels_last)
    before, torch.backends.cudnn.benchmark = torch.backends.cudnn.benchmark, True

    def passes() -> None:
        query.zero_grad()
        with torch.autocast("cuda", torch.bfloat16):
            with torch.no_grad():
                key(pixels)
            features = query(pixels)
        features.float().sum().backward()

    try:
        return device_seconds(passes, runs=15)
    finally:
        torch.backends.cudnn.benchmark = before


def _settings(batch: int, optimizer: Optimizer) -> TrainConfig:
    return TrainConfig(epochs=1, batch_size=batch, optimizer=optimizer, checkpoint_every=10**6, collapse=None)


def _complete(
    trained: methods.Method,
    batches: Callable[[], Iterator[Batch]],
    steps: int,
    batch: int = BATCH,
    optimizer: Optimizer | None = None,
) -> float:
    clock = Timed(batches, steps)
    train = _settings(batch, optimizer or Optimizer(lr=0.03))
    with tempfile.TemporaryDirectory() as out:
        fit(trained, train, lambda *_: clock, Path(out), devices=1)
    return clock.seconds


def _without_lightning(trained: methods.Method, batch: Batch, steps: int) -> float:
    module = SelfSupervised(trained.to(DEVICE), _settings(BATCH, Optimizer(lr=0.03)), Plan(steps, steps, 1), 0)
    module.to(DEVICE).train()
    made: Any = module.configure_optimizers()
    number = iter(range(10**9))

    def step() -> None:
        with torch.autocast("cuda", torch.bfloat16):
            loss = module.training_step(batch, next(number))
        made.zero_grad()
        loss.backward()
        made.step()
        trained.after_step(0.5)

    return wall_seconds(step, runs=steps)


def _small(steps: int) -> float:
    """Where the host has more to do than the device: the quickstart's step, from a batch on the device."""
    keys = tuple(f"sentinel-2-l2a/{b}" for b in ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12"))
    jitter = Jitter(p=0.8, factor=(0.8, 1.25))
    how = Augment(crop=Crop(scale=(0.5, 1.0)), hflip=0.5, vflip=0.5, quarter_turns=0.75, brightness=jitter)
    contract = InputContract(10, keys, True, ("reflectance",) * 10, (0.1,) * 10, (0.05,) * 10)
    encoder = encoders.build(Timm(model="resnet18"), contract)
    trained = methods.build(SimClr(hidden=512, layers=2), encoder, views.build(TwoCrops(bands=keys, augment=how)))
    ids = [band_id(key) for key in keys]
    image = Image(
        pixels=torch.rand(128, 1, 10, 32, 32),
        valid=torch.ones(128, 1, 32, 32, dtype=torch.bool),
        days=torch.full((128, 1), NO_DAY, dtype=torch.int32),
        band_ids=torch.tensor([ids] * 128, dtype=torch.int32),
        gsd_m=10.0,
        common_ids=tuple(ids),
    )
    lonlat = torch.from_numpy(np.zeros((128, 2)))
    batch = Batch({"sentinel-2-l2a": image}, lonlat, [str(i) for i in range(128)]).to(DEVICE)
    optimizer = Optimizer(name="adamw", lr=0.002, scale_lr=False, weight_decay=0.05)
    return round(1000 * _complete(trained, lambda: repeat(batch), steps, 128, optimizer), 2)
