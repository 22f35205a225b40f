"""The index agrees with itself and with corpus.json, and every array that it names is there."""

from collections.abc import Iterator
from pathlib import Path

from tensorstore import TensorStore

from swath._progress import track
from swath.corpus import _arrays
from swath.corpus.checks._sample import Sample
from swath.corpus.checks._types import Finding, Section
from swath.corpus.format import Corpus, label_path, pixel_path, valid_path
from swath.errors import CorpusError

STAGE = 0


def look(sample: Sample) -> Section:
    """Ids, references, arrays and their files."""
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
    for sensor in sorted(set(chips["sensor"]) - set(corpus.info.sensors)):
        remedy = "restore corpus.json, or build the corpus again"
        yield Finding("error", f"chips of {sensor}, which corpus.json does not declare", str(corpus.path), remedy)
    if childless := len(corpus) - len(set(chips["location"])):
        remedy = "nothing has to be done: such locations are never read"
        yield Finding("warning", f"{childless} locations have no chip", str(corpus.path), remedy)


def _stored(corpus: Corpus) -> Iterator[Finding]:
    for path, name, count in _wanted(corpus):
        remedy = "restore the folder, or build the corpus again"
        if not _arrays.exists(path, name):
            yield Finding("error", f"the array of {name} is missing", str(path), remedy)
            continue
        array = _arrays.open_array(path, name)
        if (there := array.shape[0]) < count:
            yield Finding("error", f"the index names {count} rows of {name}, {there} are there", str(path), remedy)
        yield from _files(array, name, min(count, there), path)


def _files(array: TensorStore, name: str, count: int, path: Path) -> Iterator[Finding]:
    """One row of every file is read: a truncated file has lost the list of its rows, which stands at its end.

    A file that is not there reads as zeros: labels of one class may be that, pixels hardly.
    """
    size = _arrays.rows_per_file(array)
    starts = range(0, count, size)
    for row in track(starts, len(starts), f"looking at the files of {path.stem}"):
        try:
            _arrays.read(array[row : row + 1])
        except CorpusError as error:
            yield Finding("error", error.what, error.where or str(path), error.remedy or "")
        file = _arrays.file_of(array, row // size)
        if name == "pixels" and not file.exists():
            rows = min(size, count - row)
            remedy = "restore the file, or build the corpus again; nothing has to be done if all of them are 0 indeed"
            yield Finding("warning", f"a file is not there, so that {rows} chips read as 0", str(file), remedy)


def _wanted(corpus: Corpus) -> Iterator[tuple[Path, str, int]]:
    """Group, array and number of rows of all that the index needs."""
    for sensor in corpus.info.sensors:
        chips = corpus.chips_of(sensor)
        if len(chips):
            rows = 1 + int(chips["row"].to_numpy().max())
            yield pixel_path(corpus.path, sensor), "pixels", rows
            if (chips["valid"].to_numpy() < 1).any():
                yield valid_path(corpus.path, sensor), "valid", rows
    for name in corpus.label_layers:
        yield label_path(corpus.path, name), "labels", len(corpus)
