"""The index agrees with itself and with corpus.json, and every array that it names is there."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from tensorstore import TensorStore

from swath._files import file_name
from swath._progress import track
from swath.corpus.checks._sample import Sample
from swath.corpus.checks._types import Finding, Section
from swath.corpus.checks.copies import first_series
from swath.corpus.store import Corpus, label_path, pixel_path, valid_path
from swath.corpus.store import arrays as _arrays
from swath.errors import CorpusError

STAGE = 0


def inspect(sample: Sample) -> Section:
    """Check ids, the references from chips to locations and to rows of arrays, and that the arrays' files exist."""
    corpus = sample.corpus
    meaning = "Every location has one id, every chip a location, and every array a row for everything that is named."
    return Section("Index and arrays", meaning, [*_index(corpus), *_stored(corpus)])


def _index(corpus: Corpus) -> Iterator[Finding]:
    locations, chips = corpus.locations, corpus.chips
    if not corpus.info.complete:
        remedy = "give the command that built it again: it continues"
        yield Finding("warning", "the corpus is not finished", str(corpus.path), remedy)
    for uid in sorted(set(locations["uid"].to_numpy()[locations["uid"].duplicated()])):
        yield Finding("error", f"two locations have the id {uid!r}", str(corpus.path), "build the corpus again")
    strangers = ~chips["location"].between(0, len(locations) - 1)
    if strangers.any():
        remedy = "restore locations.parquet and chips.parquet from the same build"
        yield Finding("error", f"{strangers.sum()} chips belong to no location", str(corpus.path), remedy)
    else:
        yield from _misfits(corpus)
    for sensor in sorted(set(chips["sensor"]) - set(corpus.info.sensors)):
        remedy = "restore corpus.json, or build the corpus again"
        yield Finding("error", f"chips of {sensor}, which corpus.json does not declare", str(corpus.path), remedy)
    if childless := len(corpus) - len(set(chips["location"])):
        remedy = "nothing has to be done: such locations are never read"
        yield Finding("warning", f"{childless} locations have no chip", str(corpus.path), remedy)


def _misfits(corpus: Corpus) -> Iterator[Finding]:
    """Chips whose id is not that of the location they point to, and rows of an array that are named twice or never."""
    chips, where = corpus.chips, str(corpus.path / "chips.parquet")
    remedy = "restore locations.parquet and chips.parquet from the same build"
    own = corpus.locations["uid"].to_numpy()[chips["location"].to_numpy()]
    if (other := chips["uid"].to_numpy() != own).any():
        what = f"{other.sum()} chips have the id of another location than the one they point to"
        yield Finding("error", f"{what}: {first_series(pd.DataFrame(chips[other]))}", where, remedy)
    for sensor, rows in chips.groupby("sensor")["row"]:
        if not np.array_equal(np.sort(rows.to_numpy()), np.arange(len(rows))):
            yield Finding("error", f"the rows of {sensor} are not 0 to {len(rows) - 1}, each once", where, remedy)


def _stored(corpus: Corpus) -> Iterator[Finding]:
    for path, name, count, opened in _wanted(corpus):
        try:
            array = opened()
        except CorpusError as error:
            yield Finding("error", error.what, error.where or str(path), error.remedy or "")
            continue
        if array is None:
            remedy = "restore the folder, or build the corpus again"
            yield Finding("error", f"the array of {name} is missing", str(path), remedy)
            continue
        yield from _described(corpus, path, name)
        if (there := array.shape[0]) < count:
            remedy = "restore the folder, or build the corpus again"
            yield Finding("error", f"the index names {count} rows of {name}, {there} are there", str(path), remedy)
        yield from _files(array, name, min(count, there), path)


def _described(corpus: Corpus, path: Path, name: str) -> Iterator[Finding]:
    """Compare what an array's own description says of bands, scales and classes with corpus.json."""
    attributes = json.loads((path / name / "zarr.json").read_bytes()).get("attributes", {})
    declared = {"pixels": corpus.info.sensors, "labels": corpus.info.labels}.get(name, {})
    said = next((one for key, one in declared.items() if file_name(key) == path.stem), None)
    for key, value in ({} if said is None else said.model_dump(mode="json")).items():
        if key in attributes and attributes[key] != value:
            what = f"corpus.json says {key} {value}, the array {attributes[key]}"
            remedy = "restore the one that was changed; where a value was wrong, build the corpus again"
            yield Finding("error", what, str(path / name / "zarr.json"), remedy)


def _files(array: TensorStore, name: str, count: int, path: Path) -> Iterator[Finding]:
    """Read one row of every file: a truncated file has lost the list of its rows, which stands at its end.

    In an old array, without checksums, a file that is not there reads as zeros: labels of one class may be that, pixels
    hardly.
    """
    size = _arrays.rows_per_file(array)
    starts = range(0, count, size)
    for row in track(starts, len(starts), f"looking at the files of {path.stem}"):
        try:
            _arrays.read(array, np.array([row]))
        except CorpusError as error:
            yield Finding("error", error.what, error.where or str(path), error.remedy or "")
        file = _arrays.file_of(array, row // size)
        if name == "pixels" and not file.exists() and not _arrays.has_checksums(array):
            rows = min(size, count - row)
            remedy = "restore the file, or build the corpus again; nothing has to be done if all of them are 0 indeed"
            yield Finding("warning", f"a file is not there, so that {rows} chips read as 0", str(file), remedy)


def _wanted(corpus: Corpus) -> Iterator[tuple[Path, str, int, Callable[[], TensorStore | None]]]:
    """Group, array name and number of rows of every array that the index needs, and a function that opens it."""
    for sensor in corpus.info.sensors:
        chips = corpus.chips_of(sensor)
        if len(chips):
            rows = 1 + int(chips["row"].to_numpy().max())
            yield pixel_path(corpus.path, sensor), "pixels", rows, partial(corpus.pixel_array, sensor)
            if (chips["valid"].to_numpy() < 1).any():
                yield valid_path(corpus.path, sensor), "valid", rows, partial(corpus.valid_array, sensor)
    for name in corpus.label_layers:
        yield label_path(corpus.path, name), "labels", len(corpus), partial(corpus.label_array, name)
