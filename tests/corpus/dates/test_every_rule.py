"""Rules for dates, against the calendar."""

import datetime as dt

import pytest
from pydantic import ValidationError

from swath import plugins
from swath.corpus import dates

UTC = dt.UTC


def rule(name: str, **values):
    return plugins.find("swath.corpus.dates", name).Config(**values)


EXAMPLES = {
    "every": {"start": "2021-01-05", "end": "2021-02-01"},
    "monthly": {"start": "2020-11", "months": 4},
    "seasons": {"year": 2022},
    "shift": {"until": "2021-06-01"},
}


@pytest.mark.parametrize("name", plugins.names("swath.corpus.dates"))
def test_windows_depend_on_settings_and_location_alone(name):
    config = rule(name, **EXAMPLES[name])
    assert dates.windows(config, "a") == dates.windows(config, "a")
    for window in dates.windows(config, "a"):
        assert all(start < end and start.tzinfo == UTC for start, end in window.intervals)
        assert window.holds(window.middle)


def test_seasons_are_those_of_ssl4eo_l():
    windows = dates.windows(rule("seasons", year=2022), "a")
    assert [window.tag for window in windows] == ["03-20", "06-21", "09-23", "12-21"]
    spring = windows[0]
    assert spring.holds(dt.datetime(2022, 2, 18, tzinfo=UTC))
    assert spring.holds(dt.datetime(2021, 4, 19, 23, tzinfo=UTC))
    assert not spring.holds(dt.datetime(2022, 4, 20, tzinfo=UTC))
    assert not spring.holds(dt.datetime(2020, 3, 20, tzinfo=UTC))


def test_months_cross_the_year():
    windows = dates.windows(rule("monthly", start="2020-11", months=4), "a")
    assert [window.tag for window in windows] == ["2020-11", "2020-12", "2021-01", "2021-02"]
    assert windows[3].intervals == ((dt.datetime(2021, 2, 1, tzinfo=UTC), dt.datetime(2021, 3, 1, tzinfo=UTC)),)
    assert dates.joined(windows) == [(dt.datetime(2020, 11, 1, tzinfo=UTC), dt.datetime(2021, 3, 1, tzinfo=UTC))]


def test_every_includes_its_last_day():
    (window,) = dates.windows(rule("every", **EXAMPLES["every"]), "a")
    assert window.every
    assert window.holds(dt.datetime(2021, 2, 1, 23, 59, tzinfo=UTC))
    assert not window.holds(dt.datetime(2021, 2, 2, tzinfo=UTC))


def test_shifts_are_spread_over_a_year():
    config = rule("shift", until="2021-06-01")
    latest = [dates.windows(config, f"{i}")[0].middle.date() for i in range(2000)]
    days = [(dt.date(2021, 6, 1) - day).days for day in latest]
    assert (min(days), max(days)) == (0, 365)
    assert sum(days) / len(days) == pytest.approx(182.5, abs=8)
    first, second = dates.windows(config, "a")[:2]
    assert (first.middle - second.middle).days == pytest.approx(91, abs=1)


@pytest.mark.parametrize(
    ("name", "values"),
    [("seasons", {"year": 2022, "dates": ("02-30",)}), ("monthly", {"start": "2021-13"}),
     ("every", {"start": "2021-02-01", "end": "2021-01-01"})],
)  # fmt: skip
def test_dates_that_do_not_exist(name, values):
    with pytest.raises(ValidationError):
        rule(name, **values)
