"""The learning rate as a pure function of the step."""

import math

from swath.training.config import Constant, Cosine, Schedule, Steps, WarmRestarts


def learning_rate(schedule: Schedule, lr: float, step: int, total: int, per_epoch: int) -> float:
    """Learning rate of optimiser step `step` (0 is the first).

    Args:
        schedule: settings; its epochs are turned into steps with `per_epoch`.
        lr: the peak, already scaled by the batch.
        step: number of steps taken before this one.
        total: steps of the whole training.
        per_epoch: steps of one epoch.
    """
    warmup = 0.0 if isinstance(schedule, WarmRestarts) else schedule.warmup_epochs * per_epoch
    if step < warmup:
        return lr * step / warmup
    match schedule:
        case Cosine(lr_min=lr_min):
            return lr_min + (lr - lr_min) * half_cosine((step - warmup) / max(total - warmup, 1.0))
        case WarmRestarts(lr_min=lr_min):
            return lr_min + (lr - lr_min) * half_cosine(_share_of_cycle(schedule, step / per_epoch))
        case Steps(factor=factor, milestones=milestones):
            return lr * factor ** sum(step >= milestone * per_epoch for milestone in milestones)
        case Constant():
            return lr


def half_cosine(share: float) -> float:
    """From 1 at 0 to 0 at 1 along half a cosine."""
    return 0.5 * (1.0 + math.cos(math.pi * share))


def _share_of_cycle(schedule: WarmRestarts, epoch: float) -> float:
    """How far the current cycle is, in [0, 1)."""
    cycle = schedule.first_epochs
    while epoch >= cycle:
        epoch, cycle = epoch - cycle, cycle * schedule.multiplier
    return epoch / cycle
