"""Whether a step on long series fits in memory, said before the system ends the process without a word."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace

import psutil
import torch
from torch import Tensor, nn

from swath.batch import Image
from swath.errors import TrainingError

_DATES = 4
"""Of the shorter of two trials; four are what two poolings in time leave one of."""
_GIB = 2**30

Forward = Callable[[dict[str, Image]], Tensor]
"""Images by sensor to anything that can be differentiated; it must leave no trace."""


@dataclass
class Room:
    """Refuses batches of series that keep more for their backward pass than there is memory.

    What is kept grows with the positions (samples, dates, pixels); two trials on a few dates of two samples say by how
    much for each. That is less than a step needs in the end, so what is refused could not have run.
    """

    batch_setting: str
    """What the user calls the number of samples."""
    dates_setting: str
    """What the user calls the number of dates."""
    _largest: int = 0
    _kept: tuple[float, float] | None = None
    """Bytes kept for any batch, and bytes for each of its positions."""

    def require(self, images: Mapping[str, Image], forward: Forward) -> None:
        """Check a batch, unless it is of single dates or no larger than one that was checked.

        Raises:
            TrainingError: with the number of samples, or of dates, that would fit.
        """
        size, longest = _positions(images), max(image.pixels.shape[1] for image in images.values())
        if size <= self._largest or longest < 2:
            return
        self._largest = size
        if self._kept is None:
            self._kept = _measured(images, forward, min(_DATES, longest // 2))
        fixed, each = self._kept
        free = free_memory(next(iter(images.values())).pixels.device)
        if fixed + each * size > free:
            # no less than one date of one sample can be asked for, even where that alone does not fit
            share = max(0.0, free - fixed) / (each * size) if each else 0.0
            raise self._shortage(images, longest, fixed + each * size, free, share)

    def _shortage(
        self, images: Mapping[str, Image], longest: int, needed: float, free: int, share: float
    ) -> TrainingError:
        pixels = next(iter(images.values())).pixels
        samples = len(pixels)
        fitting = int(samples * share)
        if fitting:
            remedy = f"{self.batch_setting}={fitting} fits"
        else:
            remedy = f"{self.dates_setting}={max(1, int(longest * samples * share))} fits one at a time"
        return TrainingError(
            f"a step on {samples} series of up to {longest} dates of {pixels.shape[3]} x {pixels.shape[4]} pixels "
            f"keeps {needed / _GIB:.1f} GiB for its backward pass, and {free / _GIB:.1f} GiB are free",
            remedy=remedy,
        )


def same_random_numbers(device: torch.device) -> AbstractContextManager[None]:
    """Puts torch's global random numbers back afterwards, on the CPU and on this device."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])


@contextmanager
def untouched(module: nn.Module, device: torch.device) -> Iterator[None]:
    """Puts back what forward passes inside change: buffers, such as batch statistics, and global random numbers."""
    with same_random_numbers(device):
        before = [buffer.clone() for buffer in module.buffers()]
        yield
        with torch.no_grad():
            for buffer, value in zip(module.buffers(), before, strict=True):
                buffer.copy_(value)


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


def free_memory(device: torch.device) -> int:
    """Bytes that can still be had on a device."""
    if device.type != "cuda":
        return psutil.virtual_memory().available
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + unused


def _measured(images: Mapping[str, Image], forward: Forward, dates: int) -> tuple[float, float]:
    """Bytes kept for any batch and for each position, from two trials."""
    few, more = (_part(images, 2, n) for n in (dates, 2 * dates))
    small, large = (kept_bytes(lambda part=part: forward(part)) for part in (few, more))
    each = max(0.0, (large - small) / (_positions(more) - _positions(few)))
    return max(0.0, small - each * _positions(few)), each


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
