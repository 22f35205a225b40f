"""The only module that talks to `torch.distributed`: gathering with gradients, and synchronised batch statistics."""

import os
import re
import socket
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn

from swath.encoders import FrameBatchNorm


def world() -> int:
    """Number of processes; 1 where none were started together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Number of this process, from 0."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


@dataclass(frozen=True, slots=True)
class Launch:
    """How many processes one training has, and what started them."""

    world: int = 1
    """Number of processes on all machines."""
    local: int = 1
    """Number of processes on this machine."""
    rank: int = 0
    local_rank: int = 0
    by: Literal["torchrun", "srun"] | None = None
    """The launcher that started them; None: this process is alone."""


_LAUNCHERS: dict[Literal["torchrun", "srun"], tuple[str, ...]] = {
    "torchrun": ("WORLD_SIZE", "LOCAL_WORLD_SIZE", "RANK", "LOCAL_RANK"),
    # of the step: a batch script that calls swath without srun is one process, however many tasks its job has
    "srun": ("SLURM_STEP_NUM_TASKS", "SLURM_STEP_TASKS_PER_NODE", "SLURM_PROCID", "SLURM_LOCALID"),
}
"""For each launcher, the environment variables that hold the fields of `Launch`, in order."""


def launch() -> Launch:
    """What torchrun, or Slurm's srun, states in the environment about the processes that it started."""
    for by, names in _LAUNCHERS.items():
        if all(name in os.environ for name in names):
            # Slurm writes 4(x2) for four tasks on each of two machines, and 4,3 where they differ
            numbers = [int(re.split(r"\D", os.environ[name])[0]) for name in names]
            if numbers[0] > 1:
                return Launch(*numbers, by=by)
    return Launch()


def joined(rank: int, world: int, port: int) -> None:
    """Declare, as torchrun does, that this process is one of several on this machine."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world), "LOCAL_WORLD_SIZE": str(world)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}


def free_port() -> int:
    """A port of this machine that is not in use."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_loss_of_another(error: RuntimeError) -> bool:
    """Whether an error means that another process is gone: NCCL and gloo name themselves."""
    return isinstance(error, dist.DistError) or "gloo" in str(error)


def leave() -> None:
    """Leave the group of processes, once nothing is left to do together."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


class AllProcesses:
    """The `swath.methods.Gather` of this process: joins a tensor of all processes, with gradients.

    The gradient of a gathered row is the *sum* of what all processes made of it. With a loss that is the mean over a
    process's own samples, and gradients averaged over processes (as DDP does), the result is the gradient of the joined
    batch: nothing is divided by the number of processes twice.
    """

    @property
    def rank(self) -> int:
        """Position of this process."""
        return rank()

    def __call__(self, tensor: Float[Tensor, "b *n"]) -> Float[Tensor, "B *n"]:
        """All processes' rows in order of rank; every process must bring the same number."""
        return tensor if world() == 1 else _AllGather.apply(tensor)


class _AllGather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        parts = [torch.empty_like(tensor) for _ in range(world())]
        dist.all_gather(parts, tensor.contiguous())
        ctx.rows = len(tensor)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        grad = grads[0].contiguous()
        dist.all_reduce(grad)
        return grad[rank() * ctx.rows : (rank() + 1) * ctx.rows]


def _sum(tensor: Tensor) -> Tensor:
    """Sum over processes, without gradients."""
    total = tensor.clone()
    dist.all_reduce(total)
    return total


class _AllReduce(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:  # noqa: ARG004
        return _sum(tensor)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:  # noqa: ARG004
        return _sum(grads[0])


class _SyncBatchNorm(nn.modules.batchnorm._BatchNorm):
    """BatchNorm over the joined batch of all processes, on any device (torch's own refuses CPU tensors)."""

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002 - torch's name
        pass

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        if not self.training or world() == 1:
            return super().forward(input)
        wide = input.float()
        dims = [d for d in range(input.ndim) if d != 1]
        count = wide.numel() // wide.shape[1] * world()
        mean = _AllReduce.apply(wide.sum(dims)) / count
        shape = [1, -1] + [1] * (input.ndim - 2)
        centred = wide - mean.view(shape)
        variance = _AllReduce.apply(centred.square().sum(dims)) / count
        self._track(mean.detach(), variance.detach() * count / max(count - 1, 1))
        scale = torch.rsqrt(variance + self.eps) * (1.0 if self.weight is None else self.weight)
        out = centred * scale.view(shape)
        return (out if self.bias is None else out + self.bias.view(shape)).to(input.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        momentum = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance, momentum)


def synchronise_batch_norm(module: nn.Module, device: str) -> nn.Module:
    """The module with every BatchNorm using the statistics of all processes' samples; state dictionaries stay the same.

    This does not keep MoCo's keys from telling their batch, since query and key then share their statistics: methods
    with keys make them in sub-batches (`ghost_batch`).

    Args:
        module: changed in place, except that a BatchNorm given by itself is replaced.
        device: `cuda` uses torch's kernels; anything else, ours.
    """
    for part in module.modules():
        if isinstance(part, FrameBatchNorm):
            part.reduce = _sum
    if device != "cuda":
        return _convert(module)
    from timm.layers.norm_act import convert_sync_batchnorm  # knows timm's own BatchNorms too; slow to import

    return convert_sync_batchnorm(module)


_PLAIN = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def _convert(module: nn.Module) -> nn.Module:
    if isinstance(module, nn.modules.batchnorm._BatchNorm) and type(module) in _PLAIN:
        return _like(module)
    for name, child in module.named_children():
        setattr(module, name, _convert(child))
    return module


def _like(norm: nn.modules.batchnorm._BatchNorm) -> _SyncBatchNorm:
    """A synchronised BatchNorm that holds the very tensors of another."""
    twin = _SyncBatchNorm(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
    for name, parameter in norm.named_parameters(recurse=False):
        setattr(twin, name, parameter)
    for name, buffer in norm.named_buffers(recurse=False):
        setattr(twin, name, buffer)
    return twin.train(norm.training)


def mean(tensor: Tensor) -> Tensor:
    """Mean over processes, without gradients; the tensor itself where there are no others."""
    if world() == 1:
        return tensor
    return _sum(tensor.detach()) / world()
