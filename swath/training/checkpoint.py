"""Exact resume: what a checkpoint holds, how it is written whole, and how it is read.

A checkpoint is Lightning's: weights, buffers (teacher, queue), optimiser state, step count, state of the recorder.
There is no random state in it: every draw is a function of (seed, step, rank), and the loader starts at any step.
"""

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from swath._files import named, publish
from swath.errors import TrainingError
from swath.training import distributed

if TYPE_CHECKING:
    from lightning.pytorch import Trainer  # importing it takes seconds, and whoever only reads has no use for it


def save(trainer: "Trainer", path: Path) -> None:
    """Write a checkpoint, or leave the old one as it was. Called by every process; the first one writes."""
    # one name for all processes of a run, which a lock keeps others out of: nothing is left of one that was killed
    temporary = path.with_name(f".{path.name}.part")
    with named(path, temporary):
        trainer.save_checkpoint(temporary)
        if distributed.rank() == 0:
            publish(temporary, path)


def read(path: Path) -> dict[str, Any] | None:
    """The checkpoint, its tensors mapped rather than loaded; None where there is none.

    Raises:
        TrainingError: the file is damaged, be it by a single bit.
    """
    if not path.exists():
        return None
    try:
        _check_sums(path)
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:
        raise TrainingError(
            f"the checkpoint cannot be read: {error}",
            where=str(path),
            remedy="remove it; the training then starts anew",
        ) from error


def _check_sums(path: Path) -> None:
    """Compare every record with the checksum that torch stores beside it but never checks."""
    with zipfile.ZipFile(path) as records:
        if damaged := records.testzip():
            raise zipfile.BadZipFile(f"{damaged} has another checksum than when it was written")


def encoder_state(checkpoint: dict[str, Any], kept: str) -> dict[str, torch.Tensor]:
    """The encoder's part of a checkpoint, without the prefix.

    Args:
        checkpoint: as it was read.
        kept: path of the encoder in its method (`Method.kept`).
    """
    prefix, state = f"method.{kept}.", checkpoint["state_dict"]
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
