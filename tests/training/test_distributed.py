"""Two processes give the gradient of one process on the joined batch, for every method."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from torch import nn

from swath import methods, plugins
from swath.encoders._norm import FrameBatchNorm
from swath.errors import RecipeError
from swath.training.distributed import AllProcesses, Launch, launch, mean, synchronise_batch_norm
from swath.training.fit import _devices
from tests.methods import fakes
from tests.training import processes


def gradient(method, views, gather) -> dict[str, torch.Tensor]:
    """Of every parameter, and the loss."""
    loss = method.loss(views, gather).total
    loss.backward()
    return {name: p.grad for name, p in method.named_parameters() if p.grad is not None} | {"loss": loss.detach()}


def share(view, rank, world):
    each = len(view.image) // world
    rows = range(rank * each, (rank + 1) * each)
    uid = None if view.uid is None else tuple(view.uid[row] for row in rows)
    affine = view.affine[rank * each : (rank + 1) * each]
    kept = None if view.kept is None else view.kept[list(rows)]
    targets = {name: target[list(rows)] for name, target in view.targets.items()}
    image = view.image.take(list(rows))
    return replace(view, image=image, affine=affine, lonlat=None, uid=uid, kept=kept, targets=targets)


@contextmanager
def drawing_for(samples: int, rank: int, world: int) -> Iterator[None]:
    """What is drawn for each sample of a share is what would be drawn for it in the whole batch."""
    whole, own = torch.rand, samples // world

    def rand(*shape, **options):
        if not isinstance(shape[0], int) or shape[0] != own:
            return whole(*shape, **options)
        return whole(samples, *shape[1:], **options)[rank * own : (rank + 1) * own]

    torch.rand = rand
    try:
        yield
    finally:
        torch.rand = whole


def as_one(rank: int, world: int) -> None:
    """In each process: own share of the batch, gradients averaged as DDP does, against the whole batch alone."""
    every = methods.names()
    sub_batches = [(name, None, {"ghost_batch": 4}) for name in fakes.QUEUED]
    crops = [(name, fakes.crops, {}) for name in every if plugins.find("swath.methods", name).Method.multi_crop]
    for name, draw, settings in [*((name, None, {}) for name in every), *sub_batches, *crops]:
        alone = fakes.method(name, draw, **settings)
        together = synchronise_batch_norm(copy.deepcopy(alone), "cpu")
        views = alone.views(fakes.batch(8), torch.Generator().manual_seed(0))
        torch.manual_seed(0)
        expected = gradient(alone, views, methods.OneProcess())
        alone.after_step(0.5)
        # what a method draws is the first process's, or of each sample by itself
        torch.manual_seed(0 if name in (*fakes.OF_TOKENS, "sinr") else rank)
        with drawing_for(8, rank, world):
            found = gradient(together, [share(view, rank, world) for view in views], AllProcesses())
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
    joined = AllProcesses()(mine)
    assert joined[:, 0].tolist() == [0.0, 0.0, 1.0, 1.0]
    (joined * (rank + 1)).sum().backward()
    assert torch.equal(mine.grad, torch.full((2, 3), 3.0))


def all_of_it(rank: int, world: int) -> None:
    # in one pair of processes: starting them is what takes time
    gathered(rank, world)
    as_one_norm(rank, world)
    as_one_norm_of_some_dates(rank, world)
    as_one(rank, world)


def test_two_processes_are_as_one(forks):
    assert processes.run_distributed(forks, all_of_it) == 0


def test_alone_nothing_changes(monkeypatch):
    tensor = torch.randn(3, 2)
    assert AllProcesses()(tensor) is tensor
    assert AllProcesses().rank == 0
    assert mean(tensor) is tensor


TORCHRUN = {"WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4", "RANK": "5", "LOCAL_RANK": "1"}
SRUN = {
    "SLURM_STEP_NUM_TASKS": "8",
    "SLURM_STEP_TASKS_PER_NODE": "4(x2)",
    "SLURM_PROCID": "5",
    "SLURM_LOCALID": "1",
}


@pytest.fixture
def bare(monkeypatch):
    for name in (*TORCHRUN, *SRUN, "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize(("by", "variables"), [("torchrun", TORCHRUN), ("srun", SRUN)])
def test_a_launcher_says_how_many_processes_there_are(bare, by, variables):
    assert launch() == Launch(world=1, local=1, rank=0, local_rank=0, by=None)
    for name, value in variables.items():
        bare.setenv(name, value)
    assert launch() == Launch(world=8, local=4, rank=5, local_rank=1, by=by)


def test_a_batch_script_without_srun_is_one_process(bare):
    for name, value in {"SLURM_NTASKS": "8", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}.items():
        bare.setenv(name, value)
    assert launch() == Launch()


@pytest.mark.parametrize(
    ("gpus", "devices", "started", "expected"),
    [
        (0, "auto", Launch(), ("cpu", 1)),
        (0, 2, Launch(), ("cpu", 2)),
        (4, "auto", Launch(), ("cuda", 4)),
        (4, 2, Launch(), ("cuda", 2)),
        (4, "auto", Launch(8, 4, 5, 1, "torchrun"), ("cuda", 4)),
        (4, 4, Launch(8, 4, 5, 1, "srun"), ("cuda", 4)),
        (4, "auto", Launch(2, 1, 1, 0, "srun"), ("cuda", 1)),
        (4, 8, Launch(), "8 GPUs are asked for, and this process sees 4"),
        (1, "auto", Launch(8, 4, 5, 1, "srun"), "4 GPUs are asked for, and this process sees 1"),
        (4, 2, Launch(8, 4, 5, 1, "srun"), "srun started 4 processes on this machine, and 2 devices are asked for"),
    ],
)
def test_as_many_devices_as_are_asked_for_or_none(monkeypatch, gpus, devices, started, expected):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    if isinstance(expected, tuple):
        assert _devices(devices, started) == expected
        return
    with pytest.raises(RecipeError, match=expected):
        _devices(devices, started)
