"""When plants are green: leaf area, ripeness and flowering through the year, per land-cover class and field.

Leaf area index (LAI) is a sum of double logistics (Beck et al. 2006, Remote Sens. Environ. 100:321):
`LAI(t) = base + sum amplitude * (S((t - start) / rise) - S((t - end) / fall))`, with S the logistic function and t the
day of year.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

YEAR = 365.25
"""Days after which the seasons repeat."""


@dataclass(frozen=True, slots=True)
class Cycle:
    """One green-up and green-down."""

    amplitude: float
    """LAI added at the peak, m²/m²."""
    start: float
    """Day of year at half green-up."""
    rise: float
    """Days for the logistic's argument to grow by one while greening up."""
    end: float
    """Day of year at half green-down; beyond 365 for plants that stay over winter."""
    fall: float
    """Days for the logistic's argument to grow by one during senescence, harvest or leaf fall."""


@dataclass(frozen=True, slots=True)
class Phenology:
    """The year of one land-cover class."""

    base: float
    """LAI that is there all year, m²/m²."""
    cycles: tuple[Cycle, ...] = ()
    ripe: float | None = None
    """Day of year when half of the standing canopy has turned yellow; None: it is cut or falls while green."""
    flower: tuple[float, float, float] | None = None
    """Peak share of the canopy that shows flowers, day of year of the peak, width (days)."""
    mown: bool = False
    """Cut twice a year."""


@dataclass(frozen=True, slots=True)
class State:
    """The canopy of each unit of land (field, stand) on each date."""

    lai: Float[np.ndarray, "t u"]
    """Leaf area index, m²/m²."""
    ripe: Float[np.ndarray, "t u"]
    """Share of the standing canopy that is dry and yellow."""
    flower: Float[np.ndarray, "t u"]
    """Share of the standing canopy that shows flowers."""
    residue: Float[np.ndarray, "t u"]
    """Share of the ground under straw after harvest."""


def logistic(z: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-z)), without overflow."""
    return 0.5 * (1 + np.tanh(0.5 * z))


def leaf_area(phenology: Phenology, day: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """LAI of an undisturbed canopy on these days of the year, periodic."""
    lai = np.full(np.shape(day), phenology.base)
    for cycle in phenology.cycles:
        for year in (-YEAR, 0.0, YEAR):
            t = day + year
            lai += cycle.amplitude * (logistic((t - cycle.start) / cycle.rise) - logistic((t - cycle.end) / cycle.fall))
    return lai


def state(
    phenology: Phenology,
    day: Float[np.ndarray, " t"],
    shift: Float[np.ndarray, " u"],
    vigour: Float[np.ndarray, " u"],
    luck: Float[np.ndarray, " u"],
) -> State:
    """Canopies of units that share a class.

    Args:
        phenology: The class's year.
        day: Day of year of each date, 1..366.
        shift: Days by which a unit is late.
        vigour: Factor on its leaf area.
        luck: Uniform in [0, 1): decides when it is mown, and how long stubble stays.
    """
    t = (day[:, None] - shift[None, :]) % YEAR
    lai = leaf_area(phenology, t) * vigour
    ripe = np.zeros_like(lai)
    residue = np.zeros_like(lai)
    if phenology.mown:
        lai = lai * _mowing(t, luck)
    if phenology.ripe is not None:
        harvest = phenology.cycles[-1].end
        ripe = logistic((t - phenology.ripe) / 5) * logistic((harvest + 15 - t) / 4)
        residue = 0.6 * (logistic((t - harvest) / 3) - logistic((t - harvest - 10 - 60 * luck) / 4))
    return State(lai, ripe, _flowering(phenology, t), residue)


def _mowing(t: np.ndarray, luck: np.ndarray) -> np.ndarray:
    """Factor on the leaf area after two cuts, from which it grows back within a month or so."""
    kept = np.ones_like(t)
    for first, spread in ((135, 30), (195, 45)):
        since = t - first - spread * luck
        kept *= 1 - 0.7 * np.exp(-np.maximum(since, 0) / 22) * (since >= 0)
    return kept


def _flowering(phenology: Phenology, t: np.ndarray) -> np.ndarray:
    if phenology.flower is None:
        return np.zeros_like(t)
    share, peak, width = phenology.flower
    return share * np.exp(-0.5 * ((t - peak) / width) ** 2)
