"""One forward and backward pass of S4's dense contrastive loss, in a process of its own: seconds and extra memory."""

import multiprocessing
import resource
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from swath.methods._dense import dense_info_nce

DIM, TEMPERATURE, THREADS = 128, 0.5, 2


def measure(loss: Callable[[Tensor, Tensor], Tensor], positions: int) -> tuple[float, float]:
    """Wall seconds, and MiB of resident memory beyond what was there before: inputs, libraries, a small first pass."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measure, (loss, positions))


def blocked(a: Tensor, b: Tensor) -> Tensor:
    """Ours."""
    return dense_info_nce(a, b, TEMPERATURE)


def naive(a: Tensor, b: Tensor) -> Tensor:
    """The formula by automatic differentiation, with every similarity in memory."""
    similarity = F.normalize(a, dim=-1) @ F.normalize(b, dim=-1).transpose(1, 2) / TEMPERATURE
    own = torch.arange(a.shape[1], device=a.device)[None]
    return 0.5 * (F.cross_entropy(similarity, own) + F.cross_entropy(similarity.transpose(1, 2), own))


def _measure(loss: Callable[[Tensor, Tensor], Tensor], positions: int) -> tuple[float, float]:
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    a, b = (torch.randn(1, positions, DIM, requires_grad=True) for _ in range(2))
    loss(a[:, :1024], b[:, :1024]).backward()
    a.grad = b.grad = None
    before, start = _peak(), time.perf_counter()
    loss(a, b).backward()
    return time.perf_counter() - start, _peak() - before


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
