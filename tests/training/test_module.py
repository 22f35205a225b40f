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


@pytest.mark.parametrize("limit", [0.5, None])
def test_the_norm_of_all_gradients_is_limited(limit):
    """Also with optimisers that make one pass over them, to which Lightning refuses it in bfloat16."""
    module = SelfSupervised(fakes.method("byol"), settings(), Plan(6, 18, 1), seed=0)
    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)
    before = sum(p.numel() for p in module.parameters()) ** 0.5
    module.configure_gradient_clipping(module.configure_optimizers(), limit)
    norm = torch.stack([p.grad.norm() for p in module.parameters() if p.grad is not None]).norm()
    assert norm == pytest.approx(limit or before, rel=1e-4)


@pytest.mark.parametrize("name", plugins.names("swath.methods"))
def test_a_trial_for_memory_changes_nothing_of_the_training(name):
    torch.manual_seed(1)
    plain = two_losses(name, trial=False)
    assert two_losses(name, trial=True) == plain
