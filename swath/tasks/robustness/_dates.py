"""Series of fewer dates, and of dates that are another location's."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int
from numpy import ndarray

from swath.batch import NO_DAY, Image
from swath.corpus.reading import PADDING, days
from swath.sensors import LOCATION
from swath.tasks.data import Alter, BandReader, Bands, Condition
from swath.tasks.task import Task

POINTS = 8
"""Largest number of points of the curve over the first dates."""
MONTHS = ("January", "February", "March", "April", "May", "June")
MONTHS = (*MONTHS, "July", "August", "September", "October", "November", "December")
SEED = 0


class _Series(NamedTuple):
    """The chips of a sensor that are read of the test part, and their days."""

    chips: Int[ndarray, "n t"]
    days: Int[ndarray, "n t"]
    """NO_DAY of padding, and where the day is unknown."""


def longest(task: Task, bands: Bands) -> int:
    """Largest number of dates of a sensor that the test part has at a location."""
    return max((int((one.chips != PADDING).sum(axis=1).max()) for one in _series(task, bands).values()), default=0)


def over_time(task: Task, bands: Bands, folds: Sequence[Task]) -> tuple[list[Condition], list[str]]:
    """The first dates alone, and the chips of a month dealt anew among the locations that are tested.

    Args:
        task: whose test part is looked at.
        bands: of the input.
        folds: the same task in each fold: the points of the curve, and what is said of them, are of all test parts.

    Returns:
        The conditions, and what must be said.
    """
    if (dates := max(longest(one, bands) for one in folds)) < 2:
        return [], ["it has a single date, so there is no curve over time and no date to exchange"]
    series, everywhere = _series(task, bands), [_series(one, bands) for one in folds]
    if not any((one.days != NO_DAY).any() for one in series.values()):
        return [], ["no date is known, so there is no curve over time and no month to exchange"]
    counts = np.unique(np.linspace(1, dates, min(POINTS, dates)).round().astype(int)).tolist()
    first = [
        Condition("first-dates", "", float(k), _first(tuple(series), k), about=_until(everywhere, k))
        for k in counts[:-1]
    ]
    return [*first, *_months(task, series)], []


def _series(task: Task, bands: Bands) -> dict[str, _Series]:
    sensors = [s for s in dict.fromkeys(key.partition("/")[0] for key in bands) if s != LOCATION]
    chosen = task.reader.choose(task.parts["test"].locations)
    when = np.nan_to_num(np.floor(days(task.corpus.chip_index)), nan=NO_DAY).astype(np.int64)
    return {
        sensor: _Series(chosen[sensor], np.where(chosen[sensor] == PADDING, NO_DAY, when[chosen[sensor]]))
        for sensor in sensors
    }


def _until(folds: Sequence[Mapping[str, _Series]], k: int) -> str:
    """The middle day, over the locations that are tested, on which the k-th date is there; of all sensors the last."""
    last = np.concatenate([_last(series, k) for series in folds])
    known = np.sort(last[last < _NEVER])
    return str(np.datetime64(int(known[(len(known) - 1) // 2]), "D")) if len(known) else ""


def _last(series: Mapping[str, _Series], k: int) -> Int[ndarray, " n"]:
    return np.max([np.sort(_known_first(one.days), axis=1)[:, :k][:, -1] for one in series.values()], axis=0)


_NEVER = 2**31


def _known_first(when: Int[ndarray, "n t"]) -> Int[ndarray, "n t"]:
    return np.where(when == NO_DAY, _NEVER, when)


def _first(sensors: tuple[str, ...], k: int) -> Alter:
    """Shows the k first dates of each of these sensors; later ones become padding, as if they had never been."""

    def alter(reader: BandReader, locations: Int[ndarray, " b"]) -> dict[str, Image]:
        images = reader.read(locations)
        return images | {sensor: _cut(images[sensor], k) for sensor in sensors}

    return alter


def _cut(image: Image, k: int) -> Image:
    when = torch.where(image.days == NO_DAY, torch.iinfo(torch.int32).max, image.days)
    later = when.argsort(dim=1, stable=True).argsort(dim=1) >= k
    return replace(
        image,
        pixels=image.pixels.masked_fill(later[:, :, None, None, None], 0.0),
        valid=image.valid & ~later[:, :, None, None],
        days=image.days.masked_fill(later, NO_DAY),
    )


def _months(task: Task, series: Mapping[str, _Series]) -> list[Condition]:
    """Each month of the year with the chips of all locations that are tested exchanged, sensor by sensor."""
    found = []
    for month in range(12):
        dealt = {sensor: _dealt(one, month, len(task.corpus.chip_index)) for sensor, one in series.items()}
        if any(there is not None for there in dealt.values()):
            dealt = {sensor: there for sensor, there in dealt.items() if there is not None}
            found.append(Condition("month", MONTHS[month], float(month + 1), _exchanged(dealt)))
    return found


def _dealt(series: _Series, month: int, chips: int) -> Int[ndarray, " chips"] | None:
    """For each chip of the corpus the one that is shown in its place; None where the month has fewer than two."""
    of_year = series.days.astype("datetime64[D]").astype("datetime64[M]").astype(int) % 12
    inside = (series.days != NO_DAY) & (of_year == month)
    own = np.unique(series.chips[inside])
    if len(own) < 2:
        return None
    shown = np.arange(chips)
    shown[own] = np.random.default_rng([SEED, month]).permutation(own)
    return shown


def _exchanged(shown: Mapping[str, Int[ndarray, " chips"]]) -> Alter:
    """Shows other chips on the same days."""

    def alter(reader: BandReader, locations: Int[ndarray, " b"]) -> dict[str, Image]:
        images, chosen = reader.read(locations), reader.choose(locations)
        others = {
            sensor: np.where(chips == PADDING, PADDING, shown[sensor][chips]) if sensor in shown else chips
            for sensor, chips in chosen.items()
        }
        read = reader.read_chips(others, locations)
        return images | {sensor: replace(read[sensor], days=images[sensor].days) for sensor in shown}

    return alter
