"""What happens between steps besides recording: checkpoints, and a progress bar."""

import time
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer
from rich.progress import Progress, TaskID

from swath._progress import EVERY_S, bar
from swath.training import distributed
from swath.training.checkpoint import save
from swath.training.recorder import Recorder


class Checkpoint(Callback):
    """Replaces `last.ckpt` every so many optimiser steps, at the end, and where SIGTERM stops the training.

    Never with weights that are not finite.
    """

    def __init__(self, path: Path, every: int, total: int, recorder: Recorder):
        self.path, self.every, self.total, self.recorder = path, every, total, recorder
        self.seen = 0

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:  # noqa: ARG002
        """Start counting from where the run continues."""
        self.seen = trainer.global_step

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:  # noqa: ARG002
        """Save if it is time."""
        step = trainer.global_step
        if step == self.seen:
            return
        self.seen = step
        # of several processes each has its own idea of when the signal came, and writing is done together
        stopping = trainer.received_sigterm and distributed.world() == 1
        if step % self.every and step != self.total and not stopping:
            return
        self.recorder.check_finite(step)
        save(trainer, self.path)


class Bar(Callback):
    """A progress bar with the loss; in a log, a line now and then."""

    def __init__(self, total: int, label: str):
        self.total, self.label = total, label
        self.progress: Progress | None = None
        self.task: TaskID | None = None
        self.shown = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:  # noqa: ARG002
        """Show the bar, from the step that the run continues at."""
        if distributed.rank() == 0:
            self.progress = progress = bar()
            progress.start()
            self.task = progress.add_task(self.label, total=self.total, completed=trainer.global_step)

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        """Move it, at most twice a second (in a log, every few seconds): reading the loss waits for the device."""
        if self.progress is None or self.task is None:
            return
        if time.monotonic() - self.shown < (EVERY_S / 5 if self.progress.disable else 0.5):
            return
        self.shown = time.monotonic()
        loss = float(pl_module.parts[-1].total)
        self.progress.update(self.task, completed=trainer.global_step, description=f"{self.label}  loss {loss:.3f}")

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:  # noqa: ARG002
        """Take the bar away."""
        self._stop()

    def on_exception(self, trainer: Trainer, pl_module: Any, exception: BaseException) -> None:  # noqa: ARG002
        """Take the bar away, so that the message stands by itself."""
        self._stop()

    def _stop(self) -> None:
        if self.progress is not None:
            self.progress.stop()
