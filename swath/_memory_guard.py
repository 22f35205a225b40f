"""Whether a training step fits in memory: told before the system kills the process, or a GPU fails without a reason."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial

import psutil
import torch
from torch import Tensor, nn

from swath.batch import Image
from swath.errors import TrainingError

_DATES = 4
"""Number of dates in the shorter of the two trials: after two poolings in time, one of four is left."""
_PAIR = 2
"""Number of dates that stay together in the trials: they may be the two of a pair, of which one alone is nothing."""
LEAST = 2
"""Fewest samples of a step that can be asked for: batch statistics are of two at least."""
_GIB = 2**30

Forward = Callable[[dict[str, Image]], Tensor]
"""A forward pass: images by sensor in, tensors that can be differentiated out. It must leave no trace."""


@dataclass
class MemoryGuard:
    """Refuse batches whose training step needs more memory than there is.

    What is needed grows with the positions (samples, dates, pixels); two trials on a small part of the batch say by how
    much for each. On a CPU that is what series keep for their backward pass, which is less than a step needs in the
    end, so what is refused could not have run; single dates are let through. On a GPU it is the peak of a forward and
    a backward pass of anything.
    """

    batch_setting: str
    """Name of the recipe key that sets the number of samples, for messages."""
    dates_setting: str
    """Name of the recipe key that sets the number of dates, for messages."""
    processes: int = 1
    """Number of processes that share the number of samples that the user asked for."""
    _largest: int = 0
    """Positions (samples x dates x pixels) of the largest batch that was checked so far."""
    _kept: tuple[float, float] | None = None
    """Bytes that any batch needs, and bytes that each position adds."""

    def require(self, images: Mapping[str, Image], forward: Forward) -> None:
        """Raise unless a batch fits. Batches no larger than one checked before, and single dates on a CPU, are let
        through.

        Raises:
            TrainingError: with the number of samples, or of dates, that would fit.
        """
        pixels = next(iter(images.values())).pixels
        size, longest = _positions(images), max(image.pixels.shape[1] for image in images.values())
        trials = _trials(len(pixels), longest)
        if size <= self._largest or trials is None or (longest < 2 and not _on_gpu(pixels.device)):
            return
        self._largest = size
        if self._kept is None:
            self._kept = _measured(images, forward, trials)
        fixed, each = self._kept
        free = free_memory(pixels.device)
        if fixed + each * size > free:
            share = max(0.0, free - fixed) / (each * size) if each else 0.0
            raise self._shortage(pixels, longest, fixed + each * size, free, share)

    def _shortage(self, pixels: Tensor, longest: int, needed: float, free: int, share: float) -> TrainingError:
        samples, shape = len(pixels), f"{pixels.shape[3]} x {pixels.shape[4]} pixels"
        fitting, least = int(samples * share), -(-LEAST // self.processes)
        dates = int(longest * samples * share / least)
        if fitting >= least:
            remedy = f"{self.batch_setting}={fitting * self.processes} fits"
        elif longest > 1 and dates:
            remedy = f"{self.batch_setting}={least * self.processes} with {self.dates_setting}={dates} fits"
        else:
            where = "a larger GPU" if _on_gpu(pixels.device) else "a machine with more memory"
            remedy = f"not even {least * self.processes} samples fit: use a smaller network, smaller chips or {where}"
        batch = f"series of up to {longest} dates of {shape}" if longest > 1 else f"chips of {shape}"
        needs = (
            f"needs {needed / _GIB:.1f} GiB of the GPU"
            if _on_gpu(pixels.device)
            else (f"keeps {needed / _GIB:.1f} GiB for its backward pass")
        )
        return TrainingError(
            f"a step on {samples} {batch} {needs}, and {free / _GIB:.1f} GiB are free",
            remedy=remedy,
        )


def same_random_numbers(device: torch.device) -> AbstractContextManager[None]:
    """Restore torch's global random state, on the CPU and on this device, when the block ends."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])


@contextmanager
def untouched(module: nn.Module, device: torch.device) -> Iterator[None]:
    """Restore what forward passes inside the block change: buffers, such as batch statistics, and random state."""
    with same_random_numbers(device):
        before = [buffer.clone() for buffer in module.buffers()]
        yield
        for buffer, value in zip(module.buffers(), before, strict=True):
            # behind autograd's back: what was made of the buffers can still be differentiated
            buffer.data.copy_(value)


def kept_bytes(forward: Callable[[], Tensor]) -> int:
    """Bytes that a forward pass keeps for its backward pass; leaves of the graph, such as weights, not counted."""
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        if not isinstance(tensor, nn.Parameter):
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        _ = forward()
        return sum(kept.values())


def peak_bytes(forward: Callable[[], Tensor], device: torch.device) -> int:
    """Peak GPU memory, in bytes, of a forward and backward pass, beyond what is allocated already."""
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    out = forward()
    if out.requires_grad:
        out.float().sum().backward()
    return torch.cuda.max_memory_allocated(device) - before


def free_memory(device: torch.device) -> int:
    """Bytes that can still be allocated on a device."""
    if not _on_gpu(device):
        return psutil.virtual_memory().available
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + unused


def _on_gpu(device: torch.device) -> bool:
    return device.type == "cuda"


def _trials(samples: int, longest: int) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Samples and dates of the two trials, the second twice as large; None if the batch is no larger than that."""
    if longest > _PAIR:
        dates = min(_DATES, longest // 2)
        return (2, dates), (2, 2 * dates)
    few = max(2, samples // 16)
    return ((few, longest), (2 * few, longest)) if samples > 2 * few else None


def _measured(
    images: Mapping[str, Image], forward: Forward, trials: tuple[tuple[int, int], tuple[int, int]]
) -> tuple[float, float]:
    """Bytes that any batch needs and bytes that each position adds, measured by two trials.

    Raises:
        TrainingError: the smaller trial does not even fit on the GPU.
    """
    device = next(iter(images.values())).pixels.device
    few, more = (_part(images, *trial) for trial in trials)
    try:
        small, large = (_needed(partial(forward, part), device) for part in (few, more))
    except torch.OutOfMemoryError as error:
        raise TrainingError(
            f"the GPU has too little memory for {len(next(iter(more.values())))} samples, or another program uses it",
            remedy="use a smaller network, smaller chips or a larger GPU; `nvidia-smi` lists the programs that use it",
        ) from error
    each = max(0.0, (large - small) / (_positions(more) - _positions(few)))
    return max(0.0, small - each * _positions(few)), each


def _needed(forward: Callable[[], Tensor], device: torch.device) -> int:
    return peak_bytes(forward, device) if _on_gpu(device) else kept_bytes(forward)


def _positions(images: Mapping[str, Image]) -> int:
    return sum(image.valid.numel() for image in images.values())


def _part(images: Mapping[str, Image], samples: int, dates: int) -> dict[str, Image]:
    return {
        name: replace(
            image,
            pixels=image.pixels[:samples, :dates],
            valid=image.valid[:samples, :dates],
            days=image.days[:samples, :dates],
            band_ids=image.band_ids[:samples],
        )
        for name, image in images.items()
    }
