"""Moving tensors between the host and a device without making the host wait."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

CPU = torch.device("cpu")


@runtime_checkable
class Arrival(Protocol):
    """An event that tells when a copy between host and device is done; torch's GPU events are of this kind."""

    def query(self) -> bool:
        """Say whether the copy is done, without waiting."""
        ...

    def synchronize(self) -> None:
        """Wait until the copy is done."""
        ...


def here() -> torch.device:
    """The device that this process computes on: its GPU, or the CPU where there is none."""
    return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else CPU


def has_bfloat16(kind: str) -> bool:
    """Whether a device multiplies in bfloat16; a processor that does not (x86 without AVX-512) imitates it slowly."""
    return kind != "cpu" or torch.ops.mkldnn._is_mkldnn_bf16_supported()


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor to a device without waiting: what the host computes on that device next comes after the copy.

    torch keeps pinned memory for the next copy once the device is done with this one.
    """
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device, non_blocking=True)
    return tensor.pin_memory().to(device, non_blocking=True)


def room_to_send(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Allocate uninitialised host memory from which `send` can copy directly, without a copy of its own."""
    return torch.empty(shape, dtype=dtype, pin_memory=device.type == "cuda")


def fetch(tensors: Sequence[Tensor]) -> tuple[list[Tensor], Arrival | None]:
    """Copy tensors to the host. Their values are there once the returned event has happened; None: they are there
    already.
    """
    if not any(tensor.is_cuda for tensor in tensors):
        return list(tensors), None
    copies = [
        room_to_send(tuple(tensor.shape), tensor.dtype, tensor.device).copy_(tensor, non_blocking=True)
        for tensor in tensors
    ]
    done = torch.cuda.Event()
    done.record()
    return copies, done
