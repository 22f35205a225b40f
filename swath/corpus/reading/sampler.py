"""The choice of locations and dates: pure functions of a seed, so that any step of any run can be recomputed.

Random numbers are hashes of (seed, location, counter) instead of draws from a stream. What is chosen for a location
therefore depends neither on the batch it is in, nor on the number of processes, nor on what was read before.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Integer, Shaped
from numpy import ndarray

from swath.corpus.reading import pairing
from swath.corpus.store import Corpus
from swath.errors import CorpusError

PADDING = -1
"""Stands for the chip of a date that is not there."""
Dates = int | Literal["all", "paired"]
"""Which dates of a location are read; see `Selection.dates`."""
_YEAR = 365.2425
"""Mean length of a year in days."""
_GAP_BLOCK = 256
"""Number of locations whose dates are compared at a time, to bound memory."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The choice of chips of a location."""

    dates: Dates = 1
    """Dates per sensor and location. "all": the whole series, padded. "paired": the whole series of the sensor that
    has fewest dates at the location, and of every other sensor the chip nearest in time to each (`corpus.pairing`);
    padded. A number: so many different random dates of the first sensor, repeated where there are fewer, and of every
    other sensor the chip nearest in time to each (where times are unknown: a random one of the same tag, else any)."""
    most: int | None = None
    """Largest number of dates with "all" and "paired": of a longer series so many random ones are read, in order."""
    tag: str | None = None
    """Only chips with this tag."""
    min_valid: float = 0.0
    """Only chips with at least this share of usable pixels; chips without any are chosen for `gaps` alone."""
    gaps: bool = False
    """Read dates whose chips have too few usable pixels, or none, as well: gaps in the series, by their validity. A
    location needs one date that is none."""
    apart_days: float | None = None
    """Least distance of the two dates within the year, in days, so that they are of different seasons.
    Locations without two such dates are left out."""
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class _Series:
    """The eligible chips of one sensor, grouped by location and sorted by date."""

    start: Integer[ndarray, " n"]
    """For each location, where its chips begin in the arrays below."""
    count: Integer[ndarray, " n"]
    position: Integer[ndarray, " m"]
    """Position of each chip in `corpus.chips`."""
    time: Float[ndarray, " m"]
    """Acquisition time of each chip in days since 1970-01-01; NaN if unknown."""
    when: Shaped[ndarray, " m"]
    """Acquisition time of each chip as datetime64[us]; NaT if unknown."""
    tag: Integer[ndarray, " m"]
    """Code of each chip's tag; -1 if there is none."""

    def table(self, locations: Integer[ndarray, " b"]) -> tuple[Integer[ndarray, "b k"], Bool[ndarray, "b k"]]:
        """Indices into the arrays, one row a location, and which of them are filled."""
        column = np.arange(max(1, int(self.count[locations].max(initial=0))))
        there = column < self.count[locations][:, None]
        return np.where(there, self.start[locations][:, None] + column, 0), there

    def times(self, locations: Integer[ndarray, " b"]) -> Shaped[ndarray, "b k"]:
        """The series of these locations as `corpus.pairing` takes them."""
        table, there = self.table(locations)
        if not len(self.when):
            return np.full(table.shape, np.datetime64("NaT", "us"))
        return np.where(there, self.when[table], np.datetime64("NaT", "us"))


class Sampler:
    """Chooses chips of locations for some sensors; the first is the one whose dates lead."""

    def __init__(self, corpus: Corpus, sensors: tuple[str, ...], selection: Selection):
        """Index the chips of these sensors that the selection allows.

        Raises:
            CorpusError: a number of dates below one, or `most` beside a fixed number of dates.
        """
        _require_sense(selection)
        self.selection = selection
        tags = pd.Categorical(corpus.chip_index["tag"]).codes.astype(np.int64)
        eligible, good = _eligible(corpus.chip_index, selection), _usable(corpus.chip_index, selection)
        of_sensor = {sensor: eligible & (corpus.chip_index["sensor"] == sensor).to_numpy() for sensor in sensors}
        self._series = {sensor: _index(corpus, chosen, tags) for sensor, chosen in of_sensor.items()}
        at = corpus.chip_index["location"].to_numpy()
        self._usable = {
            sensor: np.bincount(at[chosen & good], minlength=len(corpus.locations)) > 0
            for sensor, chosen in of_sensor.items()
        }
        if selection.apart_days is not None and sensors:
            self._usable[sensors[0]] &= self._has_seasons(selection.apart_days)

    def _has_seasons(self, apart_days: float) -> Bool[ndarray, " n"]:
        """Whether each location of the corpus has two dates of the first sensor in different seasons."""
        series = next(iter(self._series.values()))
        everyone = np.arange(len(series.count))
        parts = [everyone[start : start + _GAP_BLOCK] for start in range(0, len(everyone), _GAP_BLOCK)]
        return np.concatenate([_apart(series, part, apart_days).any(axis=(1, 2)) for part in parts])

    def complete(self, locations: Integer[ndarray, " n"], optional: Collection[str] = ()) -> Integer[ndarray, " m"]:
        """The locations among these that have an eligible chip of every sensor but the optional ones."""
        needed = [there[locations] for sensor, there in self._usable.items() if sensor not in optional]
        return locations[np.all(needed, axis=0)] if needed else locations

    def of_fewer_dates(self, locations: Integer[ndarray, " n"]) -> int:
        """Number of these locations whose dates are repeated, as there are fewer than the number that is asked for."""
        wanted = self.selection.dates
        if isinstance(wanted, str) or not self._series:
            return 0
        leader = next(iter(self._series.values()))
        return int((leader.count[locations] < wanted).sum())

    def longest(self, locations: Integer[ndarray, " n"], number: int) -> Integer[ndarray, " m"]:
        """So many of these locations, those with the most eligible chips; of equal ones the first."""
        chips = sum((series.count[locations] for series in self._series.values()), np.zeros(len(locations), np.int64))
        return locations[np.argsort(-chips, kind="stable")[:number]]

    def choose(self, locations: Integer[ndarray, " b"], seed: int | None = None) -> dict[str, Integer[ndarray, "b t"]]:
        """Choose chips for each location: positions in `corpus.chips` by sensor, -1 for padding.

        Args:
            locations: row numbers in `corpus.locations`.
            seed: instead of the selection's.
        """
        if not self._series:
            return {}
        seed = self.selection.seed if seed is None else seed
        if isinstance(self.selection.dates, str):
            return self._whole(locations, seed)
        leader, *followers = self._series
        anchor, known = self._dates(self._series[leader], locations, seed)
        result = {leader: _take(self._series[leader], anchor, known)}
        for number, sensor in enumerate(followers, start=1):
            result[sensor] = _nearest(
                self._series[leader], anchor, known, self._series[sensor], locations, mix(seed, number)
            )
        return result

    def _dates(
        self, series: _Series, locations: Integer[ndarray, " b"], seed: int
    ) -> tuple[Integer[ndarray, "b t"], Bool[ndarray, "b t"]]:
        """Random chips of a series, from different seasons if the selection says so."""
        if self.selection.apart_days is not None:
            return _two_seasons(series, locations, self.selection.apart_days, seed)
        assert isinstance(self.selection.dates, int)
        return _random_dates(series, locations, self.selection.dates, seed)

    def _whole(self, locations: Integer[ndarray, " b"], seed: int) -> dict[str, Integer[ndarray, "b t"]]:
        """Whole series, or a number of random dates of them: the same dates of all sensors where they are paired."""
        tables = {sensor: series.table(locations) for sensor, series in self._series.items()}
        if self.selection.dates == "paired":
            columns = pairing.pair([series.times(locations) for series in self._series.values()])
            tables = {
                sensor: (np.take_along_axis(table, np.maximum(column, 0), axis=1), column != pairing.ABSENT)
                for (sensor, (table, _)), column in zip(tables.items(), columns, strict=True)
            }
        result = {}
        for number, (sensor, (table, there)) in enumerate(tables.items()):
            if self.selection.most is not None:
                draw = seed if self.selection.dates == "paired" else mix(seed, number)
                kept = _some(there, self.selection.most, locations, draw)
                table, there = (np.take_along_axis(array, kept, axis=1) for array in (table, there))
            result[sensor] = _take(self._series[sensor], table, there)
        return result


def _require_sense(selection: Selection) -> None:
    if isinstance(selection.dates, int) and selection.dates < 1:
        remedy = 'give a number above 0, "all" or "paired"'
        raise CorpusError(f"{selection.dates} dates cannot be read", remedy=remedy)
    if selection.apart_days is not None and selection.dates != 2:
        raise CorpusError(f"seasons of {selection.dates} dates cannot be compared", remedy="give two dates")
    if selection.most is not None and (isinstance(selection.dates, int) or selection.most < 1):
        remedy = 'give a number above 0 with dates: "all" or "paired", or leave it out'
        raise CorpusError(f"most = {selection.most} means nothing with dates = {selection.dates!r}", remedy=remedy)


def _apart(series: _Series, locations: Integer[ndarray, " b"], days: float) -> Bool[ndarray, "b k k"]:
    """For each location, the pairs of dates that are at least so many days of the year apart; unknown dates are
    in no pair.
    """
    table, there = series.table(locations)
    when = series.time[table] if len(series.time) else np.full(table.shape, np.nan)
    between = np.abs(when[:, :, None] - when[:, None, :]) % _YEAR
    both = there[:, :, None] & there[:, None, :]
    return both & (np.minimum(between, _YEAR - between) >= days)


def _two_seasons(
    series: _Series, locations: Integer[ndarray, " b"], days: float, seed: int
) -> tuple[Integer[ndarray, "b t"], Bool[ndarray, "b t"]]:
    """Two chips of each location that are so many days of the year apart, in either order; all pairs equally likely."""
    table, _ = series.table(locations)
    pairs = _apart(series, locations, days).reshape(len(locations), -1)
    column = np.arange(table.shape[1])
    # numbers of pairs that do not depend on how many dates the longest series of the batch has
    luck = uniform(seed, locations[:, None], np.add.outer(column << 32, column).ravel())
    chosen = np.where(pairs, luck, np.inf).argmin(axis=1)
    columns = np.stack(np.divmod(chosen, table.shape[1]), axis=1)
    exists = np.repeat(pairs.any(axis=1, keepdims=True), 2, axis=1)
    return np.take_along_axis(table, columns, axis=1), exists


def _some(
    there: Bool[ndarray, "b k"], most: int, locations: Integer[ndarray, " b"], seed: int
) -> Integer[ndarray, "b t"]:
    """Ascending columns of a number of random dates that exist; padding stays at the end."""
    key = np.where(there, uniform(seed, locations[:, None], np.arange(there.shape[1])), np.inf)
    return np.sort(np.argsort(key, axis=1, kind="stable")[:, :most], axis=1)


def _usable(chips: pd.DataFrame, selection: Selection) -> Bool[ndarray, " n"]:
    """Whether a chip has enough usable pixels."""
    return ((chips["valid"] > 0) & (chips["valid"] >= selection.min_valid)).to_numpy()


def _eligible(chips: pd.DataFrame, selection: Selection) -> Bool[ndarray, " n"]:
    good = _usable(chips, selection) | selection.gaps
    if selection.dates == "paired":
        good = good & chips["datetime"].notna().to_numpy()
    return good if selection.tag is None else good & (chips["tag"] == selection.tag).to_numpy(bool)


def _index(corpus: Corpus, chosen: Bool[ndarray, " n"], tags: Integer[ndarray, " n"]) -> _Series:
    position = np.flatnonzero(chosen)
    location = corpus.chip_index["location"].to_numpy()[position]
    time = days(corpus.chip_index)[position]
    order = np.lexsort((position, np.nan_to_num(time, nan=np.inf), location))
    position = position[order]
    count = np.bincount(location, minlength=len(corpus.locations))
    when = _times(corpus.chip_index)[position]
    return _Series(np.cumsum(count) - count, count, position, time[order], when, tags[position])


def _times(chips: pd.DataFrame) -> Shaped[ndarray, " n"]:
    """Acquisition times in UTC as datetime64[us]; NaT if unknown."""
    return chips["datetime"].dt.tz_localize(None).to_numpy(dtype="datetime64[us]")


def days(chips: pd.DataFrame) -> Float[ndarray, " n"]:
    """Acquisition times in days since 1970-01-01 UTC; NaN if unknown."""
    when = _times(chips)
    return np.where(np.isnat(when), np.nan, when.astype(np.int64) / 86_400e6)


def gaps(corpus: Corpus, first: str, second: str, locations: Integer[ndarray, " n"] | None = None) -> pd.DataFrame:
    """How far apart in time two sensors are where their series are paired, one row a pair.

    Args:
        corpus: whole or being built.
        first: a sensor; its dates stay where both series are equally long.
        second: another sensor.
        locations: row numbers in `corpus.locations`; default all. Those without a pair have no row.

    Returns:
        location; first, second (positions in `corpus.chips`); days (by how much the second is later).
    """
    everyone = np.arange(len(corpus)) if locations is None else np.asarray(locations, dtype=np.int64)
    sampler, time = Sampler(corpus, (first, second), Selection(dates="paired")), days(corpus.chip_index)
    pairs = []
    for start in range(0, len(everyone), _GAP_BLOCK):
        rows = everyone[start : start + _GAP_BLOCK]
        chosen = sampler.choose(rows)
        there = chosen[first] != PADDING
        one, other = chosen[first][there], chosen[second][there]
        pairs.append((np.broadcast_to(rows[:, None], there.shape)[there], one, other, time[other] - time[one]))
    columns = map(np.concatenate, zip(*pairs, strict=True)) if pairs else [np.zeros(0)] * 4
    return pd.DataFrame(dict(zip(("location", "first", "second", "days"), columns, strict=True)))


def _random_dates(
    series: _Series, locations: Integer[ndarray, " b"], dates: int, seed: int
) -> tuple[Integer[ndarray, "b t"], Bool[ndarray, "b t"]]:
    """A number of different chips of every location, in random order; repeated where there are fewer."""
    table, there = series.table(locations)
    key = np.where(there, uniform(seed, locations[:, None], np.arange(table.shape[1])), np.inf)
    order = np.argsort(key, axis=1, kind="stable")
    column = np.arange(dates) % np.maximum(series.count[locations], 1)[:, None]
    column = np.take_along_axis(order, column, axis=1)
    return np.take_along_axis(table, column, axis=1), np.take_along_axis(there, column, axis=1)


def _nearest(
    leader: _Series,
    anchor: Integer[ndarray, "b t"],
    known: Bool[ndarray, "b t"],
    follower: _Series,
    locations: Integer[ndarray, " b"],
    seed: int,
) -> Integer[ndarray, "b t"]:
    """Positions of the following sensor's chips that match the leading sensor's best."""
    table, there = follower.table(locations)
    if not len(follower.position):
        return np.full(anchor.shape, PADDING)
    chance = uniform(seed, locations[:, None], np.arange(table.shape[1]))
    columns = []
    for when, tag, exists in zip(*(_at(leader, anchor, known)), strict=True):
        apart = np.abs(follower.time[table] - when[:, None])
        timeless = (follower.tag[table] != tag[:, None]) + chance / 2
        by_time = (there & np.isfinite(apart)).any(axis=1) & exists
        cost = np.where(by_time[:, None], np.nan_to_num(apart, nan=np.inf), timeless)
        columns.append(np.where(there, cost, np.inf).argmin(axis=1))
    column = np.stack(columns, axis=1)
    return _take(follower, np.take_along_axis(table, column, axis=1), np.take_along_axis(there, column, axis=1))


def _at(
    series: _Series, index: Integer[ndarray, "b t"], there: Bool[ndarray, "b t"]
) -> tuple[Float[ndarray, "t b"], Integer[ndarray, "t b"], Bool[ndarray, "t b"]]:
    """Time and tag of chosen chips, date by date; unknown for padding."""
    if not len(series.time):
        return np.full(index.T.shape, np.nan), np.full(index.T.shape, -1), there.T
    return np.where(there, series.time[index], np.nan).T, np.where(there, series.tag[index], -1).T, there.T


def _take(series: _Series, index: Integer[ndarray, "b t"], there: Bool[ndarray, "b t"]) -> Integer[ndarray, "b t"]:
    if not len(series.position):
        return np.full(index.shape, PADDING)
    return np.where(there, series.position[index], PADDING)


def mix(*numbers: int) -> int:
    """Mix several numbers into one 64-bit seed, one after the other, by SplitMix64 (Steele et al. 2014)."""
    state = np.uint64(0)
    for number in numbers:
        state = _splitmix(state ^ np.uint64(number % 2**64))
    return int(state)


def uniform(seed: int, first: Integer[ndarray, "#b #k"], second: Integer[ndarray, " k"]) -> Float[ndarray, "b k"]:
    """Uniform random numbers in [0, 1) that are a function of the seed and two integers.

    Args:
        seed: any integer.
        first: integers, one row a location or one for all pairs; broadcast against `second`.
        second: integers, one a column.
    """
    state = _splitmix(np.uint64(seed % 2**64) ^ first.astype(np.uint64))
    state = _splitmix(state ^ second.astype(np.uint64))
    return np.asarray((state >> np.uint64(11)) * 2.0**-53)


def _splitmix(state: ndarray | np.uint64) -> ndarray | np.uint64:
    with np.errstate(over="ignore"):
        z = state + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def epoch_order(locations: Integer[ndarray, " n"], seed: int, epoch: int) -> Integer[ndarray, " n"]:
    """The locations in the order of one epoch, the same on every rank.

    Args:
        locations: row numbers in `corpus.locations`.
        seed: of the training.
        epoch: from 0.
    """
    return np.random.Generator(np.random.PCG64(mix(seed, epoch))).permutation(locations)


def steps_per_epoch(locations: int, batch_size: int, world: int) -> int:
    """Full steps of an epoch; the remainder is dropped, so that all batches on all ranks are equally large.

    Args:
        locations: number of locations.
        batch_size: locations per step and process.
        world: number of processes.
    """
    return locations // (batch_size * world)
