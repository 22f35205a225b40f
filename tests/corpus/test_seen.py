"""Locations are met again in the same corpus by their id, in another one by the ground."""

import numpy as np
import pandas as pd
import pytest

from swath.corpus import Chip, Corpus, CorpusWriter, Location, Part
from swath.corpus.seen import met, places
from tests.corpus.fakes import LAYOUTS, OPTICAL, PX

METRES = 111_195.0
"""Of a degree of latitude on the sphere."""


def corpus(path, uids, north_m=0.0, placed=True) -> Corpus:
    """Chips of 160 m, a kilometre apart from south to north."""
    rng = np.random.default_rng(len(uids))
    with CorpusWriter(path, {OPTICAL: LAYOUTS[OPTICAL]}, PX) as writer:
        at = [(10.0, 50 + (1000 * i + north_m) / METRES) for i in range(len(uids))]
        locations = [Location(uid, lonlat=one if placed else None) for uid, one in zip(uids, at, strict=True)]
        chips = [Chip(uid, OPTICAL, rng.integers(1, 99, (4, PX, PX)).astype(np.uint16)) for uid in uids]
        writer.append(Part(locations, chips))
        return writer.finish()


@pytest.fixture
def first(tmp_path) -> Corpus:
    return corpus(tmp_path / "first", list("abcde"))


def test_in_one_corpus_the_id_tells(first):
    seen = places(first, np.array([0, 2]))
    assert list(seen["uid"]) == ["a", "c"]
    assert set(seen["corpus"]) == {first.content_hash}
    assert set(seen["chip_m"]) == {PX * 10.0}
    found = met(seen, first, np.array([1, 2, 3]))
    assert (found.again, found.perhaps) == (["c"], [])


@pytest.mark.parametrize(("north_m", "again"), [(0, list("vwxyz")), (79, list("vwxyz")), (81, []), (921, list("wxyz"))])
def test_in_another_corpus_the_ground_tells_whatever_the_ids(first, tmp_path, north_m, again):
    grown = corpus(tmp_path / "other", [*"vwxyz", "new"][: 5 + (north_m == 0)], -north_m)
    found = met(places(first, np.arange(5)), grown, np.arange(len(grown)))
    assert (found.again, found.perhaps) == (again, [])


def test_the_same_id_elsewhere_is_another_place(first, tmp_path):
    far = corpus(tmp_path / "far", list("abcdef"), north_m=300_000)
    found = met(places(first, np.arange(5)), far, np.arange(6))
    assert (found.again, found.perhaps) == ([], [])


@pytest.mark.parametrize("placed", [(True, False), (False, True), (False, False)])
def test_where_the_ground_is_unknown_the_same_id_may_be_the_same_place(tmp_path, placed):
    one, two = (corpus(tmp_path / str(i), [*"abc", *"x" * i], 0, here) for i, here in enumerate(placed))
    found = met(places(one, np.arange(2)), two, np.arange(4))
    assert (found.again, found.perhaps) == ([], ["a", "b"])


def test_several_corpora_that_an_encoder_saw_are_looked_at_one_by_one(first, tmp_path):
    far = corpus(tmp_path / "far", list("abcdef"), north_m=300_000)
    seen = pd.concat([places(far, np.arange(6)), places(first, np.array([4]))])
    assert met(seen, first, np.arange(5)).again == ["e"]
