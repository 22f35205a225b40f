"""Two processes give the gradient of one process on the joined batch, for every method."""

import copy
from dataclasses import replace

import torch
from torch import nn

from swath import methods
from swath.encoders._norm import FrameBatchNorm
from swath.training.distributed import Together, launched, mean, synchronise_batch_norm
from tests.methods import fakes
from tests.training import processes


def gradient(method, views, gather) -> dict[str, torch.Tensor]:
    method.loss(views, gather).total.backward()
    return {name: p.grad for name, p in method.named_parameters() if p.grad is not None}


def share(view, rank, world):
    each = len(view.image) // world
    rows = range(rank * each, (rank + 1) * each)
    uid = None if view.uid is None else tuple(view.uid[row] for row in rows)
    return replace(fakes.view(view.image.take(list(rows)), view.role), uid=uid)


def as_one(rank: int, world: int) -> None:
    """In each process: own share of the batch, gradients averaged as DDP does, against the whole batch alone."""
    for name in methods.names():
        alone = fakes.method(name)
        together = synchronise_batch_norm(copy.deepcopy(alone), "cpu")
        views = alone.views(fakes.batch(8), torch.Generator().manual_seed(0))
        expected = gradient(alone, views, methods.Alone())
        alone.after_step(0.5)
        found = gradient(together, [share(view, rank, world) for view in views], Together())
        together.after_step(0.5)
        for label, grad in expected.items():
            torch.testing.assert_close(mean(found[label]), grad, rtol=2e-4, atol=1e-5, msg=f"{name} {label}")
        state = together.state_dict()
        for label, tensor in alone.state_dict().items():
            torch.testing.assert_close(
                state[label], tensor, rtol=1e-4, atol=1e-5, equal_nan=True, msg=f"{name} {label}"
            )


def as_one_norm(rank: int, world: int) -> None:
    """The synchronised BatchNorm against torch's on the joined batch: output, gradients, running statistics."""
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(3)
    nn.init.normal_(norm.weight)
    twin = synchronise_batch_norm(nn.Sequential(copy.deepcopy(norm)), "cpu")
    whole = torch.randn(8, 3, 4, 4, requires_grad=True)
    mine = whole.detach()[rank * 4 : rank * 4 + 4].clone().requires_grad_()
    weight = torch.randn(8, 3, 4, 4)
    (norm(whole) * weight).sum().backward()
    out = twin(mine)
    (out * weight[rank * 4 : rank * 4 + 4]).sum().backward()
    rows = slice(rank * 4, rank * 4 + 4)
    torch.testing.assert_close(mine.grad, whole.grad[rows], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(mean(twin[0].weight.grad) * world, norm.weight.grad, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(twin[0].running_var, norm.running_var)
    torch.testing.assert_close(twin[0].running_mean, norm.running_mean)
    torch.testing.assert_close(twin.eval()(mine), norm.eval()(whole)[rows], rtol=1e-4, atol=1e-5)


def as_one_norm_of_some_dates(rank: int, world: int) -> None:
    """The same for series, of which the two processes hold different numbers of dates."""
    torch.manual_seed(0)
    norm = FrameBatchNorm(3)
    nn.init.normal_(norm.weight)
    twin = synchronise_batch_norm(copy.deepcopy(norm), "cpu")
    whole = torch.randn(4, 3, 5, 2, 2, requires_grad=True)
    weight, frames = torch.randn(4, 3, 5, 2, 2), torch.arange(5) < torch.tensor([5, 5, 2, 1])[:, None]
    rows = slice(rank * 2, rank * 2 + 2)
    mine = whole.detach()[rows].clone().requires_grad_()
    (norm(whole, frames) * weight).sum().backward()
    (twin(mine, frames[rows]) * weight[rows]).sum().backward()
    torch.testing.assert_close(mine.grad, whole.grad[rows], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(mean(twin.weight.grad) * world, norm.weight.grad, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(twin.running_var, norm.running_var)
    torch.testing.assert_close(twin.eval()(mine, frames[rows]), norm.eval()(whole, frames)[rows], rtol=1e-4, atol=1e-5)


def gathered(rank: int, world: int) -> None:
    """Rows come in order of rank; their gradient is the sum of what all processes made of them."""
    mine = torch.full((2, 3), float(rank), requires_grad=True)
    joined = Together()(mine)
    assert joined[:, 0].tolist() == [0.0, 0.0, 1.0, 1.0]
    (joined * (rank + 1)).sum().backward()
    assert torch.equal(mine.grad, torch.full((2, 3), 3.0))


def all_of_it(rank: int, world: int) -> None:
    # in one pair of processes: starting them is what takes time
    gathered(rank, world)
    as_one_norm(rank, world)
    as_one_norm_of_some_dates(rank, world)
    as_one(rank, world)


def test_two_processes_are_as_one():
    processes.run_distributed(all_of_it)


def test_alone_nothing_changes(monkeypatch):
    tensor = torch.randn(3, 2)
    assert Together()(tensor) is tensor
    assert Together().rank == 0
    assert mean(tensor) is tensor
    for name in ("WORLD_SIZE", "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)
    assert not launched()
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert launched()
