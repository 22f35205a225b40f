"""Dates of different seasons, against the days of the year that the calendar says."""

import datetime as dt

import numpy as np
import pytest

from swath import sensors
from swath.corpus import Chip, Corpus, CorpusWriter, Loader, Location, Part, SensorLayout
from swath.corpus.reading.sampler import Sampler, Selection
from swath.errors import CorpusError

SENSOR, PX = "sentinel-2-l2a", 4
DATES = {
    "four": ["2021-01-05", "2021-04-05", "2021-07-05", "2021-10-05"],
    "winters": ["2020-12-20", "2021-01-10", "2022-01-01"],
    "years": ["2019-03-01", "2021-03-20", "2023-06-20"],
    "one": ["2021-05-05"],
    "unknown": [None, None],
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    layout = SensorLayout.of(sensors.get(SENSOR), ["B04"], gsd_m=10)
    with CorpusWriter(tmp_path_factory.mktemp("seasons") / "c", {SENSOR: layout}, PX) as writer:
        chips = [
            Chip(uid, SENSOR, np.full((1, PX, PX), 100 + i, np.uint16), datetime=day and dt.datetime.fromisoformat(day))
            for uid, days in DATES.items()
            for i, day in enumerate(days)
        ]
        writer.append(Part([Location(uid) for uid in DATES], chips))
        return writer.finish()


def days_apart(one, other):
    """Within the year, by the calendar: whichever way round is shorter."""
    first, second = (dt.date.fromisoformat(day).replace(year=2001).timetuple().tm_yday for day in (one, other))
    return min(abs(first - second), 365 - abs(first - second))


def test_two_dates_are_of_different_seasons_and_every_pair_comes(corpus):
    sampler = Sampler(corpus, (SENSOR,), Selection(dates=2, apart_days=60.0))
    rows = {uid: row for row, uid in enumerate(corpus.locations["uid"])}
    assert sorted(corpus.locations["uid"][sampler.complete(np.arange(5))]) == ["four", "years"]
    when = corpus.chips["datetime"].dt.strftime("%Y-%m-%d").to_numpy()
    for uid in ("four", "years"):
        found = {tuple(when[sampler.choose(np.array([rows[uid]]), seed)[SENSOR][0]]) for seed in range(300)}
        expected = {(a, b) for a in DATES[uid] for b in DATES[uid] if days_apart(a, b) >= 60}
        assert found == expected
    assert len(expected) == 4, "1 and 20 March of different years are one season"


def test_what_is_chosen_depends_on_seed_and_location_alone(corpus):
    sampler = Sampler(corpus, (SENSOR,), Selection(dates=2, apart_days=60.0))
    rows = sampler.complete(np.arange(5))
    together = sampler.choose(rows, 9)[SENSOR]
    assert (together[::-1] == sampler.choose(rows[::-1], 9)[SENSOR]).all()
    assert (together[1:] == sampler.choose(rows[1:], 9)[SENSOR]).all()


def test_locations_of_one_season_are_left_out_and_counted(corpus):
    loader = Loader(corpus, {SENSOR: ("B04",)}, range(5), 1, Selection(dates=2, apart_days=60.0))
    assert (len(loader.locations), loader.left_out) == (2, 3)
    with pytest.raises(CorpusError, match="0 locations can be read, one step needs 1; 5 more lack a usable chip"):
        Loader(corpus, {SENSOR: ("B04",)}, range(5), 1, Selection(dates=2, apart_days=200.0))
    with pytest.raises(CorpusError, match="seasons of 1 dates cannot be compared"):
        Sampler(corpus, (SENSOR,), Selection(dates=1, apart_days=60.0))
