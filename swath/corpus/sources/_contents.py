"""From what a source reads to the corpus: in order, in bounded memory, and with a log.

A source reads portions: an image, a patch with all of its dates, a table. Threads read them, and they are stored
in their order, so that a build that was killed continues to the same corpus.
"""

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from affine import Affine
from jaxtyping import Integer
from numpy import ndarray

from swath._progress import console, track
from swath.corpus.sources._raster import corner
from swath.corpus.store import Chip, CorpusWriter, Location, Part, SensorLayout, usable

_PART_BYTES = 128 * 2**20
"""Bytes of pixels that are committed at once; bounds memory, and what a killed build has to read again."""
_PART_LOCATIONS = 2048
_AHEAD = 8
"""Number of portions that are read before the current one is stored."""

LogEntry = dict[str, Any]
"""A line of the corpus's `log.jsonl`: what was left out, where, and why."""
Portion = TypeVar("Portion")


@dataclass(slots=True)
class Contents:
    """What one portion adds to the corpus: locations with chips and labels, and log entries on what was left out."""

    locations: list[Location] = field(default_factory=list)
    chips: list[Chip] = field(default_factory=list)
    labels: list[dict[str, Integer[ndarray, "y x"]]] = field(default_factory=list)
    """Class codes by layer, one map per location."""
    left_out: list[LogEntry] = field(default_factory=list)

    def add(
        self,
        location: Location,
        chips: Iterable[Chip],
        labels: Mapping[str, Integer[ndarray, "y x"]],
        layouts: Mapping[str, SensorLayout],
    ) -> None:
        """Add a location; chips without a valid pixel are left out, and with the last of them the location."""
        kept = []
        for chip in chips:
            if usable(chip, layouts[chip.sensor]).any():
                kept.append(chip)
            else:
                self.left_out.append(_empty(chip))
        if kept:
            self.locations.append(location)
            self.chips += kept
            self.labels.append(dict(labels))

    def part(self) -> Part:
        """The contents as a `Part` for the corpus's writer; there has to be at least one location."""
        stacked = {name: np.stack([maps[name] for maps in self.labels]) for name in self.labels[0]}
        return Part(self.locations, self.chips, stacked)

    @property
    def size(self) -> int:
        """Bytes that the pixels of all chips take."""
        return sum(chip.pixels.nbytes for chip in self.chips)


def _empty(chip: Chip) -> LogEntry:
    entry = {"event": "no valid pixel", "id": chip.uid, "what": "every pixel is nodata or cloud", "where": chip.source}
    return entry if chip.datetime is None else entry | {"date": chip.datetime.isoformat()}


def cells(name: str, shape: tuple[int, int], px: int) -> list[tuple[str, int, int]]:
    """Ids of the chips that an image is cut into, with row and column; the image's own name if it is a single chip.

    What is left over at the right and lower edge is not used.
    """
    grid = [(row, column) for row in range(shape[0] // px) for column in range(shape[1] // px)]
    return [(name if len(grid) == 1 else f"{name}_{row}_{column}", row, column) for row, column in grid]


def window(row: int, column: int, px: int) -> tuple[slice, slice]:
    """Slices of the rows and columns that a cell covers in its image."""
    return slice(row * px, row * px + px), slice(column * px, column * px + px)


def moved(transform: Affine, row: int, column: int, px: int) -> tuple[float, float, float, float, float, float]:
    """Transform of the cell at a row and column of an image, from the transform of the whole image."""
    x, y = corner(transform, column * px, row * px)
    return (transform.a, transform.b, x, transform.d, transform.e, y)


def store(
    writer: CorpusWriter,
    portions: Sequence[Portion],
    read: Callable[[Portion], Contents],
    pool: ThreadPoolExecutor,
    log: list[LogEntry],
) -> None:
    """Read the portions and append them to the corpus in committed parts; what they leave out goes to the log."""
    part = Contents()
    size = 0
    for contents in track(_read_ahead(portions, read, pool), len(portions), "storing images"):
        part.locations += contents.locations
        part.chips += contents.chips
        part.labels += contents.labels
        log += contents.left_out
        size += contents.size
        if size >= _PART_BYTES or len(part.locations) >= _PART_LOCATIONS:
            _append(writer, part, log)
            part, size = Contents(), 0
    _append(writer, part, log)


def _append(writer: CorpusWriter, part: Contents, log: list[LogEntry]) -> None:
    if part.locations:
        writer.append(part.part())
    write_log(writer.path, log)


def _read_ahead(
    portions: Iterable[Portion], read: Callable[[Portion], Contents], pool: ThreadPoolExecutor
) -> Iterator[Contents]:
    waiting: deque[Future[Contents]] = deque()
    try:
        for portion in portions:
            waiting.append(pool.submit(read, portion))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def announce(target: Path, before: Sequence[LogEntry]) -> None:
    """Tell the user of a corpus's log if a build added entries to it."""
    log = read_log(target)
    if log != before:
        console().print(f"{len(log)} notes on what was left out or found: {target / 'log.jsonl'}", soft_wrap=True)


def read_log(target: Path) -> list[LogEntry]:
    """Entries of a corpus's log; a last line that was cut off is ignored."""
    entries = []
    for line in path.read_text().splitlines() if (path := target / "log.jsonl").exists() else []:
        with suppress(ValueError):
            entries.append(json.loads(line))
    return entries


def write_log(target: Path, log: Iterable[LogEntry]) -> None:
    """Append entries that are not in the corpus's log yet, since a continued build finds the same ones again."""
    path = target / "log.jsonl"
    there = set(path.read_text().splitlines()) if path.exists() else set()
    lines = [line for line in dict.fromkeys(json.dumps(entry) for entry in log) if line not in there]
    if lines:
        with path.open("a") as file:
            file.write("".join(f"{line}\n" for line in lines))
