"""Rain, soil moisture and sun of the synthetic landscape; one weather for the whole region of a world."""

from functools import lru_cache

import numpy as np
from jaxtyping import Float

from swath.corpus.physics.noise import normal, stream, uniform

SPIN_UP = 60
"""Days simulated before the first of January, for the soil to forget how it began."""


@lru_cache(maxsize=8)
def rain(seed: int) -> Float[np.ndarray, " d"]:
    """Daily rain of one year in millimetres, index 0 = 60 days before the first of January.

    A two-state Markov chain (a wet day follows a wet one more often) with exponential amounts of 6 mm on average.
    """
    key = stream(seed, "rain")
    days = np.arange(366 + SPIN_UP)
    chance, amount = uniform(key, days, 1), uniform(key, days, 2)
    wet = np.zeros(len(days), dtype=bool)
    for i in range(1, len(days)):
        wet[i] = chance[i] < (0.55 if wet[i - 1] else 0.2)
    return np.where(wet, -6 * np.log1p(-amount), 0.0)


@lru_cache(maxsize=8)
def moisture(seed: int, south: bool = False) -> Float[np.ndarray, " d"]:
    """Volumetric water content of the topsoil (m³/m³) by day of year, index 0 = first of January.

    An antecedent precipitation index that forgets 8 % (winter) to 20 % (summer) a day, mapped to 0.06..0.40.
    """
    index, wetness = 0.0, []
    for i, mm in enumerate(rain(seed)):
        warmth = 0.5 - 0.5 * np.cos(2 * np.pi * (i - SPIN_UP - 20) / 365.25 + np.pi * south)
        index = index * (0.92 - 0.12 * warmth) + mm
        wetness.append(0.06 + 0.34 * (1 - np.exp(-index / 22)))
    return np.array(wetness[SPIN_UP:])


def wind(seed: int, day: Float[np.ndarray, " t"]) -> Float[np.ndarray, " t"]:
    """Standard normal wind over water by date."""
    return normal(stream(seed, "wind"), np.floor(day).astype(np.int64))


def sun(day: Float[np.ndarray, " t"], lat: float) -> tuple[Float[np.ndarray, " t"], Float[np.ndarray, " t"]]:
    """Elevation and azimuth (radians, clockwise from north) of the sun at 10:30 solar time.

    Declination after Cooper (1969); never lower than 8 degrees, where no product would be processed.
    """
    tilt = np.deg2rad(23.45) * np.sin(2 * np.pi * (284 + day) / 365)
    hour, phi = np.deg2rad(-22.5), np.deg2rad(lat)
    sine = np.sin(phi) * np.sin(tilt) + np.cos(phi) * np.cos(tilt) * np.cos(hour)
    east = -np.cos(tilt) * np.sin(hour)
    north = np.sin(tilt) * np.cos(phi) - np.cos(tilt) * np.sin(phi) * np.cos(hour)
    return np.maximum(np.arcsin(sine), np.deg2rad(8)), np.arctan2(east, north) % (2 * np.pi)
