"""Exact resume: what a checkpoint holds, how it is written whole, and how it is read.

A checkpoint is Lightning's: weights, buffers (teacher, queue), optimiser state, step count, state of the recorder.
There is no random state in it: every draw is a function of (seed, step, rank), and the loader starts at any step.
"""

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer

from swath.errors import TrainingError
from swath.training import distributed
from swath.training._files import commit
from swath.training.recorder import Recorder

ENCODER = "method.encoder."
"""Prefix of the encoder's tensors in a checkpoint."""


class Checkpoint(Callback):
    """Replaces `last.ckpt` every so many optimiser steps, and at the end. Never with weights that are not finite."""

    def __init__(self, path: Path, every: int, total: int, recorder: Recorder):
        self.path, self.every, self.total, self.recorder = path, every, total, recorder
        self.saved = -1

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:  # noqa: ARG002
        """Save if it is time."""
        step = trainer.global_step
        if step == self.saved or step == 0 or (step % self.every and step != self.total):
            return
        self.saved = step
        self.recorder.check_finite(step)
        save(trainer, self.path)


def save(trainer: Trainer, path: Path) -> None:
    """Write a checkpoint, or leave the old one as it was. Called by every process; the first one writes."""
    temporary = path.with_name(f".{path.name}.part")
    trainer.save_checkpoint(temporary)
    if distributed.rank() == 0:
        commit(temporary, path)


def read(path: Path) -> dict[str, Any] | None:
    """The checkpoint, its tensors mapped rather than loaded; None where there is none.

    Raises:
        TrainingError: the file is damaged.
    """
    if not path.exists():
        return None
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:
        raise TrainingError(
            f"the checkpoint cannot be read: {error}",
            where=str(path),
            remedy="remove it; the training then starts anew",
        ) from error


def encoder_state(checkpoint: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The encoder's part of a checkpoint, without the prefix."""
    state = checkpoint["state_dict"]
    return {name.removeprefix(ENCODER): tensor for name, tensor in state.items() if name.startswith(ENCODER)}
