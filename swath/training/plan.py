"""How many steps there are, and the batches of all of them as one stream."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from swath.batch import Batch
from swath.errors import TrainingError
from swath.training import distributed
from swath.training.config import TrainConfig


@runtime_checkable
class Batches(Protocol):
    """What training needs of a loader (`swath.corpus.Loader`): the order is a pure function of epoch and step."""

    def __len__(self) -> int:
        """Batches of one epoch."""
        ...

    def epoch(self, epoch: int, start_step: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from `start_step` on."""
        ...


MakeLoader = Callable[[int, int, int], Batches]
"""A function that makes a loader from the batch size of this process, its rank, and the number of processes."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The length of a training in optimiser steps. Forward passes left over at an epoch's end are not made."""

    per_epoch: int
    total: int
    accumulate: int

    @classmethod
    def of(cls, train: TrainConfig, batches: int) -> "Plan":
        """The plan for epochs of this many batches.

        Raises:
            TrainingError: an epoch has too few batches for one step, or the samples are fewer than a step's.
        """
        per_epoch = batches // train.accumulate
        if per_epoch < 1:
            raise TrainingError(
                f"one epoch has {batches} batch(es) of {train.batch_size} locations, "
                f"an optimiser step needs {train.accumulate}",
                remedy="use a smaller training.batch_size or training.accumulate, or more locations",
            )
        if train.samples is None:
            return cls(per_epoch=per_epoch, total=per_epoch * train.epochs, accumulate=train.accumulate)
        if train.samples < train.samples_per_step:
            raise TrainingError(
                f"training.samples is {train.samples}, one optimiser step sees {train.samples_per_step}",
                remedy="give more samples, or a smaller training.batch_size or training.accumulate",
            )
        total = train.samples // train.samples_per_step
        return cls(per_epoch=per_epoch, total=total, accumulate=train.accumulate)


class Stream:
    """All batches of a training from an optimiser step on, as one iterable: Lightning sees a single epoch.

    The loader is made when iteration begins, in the process that trains, where rank and world are known.
    """

    def __init__(self, make: MakeLoader, train: TrainConfig, plan: Plan, done: int):
        self.make, self.train, self.plan, self.done = make, train, plan, done

    def __iter__(self) -> Iterator[Batch]:
        loader = self.make(per_process(self.train, distributed.world()), distributed.rank(), distributed.world())
        per_epoch = self.plan.per_epoch * self.plan.accumulate
        epoch, start = divmod(self.done * self.plan.accumulate, per_epoch)
        for e in range(epoch, math.ceil(self.plan.total / self.plan.per_epoch)):
            batches = loader.epoch(e, start_step=start)
            for _, batch in zip(range(start, per_epoch), batches, strict=False):
                yield batch
            start = 0


def per_process(train: TrainConfig, world: int) -> int:
    """Locations in one forward pass of one process; TrainingError if the batch does not divide."""
    if train.batch_size % world:
        raise TrainingError(
            f"a batch of {train.batch_size} cannot be divided among {world} devices",
            remedy=f"set training.batch_size to a multiple of {world}",
        )
    return train.batch_size // world
