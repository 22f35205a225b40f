"""Learning rates and optimisers against their formulas."""

import math

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import nn

from swath.training.config import Constant, Cosine, Optimizer, Schedule, Steps, TrainConfig, WarmRestarts
from swath.training.optim import optimizer, peak_lr
from swath.training.schedules import learning_rate


def rates(schedule, total=40, per_epoch=4, lr=0.2):
    return [learning_rate(schedule, lr, step, total, per_epoch) for step in range(total)]


def test_cosine_with_warmup_is_the_formula():
    found = rates(Cosine(warmup_epochs=2))
    warm, T, Tw = 8, 40, 8
    expected = [
        0.2 * t / warm if t < Tw else 0.2 * 0.5 * (1 + math.cos(math.pi * (t - Tw) / (T - Tw))) for t in range(T)
    ]
    assert found == pytest.approx(expected)


def test_warm_restarts_are_torchs():
    parameter = nn.Parameter(torch.zeros(1))
    sgd = torch.optim.SGD([parameter], lr=0.2)
    theirs = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(sgd, T_0=10, T_mult=2, eta_min=0.002)
    found = rates(WarmRestarts(lr_min=0.002), total=150, per_epoch=1)
    for epoch in range(150):
        assert found[epoch] == pytest.approx(sgd.param_groups[0]["lr"], rel=1e-6), epoch
        sgd.step()
        theirs.step()


def test_warm_restarts_begin_at_10_30_70_150():
    found = rates(WarmRestarts(lr_min=0.002), total=160, per_epoch=1)
    assert [e for e in range(160) if found[e] == 0.2] == [0, 10, 30, 70, 150]


def test_steps():
    found = rates(Steps(milestones=(5.0, 8.0), warmup_epochs=1))
    assert found[:5] == pytest.approx([0, 0.05, 0.1, 0.15, 0.2])
    assert found[19:21] == pytest.approx([0.2, 0.02])
    assert found[31:33] == pytest.approx([0.02, 0.002])


def test_constant_and_a_floor():
    assert set(rates(Constant())) == {0.2}
    assert min(rates(Cosine(lr_min=0.01))) >= 0.01


def test_a_warmup_longer_than_the_run_is_no_error():
    assert rates(Cosine(warmup_epochs=100))[-1] < 0.2


@pytest.mark.parametrize("name", ["sgd", "adamw", "lars"])
def test_one_dimensional_parameters_do_not_decay(name):
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    groups = optimizer(Optimizer(name=name, weight_decay=0.5), network).param_groups
    decayed = [p for g in groups if g["weight_decay"] for p in g["params"]]
    assert [id(p) for p in decayed] == [id(network[0].weight)]
    assert sum(len(g["params"]) for g in groups) == 4


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_all_parameters_decay_where_that_is_asked_for(name):
    """As in the codes of the MoCo family, which hand all parameters to torch's SGD."""
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    asked = Optimizer(name=name, lr=0.1, weight_decay=0.5, momentum=0.0, decay_all=True)
    found = optimizer(asked, network)
    for group in found.param_groups:
        group["lr"] = 0.1
    before = network[1].weight.detach().clone()
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    found.step()
    torch.testing.assert_close(network[1].weight.detach(), before * (1 - 0.1 * 0.5))


def test_lars_decays_no_vectors():
    with pytest.raises(ValidationError, match="LARS leaves biases and normalisation alone"):
        Optimizer(name="lars", decay_all=True)


def test_frozen_parameters_are_left_out():
    network = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2).requires_grad_(requires_grad=False))
    groups = optimizer(Optimizer(), network).param_groups
    assert sum(len(g["params"]) for g in groups) == 2


def lars_by_hand(w, grads, lr, momentum, decay, eta=0.001, joint=False):
    """The trust ratio of You et al. 2017 (eq. 6), or with the norm of the decayed gradient (SimCLR, BYOL codes)."""
    v = torch.zeros_like(w)
    for g in grads:
        if w.ndim > 1:
            decayed = g + decay * w
            norm = decayed.norm() if joint else g.norm() + decay * w.norm()
            g = decayed * eta * w.norm() / norm
        v = momentum * v + g
        w = w - lr * v
    return w


@pytest.mark.parametrize(("decay", "joint"), [(0.1, False), (0.0, False), (0.0, True)])
@pytest.mark.parametrize("shape", [(4, 3), (4,)])
def test_lars_is_the_formula(decay, joint, shape):
    torch.manual_seed(0)
    network = nn.Module()
    network.w = nn.Parameter(torch.randn(shape))
    grads = torch.randn(3, *shape)
    expected = lars_by_hand(network.w.detach().clone(), grads, 0.3, 0.9, decay, joint=joint)
    lars = optimizer(Optimizer(name="lars", lr=0.3, weight_decay=decay), network)
    for grad in grads:
        network.w.grad = grad.clone()
        lars.step()
    torch.testing.assert_close(network.w.detach(), expected)


@pytest.mark.parametrize(("name", "by_parameter"), [("sgd", torch.optim.SGD), ("adamw", torch.optim.AdamW)])
def test_one_pass_over_all_parameters_is_torchs_loop_over_them(name, by_parameter):
    torch.manual_seed(0)
    network, grads = nn.Linear(5, 4), torch.randn(4, 4, 5)
    loop = nn.Parameter(network.weight.detach().clone())
    one_pass = optimizer(Optimizer(name=name, lr=0.1, weight_decay=0.2, momentum=0.9), network)
    options = {"momentum": 0.9} if name == "sgd" else {"betas": Optimizer().betas}
    theirs = by_parameter([loop], lr=0.1, weight_decay=0.2, foreach=False, **options)
    for grad in grads:
        network.weight.grad, loop.grad = grad.clone(), grad.clone()
        one_pass.step()
        theirs.step()
    torch.testing.assert_close(network.weight, loop, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_a_checkpoint_of_another_layout_in_memory_continues_alike(name):
    """On a CPU, torch's single pass pairs numbers by their places in memory."""
    torch.manual_seed(0)
    results, grads = [], torch.randn(2, 4, 3, 3, 3)
    for layout in (torch.contiguous_format, torch.channels_last):
        network = nn.Conv2d(3, 4, 3, bias=False).to(memory_format=torch.channels_last)
        nn.init.ones_(network.weight)
        network.weight.grad = grads[0].contiguous(memory_format=torch.channels_last)
        made = optimizer(Optimizer(name=name, lr=0.1), network)
        made.step()
        saved = made.state_dict()
        for state in saved["state"].values():
            of_weights = {key: value for key, value in state.items() if value.ndim == 4}
            state |= {key: value.contiguous(memory_format=layout) for key, value in of_weights.items()}
        made.load_state_dict(saved)
        network.weight.grad = grads[1].contiguous(memory_format=torch.channels_last)
        made.step()
        results.append(network.weight.detach())
    assert torch.equal(*results)


def test_sgd_is_without_nesterov():
    assert not any(g["nesterov"] for g in optimizer(Optimizer(), nn.Linear(2, 2)).param_groups)


def test_lr_scaling():
    assert peak_lr(Optimizer(lr=0.03), 1024) == pytest.approx(0.12)
    assert peak_lr(Optimizer(lr=0.2, scale_lr=False), 32) == 0.2
    assert TrainConfig(batch_size=64, accumulate=4).samples_per_step == 256


def test_schedules_are_told_apart_by_name():
    adapter = TypeAdapter(Schedule)
    assert isinstance(adapter.validate_python({"name": "warm-restarts", "lr_min": 0.002}), WarmRestarts)
    with pytest.raises(ValidationError):
        adapter.validate_python({"name": "cosine", "milestones": [1]})
