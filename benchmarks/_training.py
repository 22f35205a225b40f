"""The training that `step` and `overhead` measure: MoCo v2 with ResNet-18 as SSL4EO-L sets it, 7x264 -> 224 pixels."""

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from swath import encoders, methods, views
from swath.batch import NO_DAY, Batch, Image
from swath.encoders import InputContract
from swath.encoders.timm import Config as Timm
from swath.methods.moco_v2 import Config as MoCo
from swath.sensors import band_id
from swath.training.config import Optimizer, TrainConfig
from swath.training.fit import fit
from swath.training.plan import Batches
from swath.views.policies.two_crops import Config as TwoCrops

SENSOR = "landsat-oli-sr"
BANDS = tuple(f"{SENSOR}/SR_B{i}" for i in range(1, 8))
CHIP, VIEW, BATCH = 264, 224, 32


def method() -> methods.Method:
    """Ours, with the hyper-parameters of torchgeo's task."""
    contract = InputContract(7, BANDS, True, ("reflectance",) * 7, (0.1,) * 7, (0.05,) * 7)
    policy = views.build(TwoCrops(bands=BANDS, augment=views.presets.moco_v2(VIEW)))
    torch.manual_seed(0)
    encoder = encoders.build(Timm(model="resnet18"), contract)
    return methods.build(MoCo(hidden=2048, temperature=0.07), encoder, policy)


def reflectance() -> torch.Tensor:
    """Random pixels of one batch."""
    return torch.rand(BATCH, 7, CHIP, CHIP, generator=torch.Generator().manual_seed(0)) * 0.3


def in_memory() -> Batch:
    """One batch of a corpus, already read."""
    image = Image(
        pixels=reflectance()[:, None],
        valid=torch.ones(BATCH, 1, CHIP, CHIP, dtype=torch.bool),
        days=torch.full((BATCH, 1), NO_DAY, dtype=torch.int32),
        band_ids=torch.tensor([[band_id(key) for key in BANDS]] * BATCH, dtype=torch.int32),
        gsd_m=30.0,
    )
    lonlat = torch.full((BATCH, 2), torch.nan, dtype=torch.float64)
    return Batch({SENSOR: image}, lonlat, [str(i) for i in range(BATCH)])


class Repeat:
    """A loader that hands out one batch again and again."""

    def __init__(self, batch: Batch, steps: int):
        self.batch, self.steps = batch, steps

    def __len__(self) -> int:
        return self.steps

    def epoch(self, epoch: int, start_step: int = 0) -> Iterator[Batch]:  # noqa: ARG002
        """The batch, `steps` times."""
        for _ in range(start_step, self.steps):
            yield self.batch


class Clock:
    """Time between the requests for batches: each is one complete step."""

    def __init__(self, read: Callable[[], float] = time.process_time) -> None:
        self.read = read
        self.times: list[float] = []

    def watch(self, batches: Iterator) -> Iterator:
        """The same batches, their requests noted."""
        for batch in batches:
            self.times.append(self.read())
            yield batch

    def seconds(self) -> list[float]:
        """Of every step but the first two, which warm up and are prefetched."""
        return [b - a for a, b in zip(self.times[2:-1], self.times[3:], strict=True)]


class Watched:
    """A loader whose steps are timed."""

    def __init__(self, loader: Batches, clock: Clock):
        self.loader, self.clock = loader, clock

    def __len__(self) -> int:
        return len(self.loader)

    def epoch(self, epoch: int, start_step: int = 0) -> Iterator[Batch]:
        """The loader's batches."""
        return self.clock.watch(self.loader.epoch(epoch, start_step))


def complete_steps(
    loader: Callable[[int], Batches], steps: int, read: Callable[[], float] = time.process_time
) -> list[float]:
    """Seconds of whole training steps through `swath.training.fit`: read, views, loss, optimiser, teacher."""
    clock = Clock(read)
    train = TrainConfig(
        epochs=1,
        batch_size=BATCH,
        optimizer=Optimizer(lr=0.03),
        checkpoint_every=10**6,
        collapse=None,
    )
    with tempfile.TemporaryDirectory() as out:
        fit(method(), train, lambda *_: Watched(loader(steps), clock), Path(out), devices=1)
    return clock.seconds()
