"""What is written down while training, and the rules that stop it."""

import math
import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer

from swath.errors import TrainingError
from swath.training import distributed
from swath.training._log import Log
from swath.training.config import TrainConfig
from swath.training.gauges import CollapseWatch, LabelledSet, effective_rank, feature_std, knn_accuracy
from swath.training.module import SelfSupervised


class Recorder(Callback):
    """Writes log.csv, measures the gauges, stops a run that collapsed or is not finite."""

    def __init__(self, out: Path, train: TrainConfig, total: int, labelled: LabelledSet | None):
        self.rows, self.train, self.total, self.labelled = Log(out / "log.csv"), train, total, labelled
        self.watch = CollapseWatch(train.collapse) if train.collapse else None
        self.seconds_before = 0.0
        self.started = time.monotonic()
        self.seen = 0
        self.losses: list[torch.Tensor] = []

    def state_dict(self) -> dict[str, Any]:
        """What a continued run must know: time spent, and measurements below the floors."""
        watch = {"below": self.watch.below, "first_std": self.watch.first_std} if self.watch else {}
        return {"seconds": self._seconds(), **watch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self.seconds_before = state_dict["seconds"]
        if self.watch:
            self.watch.below, self.watch.first_std = state_dict["below"], state_dict["first_std"]

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:  # noqa: ARG002
        """Start the clock."""
        self.started, self.seen = time.monotonic(), trainer.global_step

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        """After an optimiser step: keep the loss on the device; look at it, and write, only when a row is due."""
        step = trainer.global_step
        if step == self.seen:
            return
        self.seen = step
        self.losses.append(torch.stack([part.total for part in pl_module.parts]).mean())
        if self._due(step, self.train.log_every, self.train.gauge_every, self.train.knn_every):
            self._write(trainer, pl_module, step)

    def check_finite(self, step: int) -> float:
        """The loss of step `step`, the newest; TrainingError if that or any before it is not finite."""
        values = distributed.mean(torch.stack(self.losses).float()).tolist()
        self.losses = self.losses[-1:]
        for i, value in enumerate(values):
            if not math.isfinite(value):
                raise TrainingError(
                    f"the loss became {value} at step {step - len(values) + 1 + i} of {self.total}",
                    where=str(self.rows.path.parent),
                    remedy="lower training.optimizer.lr, lengthen the warm-up, set training.gradient_clip, or check "
                    "the corpus for impossible values with `swath corpus check`",
                )
        return values[-1]

    def _due(self, step: int, *every: int) -> bool:
        return step in (1, self.total) or any(step % n == 0 for n in every)

    def _write(self, trainer: Trainer, module: SelfSupervised, step: int) -> None:
        loss = self.check_finite(step)
        newest = module.parts[-1]
        gauges: dict[str, float | None] = {}
        if self._due(step, self.train.gauge_every):
            features = newest.gauged()
            gauges["feature_std"], gauges["effective_rank"] = feature_std(features), effective_rank(features)
        if self.labelled is not None and self._due(step, self.train.knn_every):
            with trainer.precision_plugin.forward_context():
                gauges["knn"] = knn_accuracy(module.method.encoder, self.labelled)
        epoch = (step - 1) // module.plan.per_epoch
        row = {"step": step, "epoch": epoch, "loss": loss, "lr": module.lr_at(step - 1), "seconds": self._seconds()}
        if distributed.rank() == 0:
            self.rows.append(row | gauges, {name: float(term) for name, term in newest.terms.items()})
        self._stop_if_collapsed(step, gauges)

    def _stop_if_collapsed(self, step: int, gauges: dict[str, float | None]) -> None:
        std, rank = gauges.get("feature_std"), gauges.get("effective_rank")
        if self.watch is None or std is None or rank is None:
            return
        # every process must come to the same verdict, or the others would wait for ever
        std, rank = distributed.mean(torch.tensor([std, rank])).tolist()
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
