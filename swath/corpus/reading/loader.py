"""Batches for training: one thread reads ahead while the model computes; no worker processes."""

import queue
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Integer
from numpy import ndarray

from swath._device import CPU
from swath.batch import Batch
from swath.corpus.reading._crossing import Crossing
from swath.corpus.reading.neighbours import Neighbours
from swath.corpus.reading.reader import Reader
from swath.corpus.reading.sampler import Selection, epoch_order, mix, steps_per_epoch
from swath.corpus.store import Corpus
from swath.errors import CorpusError

AHEAD = 2
"""Number of batches that are read ahead."""
THREAD = "swath-loader"
"""Name of threads that read ahead."""
T = TypeVar("T")
U = TypeVar("U")


class Loader:
    """Batches of an epoch in random order; a pure function of (seed, epoch, rank, world, step)."""

    def __init__(
        self,
        corpus: Corpus,
        reads: Mapping[str, Sequence[str]],
        locations: Sequence[int] | Integer[ndarray, " n"],
        batch_size: int,
        select: Selection | None = None,
        *,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
        labels: Sequence[str] = (),
        threads: int | None = None,
        device: torch.device | str = CPU,
        neighbours_m: float | None = None,
        optional: Collection[str] = (),
    ):
        """Choose the locations that can be read.

        Args:
            corpus: where to read.
            reads: band names by sensor; see `Reader`.
            locations: row numbers in `corpus.locations`, such as those of the training split.
            batch_size: locations per step and process.
            select: which chips of a location (default: one date); its seed is not used.
            seed: of the order of locations and the choice of dates.
            rank: number of this process.
            world: how many processes share an epoch.
            labels: label layers and columns of the locations that become targets; see `Reader.about`.
            threads: cores to decode with; default all.
            device: where the batches shall be. Counts are copied to another device than the CPU while it computes, and
                decoded there when the batch is asked for.
            neighbours_m: read chips of another one of these locations as well, at most so many metres away, drawn anew
                each epoch: its dates follow those of the location itself.
            optional: sensors that a location may lack: its date is then a padding one.

        Raises:
            CorpusError: fewer locations can be read than a step needs; neighbours of locations without coordinates.
        """
        self._reader = Reader(corpus, reads, threads)
        self._sampler = self._reader.sampler(select or Selection())
        wanted = np.asarray(locations, dtype=np.int64)
        with_chips = self._sampler.complete(wanted, optional)
        self.locations = self._reader.located(with_chips)
        """Row numbers of the locations that are read: those with an eligible chip of every sensor that they need, and
        coordinates where those are read."""
        self.left_out = len(wanted) - len(with_chips)
        """Number of locations that lack such a chip, and are not read."""
        self.unlocated = len(with_chips) - len(self.locations)
        """Number of further locations that lack coordinates, and are not read."""
        self._neighbours, self.lonely = self._find_neighbours(neighbours_m), 0
        """Neighbours of each location, and the number of locations that have none and are not read."""
        if self._neighbours is not None:
            accompanied = self._neighbours.count[self.locations] > 0
            self.locations, self.lonely = self.locations[accompanied], int((~accompanied).sum())
        self.of_fewer_dates = self._sampler.of_fewer_dates(self.locations)
        """Number of locations whose dates are repeated, as there are fewer than the number that is asked for."""
        self._batch_size, self._seed, self._rank, self._world = batch_size, seed, rank, world
        self._labels = tuple(labels)
        self._device = torch.device(device)
        self._require_a_step()

    def _find_neighbours(self, metres: float | None) -> Neighbours | None:
        if metres is None:
            return None
        corpus = self._reader.corpus
        lonlat = corpus.locations[["lon", "lat"]].to_numpy(dtype=np.float64)
        return Neighbours.within(metres, lonlat, self.locations, str(corpus.path))

    def _require_a_step(self) -> None:
        if len(self) > 0:
            return
        needed = self._batch_size * self._world
        lack = "a usable chip of some sensor" + (", or of another season" if self._sampler.selection.apart_days else "")
        left_out = f"; {self.left_out} more lack {lack}" if self.left_out else ""
        left_out += f"; {self.unlocated} more have no coordinates" if self.unlocated else ""
        left_out += f"; {self.lonely} more have no neighbour within the distance" if self.lonely else ""
        raise CorpusError(
            f"{len(self.locations)} locations can be read, one step needs {needed}{left_out}",
            where=str(self._reader.corpus.path),
            remedy="the views read where locations lie: take a corpus with coordinates, or other views"
            if self.unlocated > len(self.locations)
            else "use a smaller batch, more locations, or a lower min_valid",
        )

    def __len__(self) -> int:
        """Steps per epoch; what does not fill a step on every rank is left for another epoch."""
        return steps_per_epoch(len(self.locations), self._batch_size, self._world)

    def epoch(self, epoch: int, start_step: int = 0) -> Iterator[Batch]:
        """Batches of one epoch, from a step on."""
        order, seed = epoch_order(self.locations, self._seed, epoch), mix(self._seed, epoch)
        steps = range(start_step, len(self))
        if self._device.type == "cpu":
            return ahead(self._read(order, seed, step) for step in steps)
        crossing = Crossing(self._device, self._reader, self._labels)
        return map(crossing.arrive, ahead(crossing.send(*self._choose(order, seed, step)) for step in steps))

    def sample(self, number: int) -> Batch:
        """So many locations on the host, those with the longest series: to see how large batches can be."""
        locations = self._sampler.longest(self.locations, number)
        return self._reader.about(locations, self._reader.read(self._chips(locations, self._seed)), self._labels)

    def _read(self, order: Integer[ndarray, " n"], seed: int, step: int) -> Batch:
        locations, chip_rows = self._choose(order, seed, step)
        return self._reader.about(locations, self._reader.read(chip_rows), self._labels)

    def _choose(self, order: Integer[ndarray, " n"], seed: int, step: int) -> tuple[ndarray, dict[str, ndarray]]:
        """The locations of a step, and their chips by sensor."""
        start = (step * self._world + self._rank) * self._batch_size
        locations = order[start : start + self._batch_size]
        return locations, self._chips(locations, seed)

    def _chips(self, locations: Integer[ndarray, " b"], seed: int) -> dict[str, ndarray]:
        """Chips of these locations, and of a neighbour of each where such are read, by sensor."""
        chips = self._sampler.choose(locations, seed)
        if self._neighbours is None:
            return chips
        beside = self._sampler.choose(self._neighbours.choose(locations, mix(seed, 1)), mix(seed, 2))
        return {name: np.concatenate([own, beside[name]], axis=1) for name, own in chips.items()}


def one_ahead(read: Callable[[T], U], items: Sequence[T]) -> Iterator[U]:
    """What `read` says of each item; the next one is read in a thread while the caller uses it, and none beyond."""
    with ThreadPoolExecutor(1, THREAD) as reader:
        coming = [reader.submit(read, item) for item in items[:1]]
        for following in range(1, len(items) + 1):
            found = coming.pop().result()
            coming = [reader.submit(read, item) for item in items[following : following + 1]]
            yield found


def ahead_of(device: torch.device | str, batches: Iterator[T]) -> Iterator[T]:
    """The same batches, read while a GPU computes; a CPU has no cores to spare for that."""
    return batches if torch.device(device).type == "cpu" else ahead(batches)


def ahead(batches: Iterator[T]) -> Iterator[T]:
    """The same batches, produced by a thread that stays a little ahead; its errors are raised in the caller."""
    ready: queue.Queue[T | Exception | None] = queue.Queue(maxsize=AHEAD)
    stop = threading.Event()
    thread = threading.Thread(target=_produce, args=(batches, ready, stop), name=THREAD, daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()


def _produce(batches: Iterator[T], ready: queue.Queue, stop: threading.Event) -> None:
    try:
        for batch in batches:
            if not _put(batch, ready, stop):
                return
        _put(None, ready, stop)
    except Exception as error:  # whatever it is, the thread that waits must hear of it
        _put(error, ready, stop)


def _put(item: object, ready: queue.Queue, stop: threading.Event) -> bool:
    """Put an item into the queue, unless nobody wants it any more."""
    while not stop.is_set():
        try:
            ready.put(item, timeout=0.1)
        except queue.Full:
            continue
        return True
    return False
