"""From the host to a device without waiting for it."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

CPU = torch.device("cpu")


@runtime_checkable
class Arrival(Protocol):
    """When something that was sent is there: torch's events of GPUs."""

    def query(self) -> bool:
        """Whether all that was sent has arrived."""
        ...

    def synchronize(self) -> None:
        """Wait until all that was sent has arrived."""
        ...


def here() -> torch.device:
    """What this process computes on: its GPU, or the CPU where there is none."""
    return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else CPU


def has_bfloat16(kind: str) -> bool:
    """Whether a device multiplies in bfloat16; a processor that does not (x86 without AVX-512) imitates it slowly."""
    return kind != "cpu" or torch.ops.mkldnn._is_mkldnn_bf16_supported()


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """The same numbers on a device; the host goes on at once, and what it computes there next comes after the copy.

    torch keeps pinned memory for the next copy once the device is done with this one.
    """
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device, non_blocking=True)
    return tensor.pin_memory().to(device, non_blocking=True)


def room_to_send(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Memory of the host with arbitrary content, from where `send` needs no copy of its own."""
    return torch.empty(shape, dtype=dtype, pin_memory=device.type == "cuda")


def fetch(tensors: Sequence[Tensor]) -> tuple[list[Tensor], Arrival | None]:
    """The same numbers on the host, once the event has come to pass; None: they are there already."""
    if not any(tensor.is_cuda for tensor in tensors):
        return list(tensors), None
    found = [
        room_to_send(tuple(tensor.shape), tensor.dtype, tensor.device).copy_(tensor, non_blocking=True)
        for tensor in tensors
    ]
    done = torch.cuda.Event()
    done.record()
    return found, done
