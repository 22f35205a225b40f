"""Batches on their way to a device: counts are copied while the device computes, and become images once they
are there.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from jaxtyping import Integer
from numpy import ndarray
from torch import Tensor

from swath.batch import Batch, Counts
from swath.corpus.reading.reader import Reader


@dataclass(frozen=True, slots=True, eq=False)
class Sent:
    """A batch of which the counts are being copied to the device."""

    counts: dict[str, Counts]
    rest: Batch
    """The batch without the images of those counts: positions, ids and targets."""
    done: torch.cuda.Event | None
    """Event that tells when all of the batch has arrived."""

    def tensors(self) -> Iterator[Tensor]:
        """All tensors of the batch on the device."""
        for counts in self.counts.values():
            scale, offset = counts.calibration.scale, counts.calibration.offset
            for tensor in (counts.stored, counts.known, counts.days, counts.band_ids, scale, offset):
                if tensor is not None:
                    yield tensor
        for image in self.rest.images.values():
            yield from (image.pixels, image.valid, image.days, image.band_ids)
        yield self.rest.lonlat
        yield from self.rest.targets.values()


class Crossing:
    """Sends batches to a device from one thread, and hands them over in another.

    Of a batch only the counts wait there, a quarter of its images; they are decoded when the training takes it. Pinned
    memory goes back to torch, which keeps it, and knows when its copy is done.
    """

    def __init__(self, device: torch.device, reader: Reader, labels: Sequence[str]):
        self._device, self._reader, self._labels = device, reader, labels
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def send(self, locations: Integer[ndarray, " b"], chip_rows: Mapping[str, Integer[ndarray, "b t"]]) -> Sent:
        """Read counts and start their copy; returns before they have arrived."""
        with self._beside():
            counts = {
                sensor: read.to(self._device) for sensor, read in self._reader.counts(chip_rows, self._device).items()
            }
            rest = self._reader.about(locations, {}, self._labels, self._device)
            return Sent(counts, rest, self._mark())

    def arrive(self, sent: Sent) -> Batch:
        """The batch with its images decoded, ready for whatever the device computes from now on."""
        if sent.done is not None:
            computing = torch.cuda.current_stream(self._device)
            computing.wait_event(sent.done)
            for tensor in sent.tensors():
                tensor.record_stream(computing)
        images = {sensor: counts.decode() for sensor, counts in sent.counts.items()}
        return Batch(sent.rest.images | images, sent.rest.lonlat, sent.rest.uid, sent.rest.targets)

    def _mark(self) -> torch.cuda.Event | None:
        """An event that tells when all that was sent so far has arrived."""
        if self._stream is None:
            return None
        event = torch.cuda.Event()
        event.record(self._stream)
        return event

    def _beside(self) -> AbstractContextManager[object]:
        return nullcontext() if self._stream is None else torch.cuda.stream(self._stream)
