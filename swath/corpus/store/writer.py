"""Building a corpus in committed parts, so that it can be killed at any moment and continued.

A part is committed by writing its pixels first, beyond the rows that the index knows, and renaming its index entry into
place last. What a killed build leaves beyond the index is overwritten when it continues, and cut off when it finishes.
"""

import fcntl
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
import pandas as pd
import tensorstore as ts

from swath.corpus.ground.adjacency import linked
from swath.corpus.store import arrays as _arrays
from swath.corpus.store import index as _index
from swath.corpus.store.digests import label_digest, pixel_digest
from swath.corpus.store.format import (
    FORMAT,
    Corpus,
    CorpusInfo,
    LabelLayer,
    SensorLayout,
    label_path,
    pixel_path,
    valid_path,
)
from swath.corpus.store.part import KINDS, Chip, Part, check_part, location_record, scalar_kinds
from swath.corpus.store.statistics import band_statistics
from swath.errors import CorpusError
from swath.sensors import LOCATION, band_id, definitions
from swath.settings import differences


class CorpusWriter:
    """Creates a corpus, or continues one; one process at a time. Also adds to a finished corpus.

    >>> with CorpusWriter(path, sensors={"sentinel-2-l2a": layout}, chip_px=64) as writer:  # doctest: +SKIP
    ...     writer.append(Part([Location("a")], [Chip("a", "sentinel-2-l2a", pixels)]))
    ...     writer.finish()
    """

    def __init__(
        self,
        path: Path | str,
        sensors: Mapping[str, SensorLayout],
        chip_px: int,
        labels: Mapping[str, LabelLayer] | None = None,
        provenance: dict[str, Any] | None = None,
        licences: Sequence[str] = (),
        compression: _arrays.Compression = "fast",
        *,
        units: Mapping[str, str] | None = None,
    ):
        """Open for writing.

        Args:
            path: folder of the corpus; created if it is not there.
            sensors: stored sensors by name, each with its bands.
            chip_px: width and height of every chip.
            labels: label layers by name.
            provenance: plain data on where the pixels come from; kept in corpus.json, not part of the hash.
            licences: names of the licences that the data is under.
            compression: of new pixel arrays: `none`, `fast` to read, or `small` on disk. What is read is the same.
            units: of scalar labels that are numbers, by name, `1` where they have none.

        Raises:
            CorpusError: the folder holds something else, a corpus of another layout, or is being written to; or the
                sensor is `location`.
            RecipeError: a sensor or band is unknown.
        """
        self.path = Path(path)
        if LOCATION in sensors:
            raise CorpusError(
                f"no corpus stores {LOCATION}: it is made of the coordinates that every corpus has",
                where=str(self.path),
                remedy="name the sensor that took the images",
            )
        self._compression: _arrays.Compression = compression
        wanted = CorpusInfo(
            chip_px=chip_px,
            sensors=dict(sensors),
            definitions=definitions(sensors),
            labels=dict(labels or {}),
            units=dict(units or {}),
            provenance=() if provenance is None else (provenance,),
            licences=tuple(licences),
        )
        for sensor, layout in wanted.sensors.items():
            for band in layout.bands:
                band_id(f"{sensor}/{band}")
        self._lock = _lock(self.path)
        try:
            with self._explained("open"):
                _arrays.remove_unfinished(self.path)
                self.info = _open_or_create(self.path, wanted)
                self._take_stock()
        except BaseException:
            self.close()
            raise

    def _take_stock(self) -> None:
        """Read what is committed already: ids, and the number of rows of each array."""
        self.committed: set[str] = set()
        """Ids of the locations that are stored already."""
        self._rows = dict.fromkeys(self.info.sensors, 0)
        self._parts = len(_index.parts(self.path))
        self._kinds: dict[str, str] = {}
        if self.info.complete or self._parts:
            corpus = Corpus.open(self.path)
            self.committed.update(corpus.locations["uid"])
            counts = Counter(corpus.chips["sensor"])
            self._rows = {sensor: counts[sensor] for sensor in self.info.sensors}
            self._kinds = _kinds(corpus.locations)

    def __enter__(self) -> "CorpusWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let others write. What was appended stays, and an unfinished corpus can be continued."""
        self._lock.close()

    def append(self, part: Part) -> None:
        """Store whole locations: all of them, or, if this fails or is killed, none.

        Raises:
            CorpusError: the part does not fit the corpus, an id is already there, or the disk is full.
        """
        check_part(part, self.info, self.committed)
        kinds = scalar_kinds(part.locations, self._kinds)
        if not part.locations:
            return
        with self._explained("write"):
            self._reopen()
            chips = self._write_chips(part)
            codes = self._codes(part)
            self._write_labels(codes)
            self._commit(part, chips, codes)
        self._kinds = kinds

    def _reopen(self) -> None:
        if self.info.complete:
            _index.reopen(self.path)
            unknown = {"statistics": {}, "index": {}, "content_hash": None}
            self.info = self.info.model_copy(update={"format": FORMAT, "complete": False, **unknown})
            self.info.write(self.path)
            self._parts = 1

    def _commit(self, part: Part, chips: list[dict[str, Any]], codes: Mapping[str, np.ndarray]) -> None:
        records = [
            location_record(location, self.info.chip_px, label_digest({name: maps[i] for name, maps in codes.items()}))
            for i, location in enumerate(part.locations)
        ]
        _index.commit(self.path, self._parts, _index.location_frame(records), _index.chip_frame(chips))
        self.committed.update(location.uid for location in part.locations)
        self._parts += 1
        for chip in chips:
            self._rows[chip["sensor"]] += 1

    def _write_chips(self, part: Part) -> list[dict[str, Any]]:
        """Write the pixels of all sensors at once; returns the chips' rows of the index, location by location.

        Sorted by location, so that the corpus does not depend on where parts begin and end.
        """
        number = {location.uid: len(self.committed) + i for i, location in enumerate(part.locations)}
        ordered = sorted(part.chips, key=lambda chip: number[chip.uid])
        records: list[dict[str, Any]] = []
        pending: list[ts.WriteFutures] = []
        for sensor, layout in self.info.sensors.items():
            chips = [chip for chip in ordered if chip.sensor == sensor]
            if chips:
                counts, good = _stacked(chips, layout)
                pending += self._start_writing(sensor, counts, good)
                rows = range(self._rows[sensor], self._rows[sensor] + len(chips))
                records += [
                    _chip_record(chip, number[chip.uid], row, ok)
                    for chip, row, ok in zip(chips, rows, good, strict=True)
                ]
        for future in pending:
            future.result()
        return sorted(records, key=lambda record: record["location"])

    def _start_writing(self, sensor: str, counts: np.ndarray, good: np.ndarray) -> list[ts.WriteFutures]:
        first, px = self._rows[sensor], self.info.chip_px
        last = first + len(counts)
        pixels = _arrays.with_rows(self._pixels(sensor), last)
        futures = [pixels[first:last].write(counts)]
        path = valid_path(self.path, sensor)
        if not good.all() or _arrays.exists(path, "valid"):
            # Once the array exists every row is written: an interrupted build may have left others' validity there.
            array = _arrays.create(path, "valid", (last, px, px), "bool", ("chip", "y", "x"), {}, fill=True)
            futures.append(_arrays.with_rows(array, last)[first:last].write(good))
        return futures

    def _pixels(self, sensor: str) -> ts.TensorStore:
        layout, px = self.info.sensors[sensor], self.info.chip_px
        shape = (0, len(layout.bands), px, px)
        attributes = {"sensor": sensor, **layout.model_dump(mode="json", exclude={"dtype"})}
        dims = ("chip", "band", "y", "x")
        path = pixel_path(self.path, sensor)
        return _arrays.create(path, "pixels", shape, layout.dtype, dims, attributes, compression=self._compression)

    def _codes(self, part: Part) -> dict[str, np.ndarray]:
        """Class codes "n y x" of all layers; of one that the part leaves out, void."""
        shape = (len(part.locations), self.info.chip_px, self.info.chip_px)
        return {
            name: part.labels.get(name, np.full(shape, _fill(layer))).astype(layer.dtype)
            for name, layer in self.info.labels.items()
        }

    def _write_labels(self, codes: Mapping[str, np.ndarray]) -> None:
        first, px = len(self.committed), self.info.chip_px
        dims = ("location", "y", "x")
        for name, layer in self.info.labels.items():
            path, attributes = label_path(self.path, name), layer.model_dump(mode="json")
            array = _arrays.create(path, "labels", (0, px, px), layer.dtype, dims, attributes, _fill(layer))
            last = first + len(codes[name])
            _arrays.with_rows(array, last)[first:last].write(codes[name]).result()

    def finish(self, shared: Sequence[str] = ()) -> Corpus:
        """Join the index, compute statistics and content hash, and mark the corpus as whole.

        Args:
            shared: scalar columns of names, joined by semicolons, that locations of one group have in common; groups
                with such a name in common become one.

        Raises:
            CorpusError: nothing was appended, or the disk is full.
        """
        if not self.committed:
            raise CorpusError("nothing to store: the corpus has no location", where=str(self.path))
        with self._explained("finish"):
            if not self.info.complete:
                self._finish(shared)
            shutil.rmtree(self.path / "index", ignore_errors=True)
            return Corpus.open(self.path)

    def _finish(self, shared: Sequence[str]) -> None:
        corpus = Corpus.open(self.path)
        if shared:
            corpus.locations["group"] = _joined_groups(corpus.locations, shared)
        self._trim()
        checksums = _index.compact(self.path, corpus.locations, corpus.chips)
        self.info = self.info.model_copy(
            update={
                "format": FORMAT,
                "complete": True,
                "locations": len(corpus.locations),
                "chips": len(corpus.chips),
                "statistics": band_statistics(corpus),
                "index": checksums,
                "content_hash": corpus.content_hash,
            }
        )
        self.info.write(self.path)

    def _trim(self) -> None:
        """Cut off what an interrupted build left beyond the index."""
        arrays = [(pixel_path(self.path, sensor), "pixels", rows) for sensor, rows in self._rows.items()]
        arrays += [(valid_path(self.path, sensor), "valid", rows) for sensor, rows in self._rows.items()]
        arrays += [(label_path(self.path, name), "labels", len(self.committed)) for name in self.info.labels]
        for path, name, rows in arrays:
            if _arrays.exists(path, name):
                _arrays.trim(_arrays.open_array(path, name, sparse=True), rows)

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        """Turn errors of the disk into one that tells what is left and how to go on."""
        try:
            yield
        except (OSError, ValueError) as error:
            if not _of_the_disk(error):
                raise
            raise CorpusError(
                f"cannot {doing} the corpus: {_reason(error)}",
                where=str(self.path),
                remedy="make room or mend the path, then run the same again: it continues after what is committed",
            ) from error


def _of_the_disk(error: Exception) -> bool:
    """Whether an error is the disk's: TensorStore raises ValueError with the status code in front, as in
    `RESOURCE_EXHAUSTED: …`.
    """
    return isinstance(error, OSError) or str(error).partition(":")[0].replace("_", "").isupper()


def _reason(error: Exception) -> str:
    """The cause in a few words; TensorStore's messages go on for lines."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error)
    return "No space left on device" if "No space left" in text else text.splitlines()[0][:300]


def _lock(folder: Path) -> IO[bytes]:
    """Lock the folder as long as the returned file is open; the system releases it when the process dies."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("wb")
    except OSError as error:
        raise CorpusError(
            f"cannot write here: {error.strerror}", where=str(folder), remedy="choose another folder for the corpus"
        ) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise CorpusError(
            "another process is writing to this corpus", where=str(folder), remedy="wait for it, or stop it"
        ) from error
    return file


def _open_or_create(path: Path, wanted: CorpusInfo) -> CorpusInfo:
    if not (path / "corpus.json").exists():
        strangers = [p.name for p in path.iterdir() if not p.name.startswith(".")]
        if strangers:
            raise CorpusError(
                f"the folder holds other files, such as {min(strangers)!r}",
                where=str(path),
                remedy="give a new or empty folder for the corpus",
            )
        wanted.write(path)
        return wanted
    info = CorpusInfo.read(path)
    if not info.complete and not _index.parts(path):
        wanted.write(path)  # nothing was stored under the settings that are there
        return wanted
    for name in ("chip_px", "sensors", "labels", "units"):
        if getattr(info, name) != getattr(wanted, name):
            was, now = (settings.model_dump(mode="json")[name] for settings in (info, wanted))
            said = "; ".join(differences(was, now, name))
            raise CorpusError(
                f"the corpus that is there was made otherwise: {said}",
                where=str(path),
                remedy="continue with the same settings, or give another folder",
            )
    new = tuple(entry for entry in wanted.provenance if entry not in info.provenance)
    licences = tuple(dict.fromkeys((*info.licences, *wanted.licences)))
    return info.model_copy(update={"provenance": (*info.provenance, *new), "licences": licences})


def _joined_groups(locations: pd.DataFrame, shared: Sequence[str]) -> list[str]:
    """Group of each location: the first of those linked by a name in common."""
    names = [[("group", group)] for group in locations["group"]]
    for column in shared:
        for own, text in zip(names, locations[column], strict=True):
            own += [(column, name.strip()) for name in text.split(";")] if isinstance(text, str) else []
    numbers = linked(names)
    first = dict(reversed(list(zip(numbers.tolist(), locations["group"], strict=True))))
    return [first[number] for number in numbers.tolist()]


def _kinds(locations: pd.DataFrame) -> dict[str, str]:
    """Type of each stored scalar label, as far as it is known."""
    kinds: dict[str, str] = {}
    for name in locations.columns.difference([*_index.LOCATION_COLUMNS, "geometry"]):
        first = locations[name].dropna().head(1).tolist()
        if first and isinstance(first[0], str | int | float):
            kinds[str(name)] = next(kind for types, kind in KINDS.items() if isinstance(first[0], types))
    return kinds


def _fill(layer: LabelLayer) -> int:
    """Code of locations for which a part has no labels."""
    return 0 if layer.void is None else layer.void


def _stacked(chips: list[Chip], layout: SensorLayout) -> tuple[np.ndarray, np.ndarray]:
    """Counts and validity of chips of one sensor: (n, c, y, x) and (n, y, x)."""
    counts = np.stack([chip.pixels for chip in chips])
    good = layout.usable(counts)
    for ok, chip in zip(good, chips, strict=True):
        if chip.valid is not None:
            ok &= chip.valid
    return counts, good


def _chip_record(chip: Chip, location: int, row: int, good: np.ndarray) -> dict[str, Any]:
    when = chip.datetime
    if when is not None:
        when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    return {
        "uid": chip.uid,
        "location": location,
        "sensor": chip.sensor,
        "row": row,
        "datetime": when,
        "tag": chip.tag,
        "cloud": chip.cloud,
        "valid": float(good.mean()),
        "source": chip.source,
        "orbit": chip.orbit,
        "digest": pixel_digest(chip.pixels, good),
    }
