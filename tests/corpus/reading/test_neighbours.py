"""Neighbours against distances that pyproj measures, one pair at a time."""

import numpy as np
import pytest
from pyproj import Geod

from swath.corpus import Loader
from swath.corpus.reading.neighbours import Neighbours
from swath.errors import CorpusError
from tests.corpus.fakes import LAYOUTS, OPTICAL, location, make

GEOD = Geod(ellps="WGS84")


def lists_of(found, rows):
    return {int(i): found.row[found.start[i] : found.start[i] + found.count[i]].tolist() for i in rows}


@pytest.mark.parametrize("latitude", [0.0, 47.0, -83.0])
def test_neighbours_are_those_within_the_distance_on_the_ellipsoid(latitude):
    rng = np.random.default_rng(1)
    lonlat = np.stack([180 + rng.normal(0, 0.05, 60), latitude + rng.normal(0, 0.03, 60)], axis=1)
    lonlat[:, 0] = (lonlat[:, 0] + 180) % 360 - 180  # on both sides of the date line
    lonlat[7] = np.nan
    rows = np.arange(0, 60, 2)
    found = Neighbours.within(3000.0, lonlat, np.concatenate([rows, [7]]), "corpus")
    for i, near in lists_of(found, rows).items():
        expected = [j for j in rows if j != i and GEOD.inv(*lonlat[i], *lonlat[j])[2] <= 3000]
        assert near == expected
    assert sum(found.count) > 20
    assert found.count[7] == 0


def test_each_neighbour_is_as_likely_and_the_seed_decides():
    lonlat = np.stack([np.arange(5) * 0.001, np.zeros(5)], axis=1)
    found = Neighbours.within(250.0, lonlat, np.arange(5), "corpus")
    draws = np.stack([found.choose(np.arange(5), seed) for seed in range(2000)])
    for i in range(5):
        near = [j for j in range(5) if j != i and abs(i - j) <= 2]
        shares = [np.mean(draws[:, i] == j) for j in near]
        assert sum(shares) == 1
        assert np.allclose(shares, 1 / len(near), atol=0.05)
    assert (found.choose(np.array([3, 1]), 5) == draws[5, [3, 1]]).all(), "whatever else is in the batch"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Locations side by side, 160 m apart, of twelve."""
    return make(tmp_path_factory.mktemp("near") / "corpus", count=12, dates=2)


def test_a_step_holds_each_location_and_another_one_near_it(corpus):
    part = np.array([0, 1, 2, 5, 6, 9])
    loader = Loader(corpus, {OPTICAL: ("B02",)}, part, 2, seed=4, neighbours_m=170.0)
    assert loader.locations.tolist() == [0, 1, 2, 5, 6]
    assert loader.lonely == 1
    chosen = {}
    for epoch in range(6):
        for batch in loader.epoch(epoch):
            pixels = batch.images[OPTICAL].pixels
            assert pixels.shape[:2] == (2, 2)
            for uid, (own, other) in zip(batch.uid, pixels[:, :, 0, -1, -1].numpy(), strict=True):
                assert shown_by(own) == int(uid[1:])
                chosen.setdefault(int(uid[1:]), set()).add(shown_by(other))
    assert chosen == {0: {1}, 1: {0, 2}, 2: {1}, 5: {6}, 6: {5}}, "inside the part alone"


def shown_by(reflectance):
    """The location whose chips, of either date, hold this value in their last pixel."""
    found = [
        number
        for number in range(12)
        for chip in location(number, 2)[1]
        if chip.sensor == OPTICAL
        and abs(LAYOUTS[OPTICAL].scale[0] * chip.pixels[0, -1, -1] + LAYOUTS[OPTICAL].offset[0] - reflectance) < 1e-6
    ]
    assert len(found) == 1
    return found[0]


def test_a_step_is_a_function_of_seed_epoch_and_step(corpus):
    make_one = lambda **more: Loader(corpus, {OPTICAL: ("B02",)}, range(12), 2, seed=3, neighbours_m=400.0, **more)  # noqa: E731
    whole = [batch.images[OPTICAL].pixels for batch in make_one().epoch(1)]
    resumed = [batch.images[OPTICAL].pixels for batch in make_one().epoch(1, start_step=4)]
    assert all((one == other).all() for one, other in zip(whole[4:], resumed, strict=True))
    wide = [
        batch.images[OPTICAL].pixels
        for batch in Loader(
            corpus, {OPTICAL: ("B02",)}, range(12), 1, seed=3, rank=1, world=2, neighbours_m=400.0
        ).epoch(1)
    ]
    assert all((one[1:] == other).all() for one, other in zip(whole, wide, strict=True))


def test_what_has_no_neighbours_is_refused_with_the_reason(corpus):
    with pytest.raises(CorpusError, match="12 more have no neighbour within the distance"):
        Loader(corpus, {OPTICAL: ("B02",)}, range(12), 2, neighbours_m=100.0)
    with pytest.raises(CorpusError, match="not known where any location lies") as error:
        Neighbours.within(100.0, np.full((4, 2), np.nan), np.arange(4), "corpus")
    assert "two-crops" in error.value.remedy
