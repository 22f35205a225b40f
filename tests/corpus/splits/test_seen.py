"""Locations are met again in the same corpus by their id, in another one by the ground."""

import numpy as np
import pandas as pd
import pytest
import shapely
from affine import Affine

from swath.corpus import Chip, Corpus, CorpusWriter, Location, Part
from swath.corpus.splits.seen import met, places
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


@pytest.mark.parametrize(
    ("north_m", "again"),
    [(0, list("vwxyz")), (79, list("vwxyz")), (157, list("vwxyz")), (159, []), (841, []), (843, list("wxyz"))],
)
def test_in_another_corpus_the_ground_tells_whatever_the_ids(first, tmp_path, north_m, again):
    grown = corpus(tmp_path / "other", [*"vwxyz", "new"][: 5 + (north_m == 0)], -north_m)
    found = met(places(first, np.arange(5)), grown, np.arange(len(grown)))
    assert (found.again, found.perhaps) == (again, [])


def square(path, west: float, north: float, crs="EPSG:32632", degrees: float = 0.0) -> Corpus:
    """One chip of 160 m that says its reference system, turned about its upper left corner."""
    with CorpusWriter(path, {OPTICAL: LAYOUTS[OPTICAL]}, PX) as writer:
        turned = Affine.translation(west, north) * Affine.rotation(degrees) * Affine.scale(10, -10)
        location = Location("one", crs=crs, transform=tuple(turned)[:6])
        pixels = np.random.default_rng(0).integers(1, 99, (4, PX, PX)).astype(np.uint16)
        writer.append(Part([location], [Chip("one", OPTICAL, pixels)]))
        return writer.finish()


@pytest.mark.parametrize(
    ("east_m", "north_m", "degrees", "again"),
    [
        (157, 0, 0, True),  # a strip of 3 m of 160
        (160, 0, 0, False),  # side by side
        (150, -150, 0, False),  # a corner of 10 by 10 m, 0.4 %
        (140, -140, 0, True),  # one of 20 by 20 m, 1.6 %
        (0, 0, 90, False),  # turned to the other side of its corner
        (-100, 0, 45, True),
    ],
)
def test_footprints_tell_how_much_ground_is_shared(tmp_path, east_m, north_m, degrees, again):
    seen = square(tmp_path / "seen", 900_000, 5_300_000)  # far from the zone's middle: north is turned by 4 degrees
    other = square(tmp_path / "other", 900_000 + east_m, 5_300_000 + north_m, degrees=degrees)
    one, two = (
        shapely.Polygon([t @ at for at in ((0, 0), (PX, 0), (PX, PX), (0, PX))]) for t in transforms(seen, other)
    )
    assert (one.intersection(two).area > 0.01 * one.area) == again
    assert met(places(seen, np.arange(1)), other, np.arange(1)).again == (["one"] if again else [])


def transforms(*corpora: Corpus) -> list[Affine]:
    return [Affine(*corpus.locations["transform"][0]) for corpus in corpora]


def test_across_the_antimeridian(tmp_path):
    at = [(179.9995, -17.0), (-179.9995, -17.0)]  # 106 m apart
    corpora = []
    for i, one in enumerate(at):
        with CorpusWriter(tmp_path / str(i), {OPTICAL: LAYOUTS[OPTICAL]}, PX) as writer:
            pixels = np.full((4, PX, PX), i + 1, np.uint16)
            writer.append(Part([Location(f"{i}", lonlat=one)], [Chip(f"{i}", OPTICAL, pixels)]))
            corpora.append(writer.finish())
    assert met(places(corpora[0], np.arange(1)), corpora[1], np.arange(1)).again == ["1"]


def test_lists_of_an_earlier_swath_hold_squares_and_say_so(first, tmp_path):
    near = corpus(tmp_path / "near", list("vwxyz"), north_m=120)
    old = places(first, np.arange(5)).drop(columns="footprint")
    found = met(old, near, np.arange(5))
    assert (found.again, found.roughly) == (list("vwxyz"), True)
    assert not met(places(first, np.arange(5)), near, np.arange(5)).roughly
    assert not met(old, first, np.arange(5)).roughly


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


def test_a_point_without_pixels_is_known_again_where_another_corpus_has_it(tmp_path):
    def points(name, *lonlats) -> Corpus:
        with CorpusWriter(tmp_path / name, {}, 1) as writer:
            writer.append(Part([Location(f"{name}-{i}", lonlat) for i, lonlat in enumerate(lonlats)], []))
            return writer.finish()

    seen = places(points("a", (13.4, 52.5), (-70.6, -33.4)), np.arange(2))
    assert set(seen["chip_m"]) == {10.0}
    overlap = met(seen, points("b", (13.4, 52.5), (13.41, 52.5), (0.0, 0.0)), np.arange(3))
    assert overlap.again == ["b-0"]
