"""The LightningModule: what it asks of a method besides a step leaves no trace."""

import numpy as np
import pytest
import torch

from swath import plugins
from swath.training.module import SelfSupervised
from swath.training.plan import Plan
from tests.methods import fakes
from tests.training.helpers import settings


def two_losses(name: str, trial: bool) -> list[float]:
    module = SelfSupervised(fakes.method(name), settings(), Plan(6, 18, 1), seed=0)
    losses = []
    for step in range(2):
        batch = fakes.batch(8, seed=step)
        module.method.prepare(batch.uid, np.random.default_rng(0).uniform(0, 9, (8, 2)))
        if trial:
            module._trial(batch, {key: image.take([0, 1]) for key, image in batch.images.items()})
        losses.append(module.training_step(batch, step).item())
        module.method.after_step(0.5)
    return losses


@pytest.mark.parametrize("name", plugins.names("swath.methods"))
def test_a_trial_for_memory_changes_nothing_of_the_training(name):
    torch.manual_seed(1)
    plain = two_losses(name, trial=False)
    assert two_losses(name, trial=True) == plain
