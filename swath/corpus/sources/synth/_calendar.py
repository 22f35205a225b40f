"""When the satellites pass and what survives: irregular dates, different for optical and radar.

Sentinel-2: two satellites, every 5 days on one relative orbit, a second orbit (2 days later) where swaths overlap;
overcast passes are lost, more of them in winter and on rainy days. Sentinel-1: ascending and descending passes, each
every 6 or 12 days. Passes are common to a tile of 100 km, as real ones are.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

import numpy as np
from scipy.special import betaincinv

from swath.corpus.physics.noise import stream, uniform
from swath.corpus.physics.weather import SPIN_UP, rain

TILE = 100_000.0
"""Metres over which all locations see the same passes."""
EPOCH = date(1970, 1, 1).toordinal()
SPREAD = 1.6
"""Concentration of the beta distribution of cloud cover: scenes are mostly clear or mostly cloudy."""


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass of a satellite that is shipped as an acquisition."""

    time: datetime
    """Time in UTC."""
    orbit: str
    """`R` and the number of the orbit for optical; ascending or descending for radar."""
    cover: float = 0.0
    """Share of the tile's sky that is cloudy."""

    @property
    def day(self) -> int:
        """Days since 1970-01-01."""
        return self.time.toordinal() - EPOCH

    @property
    def day_of_year(self) -> float:
        """1.0 = first of January, midnight UTC."""
        return self.time.timetuple().tm_yday + self.time.hour / 24


@lru_cache(maxsize=256)
def optical_passes(seed: int, year: int, tile: int, lon: float, lat: float, cloud: float) -> tuple[Pass, ...]:
    """Passes of Sentinel-2 that a provider would still list, in order of time.

    Args:
        seed: Of the world.
        year: Calendar year.
        tile: Number of the 100 km tile.
        lon: Degrees; the satellite passes at 10:30 local solar time.
        lat: Degrees; decides when winter is.
        cloud: Mean cloud cover of the passes that survive.
    """
    key = stream(seed, "s2")
    phase, overlap = (float(uniform(key, tile, k)[0]) for k in (1, 2))
    first = int(5 * phase)
    orbits = [(first, "R022")] + ([((first + 2) % 5, "R065")] if overlap < 0.6 else [])
    passes = []
    for start, orbit in orbits:
        days = np.arange(start, _days(year), 5)
        sky, limit = uniform(key, tile, days, 3), _listed(seed, days, lat)
        kept = (sky < limit) & (uniform(key, tile, days, 4) > 0.03)
        cover = _cover(sky / limit, cloud)
        times = _times(year, days, 10.5 - lon / 15, key + tile)
        passes += [Pass(t, orbit, float(c)) for t, c, k in zip(times, cover, kept, strict=True) if k]
    return tuple(sorted(passes, key=lambda p: p.time))


@lru_cache(maxsize=256)
def radar_passes(seed: int, year: int, tile: int, lon: float, revisit: int) -> tuple[Pass, ...]:
    """Passes of Sentinel-1 in order of time; 4 % are missing.

    Args:
        seed: Of the world.
        year: Calendar year.
        tile: Number of the 100 km tile.
        lon: Degrees; passes at about 6:00 (descending) and 18:00 (ascending) local solar time.
        revisit: Days between passes of one direction: 6 with two satellites, 12 with one.
    """
    passes = []
    for orbit, hour in (("ascending", 18.0), ("descending", 6.0)):
        key = stream(seed, f"s1-{orbit}")
        days = np.arange(int(revisit * uniform(key, tile, 1)[0]), _days(year), revisit)
        kept = uniform(key, tile, days, 2) > 0.04
        times = _times(year, days, hour - lon / 15, key + tile)
        passes += [Pass(t, orbit) for t, k in zip(times, kept, strict=True) if k]
    return tuple(sorted(passes, key=lambda p: p.time))


def choose(passes: Sequence[Pass], count: int, rng: np.random.Generator) -> list[Pass]:
    """One pass from each of `count` equal stretches of the list, so that the seasons are covered; all if too few."""
    if count >= len(passes):
        return list(passes)
    borders = np.linspace(0, len(passes), count + 1).round().astype(int)
    return [passes[int(rng.integers(low, high))] for low, high in itertools.pairwise(borders)]


def choose_near(passes: Sequence[Pass], count: int, wanted: Sequence[Pass], rng: np.random.Generator) -> list[Pass]:
    """First the passes nearest in time to the `wanted` ones (as paired data sets are made), then others at random."""
    left = list(passes)
    chosen: list[Pass] = []
    for i in rng.permutation(len(wanted))[:count]:
        if left:
            nearest = min(left, key=lambda p: abs(p.time - wanted[i].time))
            left.remove(nearest)
            chosen.append(nearest)
    more = min(count - len(chosen), len(left))
    chosen += [left[i] for i in rng.choice(len(left), size=more, replace=False)] if more else []
    return sorted(chosen, key=lambda p: p.time)


def _days(year: int) -> int:
    return (date(year + 1, 1, 1) - date(year, 1, 1)).days


def _times(year: int, days: np.ndarray, hour: float, key: int) -> list[datetime]:
    """Times of day differ by up to some ten minutes, as neighbouring orbits' do."""
    minutes = 60 * hour + 12 * (uniform(key, days) - 0.5)
    start = datetime.combine(date(year, 1, 1), time(tzinfo=UTC))
    return [start + timedelta(days=int(d), seconds=round(60 * m)) for d, m in zip(days, minutes, strict=True)]


def _listed(seed: int, days: np.ndarray, lat: float) -> np.ndarray:
    """Probability that a pass is not overcast: 0.75 in summer, 0.45 in winter, 0.6 of that on a rainy day."""
    summer = 0.5 - 0.5 * np.cos(2 * np.pi * (days - 15) / 365.25 + np.pi * (lat < 0))
    wet = rain(seed)[np.minimum(days, 365) + SPIN_UP] > 1
    return (0.45 + 0.3 * summer) * np.where(wet, 0.6, 1.0)


def _cover(quantile: np.ndarray, mean: float) -> np.ndarray:
    """Cloud cover at these quantiles of a beta distribution with that mean."""
    if mean == 0:
        return np.zeros_like(quantile)
    return betaincinv(SPREAD * mean, SPREAD * (1 - mean), quantile)
