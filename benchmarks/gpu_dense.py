"""S4's contrastive loss on a GPU, forward and backward: blocked against the naive formula, and 122,880 positions."""

from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks import Result, versions
from benchmarks._gpu import DEVICE, device_seconds
from benchmarks._positions import DIM, TEMPERATURE, blocked, naive

SMALL, LARGE = 16_384, 122_880


def run(quick: bool = False) -> Result:
    """Both on the same projections."""
    small, large = (SMALL // 8, LARGE // 8) if quick else (SMALL, LARGE)
    (ours, memory), (peer, peer_memory) = _measured(blocked, small, 10), _measured(naive, small, 10)
    far, far_memory = _measured(blocked, large, 3)
    return Result(
        ours=ours,
        peer=peer,
        ratio=peer / ours,
        unit="s",
        setting={
            "gpu": torch.cuda.get_device_name(),
            "positions": small,
            "length of a projection": DIM,
            "temperature": TEMPERATURE,
            "precision": "float32",
            "extra memory: ours, peer, MiB": [round(memory), round(peer_memory)],
            f"{large} positions: s, extra memory in MiB": [round(far, 4), round(far_memory)],
            f"{large} positions: TFLOP/s": round(8 * large**2 * DIM / far / 1e12, 1),
            "better": "ratio above 1",
        },
        versions=versions("torch"),
    )


def _measured(loss: Callable[[Tensor, Tensor], Tensor], positions: int, runs: int) -> tuple[float, float]:
    """Seconds, and MiB of the device beyond the projections."""
    a, b = (torch.randn(1, positions, DIM, device=DEVICE, requires_grad=True) for _ in range(2))

    def work() -> None:
        a.grad = b.grad = None
        loss(a, b).backward()

    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    seconds = device_seconds(work, runs, warm=1)
    return seconds, (torch.cuda.max_memory_allocated() - before) / 2**20
