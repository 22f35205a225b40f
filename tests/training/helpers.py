"""Training without a corpus: batches that are functions of (epoch, step, rank)."""

from collections.abc import Iterator
from pathlib import Path

from swath.batch import Batch
from swath.training import TrainConfig
from swath.training.config import Optimizer
from swath.training.fit import fit
from tests.methods import fakes

BATCHES = 6
"""Of one epoch."""


class FakeLoader:
    """Six batches an epoch; the ranks' batches together are those of one process."""

    def __init__(self, batch_size: int, rank: int, world: int):
        self.batch_size, self.rank, self.world = batch_size, rank, world

    def __len__(self) -> int:
        return BATCHES

    def epoch(self, epoch: int, start_step: int = 0) -> Iterator[Batch]:
        for step in range(start_step, BATCHES):
            yield part(fakes.batch(self.batch_size * self.world, seed=100 * epoch + step), self.rank, self.world)


def part(batch: Batch, rank: int, world: int) -> Batch:
    """One process's share of a batch."""
    each = len(batch) // world
    rows = range(rank * each, (rank + 1) * each)
    images = {name: image.take(list(rows)) for name, image in batch.images.items()}
    return Batch(images, batch.lonlat[list(rows)], [batch.uid[i] for i in rows])


def settings(**changes) -> TrainConfig:
    plain = {
        "epochs": 3,
        "batch_size": 8,
        "optimizer": Optimizer(lr=0.1, scale_lr=False),
        "log_every": 1,
        "gauge_every": 4,
        "checkpoint_every": 5,
    }
    return TrainConfig(**{**plain, **changes})


def train(out: Path, name: str = "byol", train: TrainConfig | None = None, loader=FakeLoader, **kwargs):
    """Fit a small method; returns it."""
    fitted = fakes.method(name)
    fit(fitted, train or settings(), loader, out, devices=1, **kwargs)
    return fitted


def losses(out: Path) -> list[str]:
    """The loss column of a log, digit by digit."""
    return [row.split(",")[2] for row in (out / "log.csv").read_text().splitlines()[1:]]
