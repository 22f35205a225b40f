"""Whether what is stored is what was written: chips and label maps against their digests in the index, and the whole
corpus against its content hash.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations

import numpy as np
from jaxtyping import Bool, Int, Integer
from numpy import ndarray

from swath._progress import track
from swath.corpus.checks._sample import BLOCK, Sample
from swath.corpus.checks._types import Finding, Section
from swath.corpus.store import Corpus, label_path
from swath.corpus.store import arrays as _arrays
from swath.corpus.store import index as _index
from swath.corpus.store.digests import label_digest, pixel_digest
from swath.errors import CorpusError

STAGE = 1
NAMED = 3
"""Largest number of locations that a finding names."""
REMEDY = "restore the files, or build the corpus again"


def inspect(sample: Sample) -> Section:
    """Compare chips and label maps of the sample with their digests, and the content hash if it is the whole corpus."""
    meaning = "Pixels, masks, labels and index are those that were written when the corpus was made."
    findings = [*_chips(sample), *_labels(sample), *_content(sample)]
    return Section("Stored content", meaning if sample.complete else f"{meaning} Of some locations.", findings)


def _chips(sample: Sample) -> Iterator[Finding]:
    for sensor in sample.corpus.info.sensors:
        chips = sample.chips(sensor)
        rows, digests = chips["row"].to_numpy(), chips["digest"].to_numpy()

        def same(some: Int[ndarray, " n"], sensor: str = sensor, rows=rows, digests=digests) -> Bool[ndarray, " n"]:
            stored = zip(*sample.stored(sensor, rows[some]), digests[some], strict=True)
            return np.array([pixel_digest(counts, good) == digest for counts, good, digest in stored], bool)

        broken, changed = _compared(len(chips), same, f"comparing {sensor}")
        yield from broken
        if len(changed):
            first = rows[changed[0]]
            array = sample.corpus.pixel_array(sensor)
            what = f"{len(changed)} chips of {sensor} hold other pixels than the index says"
            names = _named(chips["uid"].to_numpy()[changed])
            file = _arrays.file_of(array, int(first) // _arrays.rows_per_file(array))
            yield Finding("error", f"{what}: {names}; first: row {first}", str(file), REMEDY)


def _labels(sample: Sample) -> Iterator[Finding]:
    corpus, layers = sample.corpus, sorted(sample.corpus.label_layers)
    if not layers:
        return
    digests = corpus.locations["digest"].to_numpy()

    def same(some: Int[ndarray, " n"]) -> Bool[ndarray, " n"]:
        rows = sample.locations[some]
        maps = [corpus.stored_labels(layer, rows) for layer in layers]
        digests_of_maps = zip(zip(*maps, strict=True), digests[rows], strict=True)
        return np.array([digest in _possible(corpus, layers, codes) for codes, digest in digests_of_maps], bool)

    broken, changed = _compared(len(sample.locations), same, "comparing labels")
    yield from broken
    if len(changed):
        what = f"the labels of {len(changed)} locations are others than the index says"
        names = _named(corpus.locations["uid"].to_numpy()[sample.locations[changed]])
        where = ", ".join(str(label_path(corpus.path, layer)) for layer in layers)
        yield Finding("error", f"{what}: {names}", where, REMEDY)


def _possible(corpus: Corpus, layers: Sequence[str], codes: Sequence[Integer[ndarray, "y x"]]) -> set[str]:
    """Digests that these maps may have: an earlier swath left out layers for which a source gave no map."""
    maps = dict(zip(layers, codes, strict=True))
    void = [name for name, one in maps.items() if (one == corpus.label_layers[name].void).all()]
    left_out = (set(names) for count in range(len(void) + 1) for names in combinations(void, count))
    return {label_digest({name: one for name, one in maps.items() if name not in out}) for out in left_out}


def _compared(
    count: int, same: Callable[[Int[ndarray, " n"]], Bool[ndarray, " n"]], title: str
) -> tuple[list[Finding], Int[ndarray, " m"]]:
    """A finding for each of `count` items that cannot be read, and the positions of those that are not the same."""
    broken: list[Finding] = []
    changed: list[int] = []

    def compare(some: Int[ndarray, " n"]) -> None:
        try:
            changed.extend(some[~same(some)].tolist())
        except CorpusError as error:
            if len(some) > 1:
                for one in some:
                    compare(np.array([one]))
            else:
                broken.append(Finding("error", error.what, error.where or "", error.remedy or REMEDY))

    for start in track(range(0, count, BLOCK), None, title):
        compare(np.arange(start, min(start + BLOCK, count)))
    return broken, np.array(changed, int)


def _content(sample: Sample) -> Iterator[Finding]:
    """Compare the content hash, which covers the whole index and, through its digests, every pixel."""
    corpus = sample.corpus
    if not sample.complete or corpus.info.content_hash is None:
        return
    computed = _index.content_hash(corpus.info_header(), corpus.locations, corpus.chips)
    if computed != corpus.info.content_hash:
        what = f"the content hash is {computed[:16]}…, corpus.json says {corpus.info.content_hash[:16]}…"
        remedy = "restore corpus.json and the index from the same build, or build the corpus again"
        yield Finding("error", what, str(corpus.path), remedy)


def _named(uids: ndarray) -> str:
    names = list(dict.fromkeys(uids.tolist()))
    return ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")
