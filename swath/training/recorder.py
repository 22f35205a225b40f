"""The record of a training, and the rules that stop it."""

import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor

from swath._device import CPU, Arrival, fetch
from swath.errors import TrainingError
from swath.training import distributed
from swath.training._log import Log
from swath.training.config import TrainConfig
from swath.training.gauges import CollapseWatch, LabelledSet, effective_rank, feature_std, knn_accuracy, rankme
from swath.training.module import SelfSupervised


@dataclass(slots=True, eq=False)
class _Steps:
    """Losses and gradients of consecutive optimiser steps, which must all be finite."""

    losses: list[Tensor] = field(default_factory=list)
    gradients: list[Tensor] = field(default_factory=list)
    """Sum of the gradients' norms of each step."""
    locations: list[tuple[str, ...]] = field(default_factory=list)
    """Ids of the locations that this process saw in each step."""

    def add(self, module: SelfSupervised) -> None:
        """Add a step, without waiting for its values."""
        self.losses.append(torch.stack([part.total for part in module.parts]).mean())
        self.gradients.append(module.gradient)
        self.locations.append(tuple(module.locations))

    def numbers(self) -> Tensor:
        """Losses and gradients, "2 n", on the device; the means over all processes."""
        return distributed.mean(torch.stack([torch.stack(self.losses), torch.stack(self.gradients)]).float())


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    """A row of log.csv, whose values may still be on their way from the device."""

    step: int
    known: dict[str, float | int | None]
    locations: list[tuple[str, ...]]
    """Ids of the locations in the steps since the row before."""
    numbers: Tensor
    """Losses and gradients of these steps, in host memory like all that follows."""
    terms: dict[str, Tensor]
    features: Tensor | None
    """Features for the gauges; None where none are due."""
    done: Arrival | None
    """Event that tells when all values have arrived; None: they have."""

    def is_there(self) -> bool:
        return self.done is None or self.done.query()

    def wait(self) -> None:
        if self.done is not None:
            self.done.synchronize()


LISTED = 16
"""Most locations that an error names."""


def _listed(locations: tuple[str, ...]) -> str:
    more = f" and {len(locations) - LISTED} more" if len(locations) > LISTED else ""
    return ", ".join(locations[:LISTED]) + more


def _gauges(features: Tensor) -> dict[str, float]:
    return {
        "feature_std": feature_std(features),
        "effective_rank": effective_rank(features),
        "rankme": rankme(features),
    }


class Recorder(Callback):
    """Writes log.csv, measures the gauges, stops a run that collapsed or is not finite."""

    def __init__(self, out: Path, train: TrainConfig, total: int, labelled: LabelledSet | None):
        self.rows, self.train, self.total, self.labelled = Log(out / "log.csv"), train, total, labelled
        self.watch = CollapseWatch(train.collapse) if train.collapse else None
        self.seconds_before = 0.0
        self.started = time.monotonic()
        self.seen = 0
        self.steps = _Steps()
        """The steps since the last row."""
        self.awaited: _Row | None = None
        self.device = CPU
        """The device on which processes exchange what they measured."""

    def state_dict(self) -> dict[str, Any]:
        """State that a continued run needs: time spent, and measurements below the floors."""
        watch = {"below": self.watch.below, "first_std": self.watch.first_std} if self.watch else {}
        return {"seconds": self._seconds(), **watch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self.seconds_before = state_dict["seconds"]
        if self.watch:
            self.watch.below, self.watch.first_std = state_dict["below"], state_dict["first_std"]

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Start the clock."""
        self.started, self.seen, self.device = time.monotonic(), trainer.global_step, pl_module.device

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        """After an optimiser step: what a row is made of sets out for the host, and is written once it is there."""
        step = trainer.global_step
        if step != self.seen:
            self.seen = step
            self.steps.add(pl_module)
            if self._due(step, self.train.log_every, self.train.gauge_every, self.train.knn_every):
                self.flush()
                self.awaited = self._row(trainer, pl_module, step)
        # several processes look at their rows together, and see them arrive at different times
        if self.awaited is not None and distributed.world() == 1 and self.awaited.is_there():
            self.flush()

    def flush(self) -> None:
        """Write the row that is on its way, waiting for it if need be.

        Raises:
            TrainingError: a loss is not finite, or the features have collapsed.
        """
        if self.awaited is not None:
            row, self.awaited = self.awaited, None
            self._write(row)

    def check_finite(self, step: int) -> None:
        """TrainingError if a loss or gradient up to step `step`, the newest, is not finite; waits for the device."""
        self.flush()
        if self.steps.losses:
            self._require_finite(self.steps.numbers(), self.steps.locations, step)
            self.steps = _Steps()

    def _require_finite(self, numbers: Tensor, locations: list[tuple[str, ...]], step: int) -> None:
        """Name the first step whose loss or gradient is not finite, of those up to `step`, and its locations."""
        for i, (loss, gradient) in enumerate(numbers.T.tolist()):
            quantity, value = ("loss", loss) if not math.isfinite(loss) else ("gradient", gradient)
            if not math.isfinite(value):
                raise TrainingError(
                    f"the {quantity} became {value} at step {step - len(locations) + 1 + i} of {self.total}, of the "
                    f"locations {_listed(locations[i])}",
                    where=str(self.rows.path.parent),
                    remedy="lower training.optimizer.lr, lengthen the warm-up, set training.gradient_clip, or check "
                    "the corpus for impossible values with `swath corpus check`",
                )

    def _due(self, step: int, *every: int) -> bool:
        return step in (1, self.total) or any(step % n == 0 for n in every)

    def _row(self, trainer: Trainer, module: SelfSupervised, step: int) -> _Row:
        """The row of a step; only the k-NN waits for the device, and features of positions that may mean nothing."""
        newest = module.parts[-1]
        known: dict[str, float | int | None] = {
            "epoch": (step - 1) // module.plan.per_epoch,
            "lr": module.lr_at(step - 1),
            "seconds": self._seconds(),
        }
        if self.labelled is not None and self._due(step, self.train.knn_every):
            with trainer.precision_plugin.forward_context():
                known["knn"] = knn_accuracy(module.method.result, self.labelled)
        steps, self.steps = self.steps, _Steps()
        gauged = [newest.gauged()] if self._due(step, self.train.gauge_every) else []
        (numbers, *rest), done = fetch([steps.numbers(), *newest.terms.values(), *gauged])
        terms = dict(zip(newest.terms, rest, strict=False))
        return _Row(step, known, steps.locations, numbers, terms, rest[-1] if gauged else None, done)

    def _write(self, row: _Row) -> None:
        row.wait()
        self._require_finite(row.numbers, row.locations, row.step)
        gauges = {} if row.features is None else _gauges(row.features)
        if distributed.rank() == 0:
            terms = {name: float(term) for name, term in row.terms.items()}
            self.rows.append({"step": row.step, "loss": float(row.numbers[0, -1])} | row.known | gauges, terms)
        self._stop_if_collapsed(row.step, gauges)

    def _stop_if_collapsed(self, step: int, gauges: dict[str, float]) -> None:
        if self.watch is None or not gauges:
            return
        # every process must come to the same verdict, or the others would wait for ever
        here = torch.tensor([gauges["feature_std"], gauges["effective_rank"]], device=self.device)
        std, rank = distributed.mean(here).tolist()
        if wrong := self.watch.verdict(std, rank):
            raise TrainingError(
                f"the features collapsed: at step {step} of {self.total} the {wrong}, "
                f"for {self.watch.below} measurements in a row",
                where=str(self.rows.path.parent),
                remedy="lower training.optimizer.lr or lengthen its warm-up; for simclr use a larger batch or a "
                "temperature of 0.5; or set training.collapse: null to let it run",
            )

    def _seconds(self) -> float:
        return round(self.seconds_before + time.monotonic() - self.started, 3)
