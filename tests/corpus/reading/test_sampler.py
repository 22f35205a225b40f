import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swath.corpus import Chip, Corpus, CorpusWriter, Location, Part, Sampler, Selection
from swath.corpus.reading.sampler import days, epoch_order, mix, uniform
from swath.errors import CorpusError
from tests.corpus.fakes import LAYOUTS, OPTICAL, PX, RADAR, make

BOTH = (OPTICAL, RADAR)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make(tmp_path_factory.mktemp("sampler") / "corpus", dates=4)


def custom(path, chips: list[tuple[str, str, dt.datetime | None, str | None, float]]):
    """A corpus of (uid, sensor, time, tag, valid share) chips."""
    uids = dict.fromkeys(uid for uid, *_ in chips)
    made = []
    for i, (uid, sensor, when, tag, share) in enumerate(chips):
        layout = LAYOUTS[sensor]
        mask = np.arange(PX * PX).reshape(PX, PX) < share * PX * PX
        pixels = np.full((len(layout.bands), PX, PX), i + 1, layout.dtype)
        made.append(Chip(uid, sensor, pixels, valid=mask, datetime=when, tag=tag))
    with CorpusWriter(path, LAYOUTS, PX) as writer:
        writer.append(Part([Location(uid) for uid in uids], made))
        return writer.finish()


def day(number: int) -> dt.datetime:
    return dt.datetime(2021, 1, 1, tzinfo=dt.UTC) + dt.timedelta(days=number)


def test_a_choice_depends_on_seed_and_location_alone(corpus):
    sampler = Sampler(corpus, BOTH, Selection(dates=2, seed=5))
    together = sampler.choose(np.arange(12))
    shuffled = np.random.default_rng(0).permutation(12)
    apart = sampler.choose(shuffled)
    for sensor in BOTH:
        assert np.array_equal(together[sensor][shuffled], apart[sensor])
        alone = np.concatenate([sampler.choose(np.array([i]))[sensor] for i in range(12)])
        assert np.array_equal(alone, together[sensor])
    other = Sampler(corpus, BOTH, Selection(dates=2, seed=6)).choose(np.arange(12))
    assert any((other[sensor] != together[sensor]).any() for sensor in BOTH)
    assert all(np.array_equal(sampler.choose(np.arange(12), seed=6)[s], other[s]) for s in BOTH)


@pytest.mark.parametrize("dates", [1, 2, 3, 4])
def test_dates_are_different_and_chips_are_of_the_location_and_sensor(corpus, dates):
    chosen = Sampler(corpus, BOTH, Selection(dates=dates)).choose(np.arange(12))
    for sensor in BOTH:
        chips = corpus.chips.iloc[chosen[sensor].reshape(-1)]
        assert (chips["sensor"] == sensor).all()
        assert chips["location"].tolist() == np.repeat(np.arange(12), dates).tolist()
        assert all(len(set(row)) == dates for row in chosen[sensor])


def test_followers_are_nearest_in_time(corpus):
    chosen = Sampler(corpus, BOTH, Selection(dates=2, seed=1)).choose(np.arange(12))
    when = days(corpus.chips)
    for number in range(12):
        candidates = corpus.chips.index[(corpus.chips["location"] == number) & (corpus.chips["sensor"] == RADAR)]
        for lead, follow in zip(chosen[OPTICAL][number], chosen[RADAR][number], strict=True):
            best = min(candidates, key=lambda position: abs(when[position] - when[lead]))
            assert follow == best


def test_every_date_is_chosen_equally_often(corpus):
    sampler = Sampler(corpus, (OPTICAL,), Selection())
    picks = np.concatenate([sampler.choose(np.array([4]), seed=seed)[OPTICAL][0] for seed in range(4000)])
    counts = np.unique(picks, return_counts=True)[1]
    assert len(counts) == 4
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(750)


def test_fewer_dates_are_repeated(tmp_path):
    chips = [(uid, OPTICAL, day(number), None, 1) for uid, number in (("a", 0), ("b", 0), ("b", 9))]
    corpus = custom(tmp_path / "c", chips)
    chosen = Sampler(corpus, (OPTICAL,), Selection(dates=3)).choose(np.array([0, 1]))[OPTICAL]
    assert chosen[0].tolist() == [0, 0, 0]
    assert set(chosen[1]) == {1, 2}


def test_all_is_the_series_in_order_of_time_padded_at_the_end(tmp_path):
    chips = [("a", OPTICAL, day(5), None, 1), ("a", OPTICAL, day(1), None, 1), ("a", OPTICAL, None, None, 1)]
    corpus = custom(tmp_path / "c", [*chips, ("b", OPTICAL, day(3), None, 1), ("c", RADAR, day(3), None, 1)])
    chosen = Sampler(corpus, BOTH, Selection(dates="all")).choose(np.array([2, 0, 1]))
    assert chosen[OPTICAL].tolist() == [[-1, -1, -1], [1, 0, 2], [3, -1, -1]]
    assert chosen[RADAR].tolist() == [[4], [-1], [-1]]


def test_without_times_the_tag_decides_and_then_chance(tmp_path):
    tagged = [(f"l{i}", sensor, None, tag, 1) for i in range(40) for sensor in BOTH for tag in ("before", "after")]
    corpus = custom(tmp_path / "tagged", tagged)
    chosen = Sampler(corpus, BOTH, Selection()).choose(np.arange(40))
    tags = {sensor: corpus.chips["tag"].to_numpy()[chosen[sensor][:, 0]] for sensor in BOTH}
    assert (tags[OPTICAL] == tags[RADAR]).all()
    assert len(set(tags[OPTICAL])) == 2
    odd = [("a", OPTICAL, None, "x", 1), *(("a", RADAR, None, tag, 1) for tag in "pqrs")]
    corpus = custom(tmp_path / "odd", odd)
    sampler = Sampler(corpus, BOTH, Selection())
    assert {int(sampler.choose(np.array([0]), seed=s)[RADAR][0, 0]) for s in range(60)} == {1, 2, 3, 4}


def test_tag_and_valid_share_restrict_the_choice(tmp_path):
    chips = [
        ("a", OPTICAL, day(0), "before", 1),
        ("a", OPTICAL, day(1), "after", 0.5),
        ("b", OPTICAL, day(0), "before", 0),
        ("b", OPTICAL, day(1), "after", 1),
        ("c", RADAR, day(1), "after", 1),
    ]
    corpus = custom(tmp_path / "c", chips)
    everyone = np.arange(3)

    def eligible(**settings):
        return Sampler(corpus, (OPTICAL,), Selection(**settings)).complete(everyone).tolist()

    assert eligible() == [0, 1]
    assert eligible(tag="before") == [0]  # the other one has no usable pixel
    assert eligible(tag="after", min_valid=0.6) == [1]
    assert Sampler(corpus, BOTH, Selection()).complete(everyone).tolist() == []
    missing = Sampler(corpus, BOTH, Selection()).choose(everyone)
    assert missing[RADAR].tolist() == [[-1], [-1], [4]]
    assert missing[OPTICAL][2].tolist() == [-1]
    only = Sampler(corpus, (RADAR, OPTICAL), Selection(tag="before")).choose(everyone)
    assert only[RADAR].tolist() == [[-1]] * 3


def test_no_dates_are_refused(corpus):
    with pytest.raises(CorpusError, match="0 dates"):
        Sampler(corpus, BOTH, Selection(dates=0))


@given(st.integers(0, 2**64 - 1), st.integers(0, 10**9))
def test_uniform_numbers_are_pure_and_in_range(seed, first):
    numbers = uniform(seed, np.array([[first]]), np.arange(50))
    assert ((numbers >= 0) & (numbers < 1)).all()
    assert np.array_equal(numbers, uniform(seed, np.array([[first]]), np.arange(50)))
    assert len(np.unique(numbers)) == 50


def test_splitmix_is_the_published_generator():
    """First outputs for seed 1234567, as in the reference implementation's test (Vigna, splitmix64.c)."""
    state, found = 1234567, []
    for _ in range(3):
        found.append(mix(state))
        state += 0x9E3779B97F4A7C15
    assert found == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_mixing_separates_seeds():
    assert len({mix(seed, epoch) for seed in range(50) for epoch in range(50)}) == 2500
    assert mix(1, 2) != mix(2, 1)


def test_an_epoch_is_a_permutation_and_another_epoch_another():
    rows = np.arange(100, 200)
    first, again, second = (epoch_order(rows, 3, epoch) for epoch in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, second)
    assert np.array_equal(np.sort(first), rows)


def test_gaps_are_read_only_if_asked_for_and_never_make_a_series_of_their_own(tmp_path):
    corpus = make(tmp_path / "corpus", count=3, dates=4)
    chips = corpus.chips.copy()
    optical = np.flatnonzero(chips["sensor"] == OPTICAL)
    chips.loc[optical[1], "valid"] = 0.0
    lost = chips["location"].to_numpy()[optical] == 2
    chips.loc[optical[lost], "valid"] = 0.0
    here = chips["location"].to_numpy()[optical[1]]
    corpus = Corpus(corpus.path, corpus.info, corpus.locations, chips)
    for gaps, dates in ((False, 3), (True, 4)):
        sampler = Sampler(corpus, (OPTICAL,), Selection(dates="all", gaps=gaps))
        assert sampler.complete(np.arange(3)).tolist() == [0, 1]
        chosen = sampler.choose(np.array([here]))[OPTICAL]
        assert (chosen >= 0).sum() == dates
