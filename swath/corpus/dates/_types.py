"""Periods of time in which acquisitions are looked for."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from swath.settings import PluginSettings

Interval = tuple[dt.datetime, dt.datetime]
"""A period of time in UTC, from the first moment (included) to the second (excluded)."""


@dataclass(frozen=True, slots=True)
class Window:
    """Periods that are searched together, for their best acquisition or for all."""

    tag: str | None
    """Name of the window, such as the season or month, which becomes the chips' tag."""
    intervals: tuple[Interval, ...]
    every: bool = False
    """Whether all acquisitions are wanted, and not only the best one."""

    @property
    def middle(self) -> dt.datetime:
        """The moment halfway through the first period."""
        start, end = self.intervals[0]
        return start + (end - start) / 2

    def holds(self, when: dt.datetime) -> bool:
        """Whether a moment lies in one of the periods."""
        return any(start <= when < end for start, end in self.intervals)


@runtime_checkable
class DateRulePlugin(Protocol):
    """A module of this folder, or one that an installed package offers."""

    Config: type[PluginSettings]
    """Its settings in a recipe."""

    def windows(self, config: Any, uid: str) -> tuple[Window, ...]:
        """The windows of the location with that id: the same for the same settings and id."""
        ...


def day(date: dt.date) -> dt.datetime:
    """The first moment of a day, UTC."""
    return dt.datetime(date.year, date.month, date.day, tzinfo=dt.UTC)


def around(date: dt.date, days: float) -> Interval:
    """The period from so many days before a day to so many after it."""
    return day(date) - dt.timedelta(days=days), day(date) + dt.timedelta(days=days + 1)


def joined(windows: Iterable[Window]) -> list[Interval]:
    """The periods of all windows in order of time, those that touch merged: what has to be searched."""
    result: list[Interval] = []
    for start, end in sorted(interval for window in windows for interval in window.intervals):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((start, end))
    return result
