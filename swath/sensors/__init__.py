"""What each instrument measures, and the one global table of all bands.

A sensor is one file in this folder that defines `SENSOR`; it is found by its module name.
"""

from functools import cache

import numpy as np

from swath import plugins
from swath.errors import RecipeError, nearest
from swath.sensors._counts import calibrate, physical
from swath.sensors._offsets import left_in
from swath.sensors._sentinel_2 import offset_for_baseline
from swath.sensors._types import METADATA, Band, CloudRule, Kind, Scaling, Sensor, Unit

__all__ = [
    "METADATA",
    "Band",
    "CloudRule",
    "Kind",
    "Scaling",
    "Sensor",
    "Unit",
    "band",
    "band_id",
    "bands",
    "calibrate",
    "get",
    "is_constant",
    "names",
    "of",
    "offset_for_baseline",
    "offset_left_in",
    "physical",
]


def names() -> list[str]:
    """Names of all sensors."""
    return plugins.names(__name__)


@cache
def get(name: str) -> Sensor:
    """The sensor of that name; RecipeError with the nearest name if there is none."""
    return plugins.find(__name__, name).SENSOR


@cache
def bands() -> tuple[Band, ...]:
    """The global band table. A band's position is its id: for use inside one process only, files store keys."""
    return tuple(band for name in names() for band in get(name).bands)


def offset_left_in(sensor: str, darkest: np.ndarray) -> float | None:
    """The offset that a sensor's products come with, if reflectance looks as if it were still in it.

    Args:
        sensor: name of the sensor.
        darkest: of each band the reflectance that 1 % of the pixels are darker than; of many locations.

    Returns:
        None where there is no such offset, or it was taken away.
    """
    offset = get(sensor).product_offset
    return offset if offset is not None and left_in(offset, darkest) else None


CONSTANT = 1e-6
"""A standard deviation below this share of the range that a band's values lie in is rounding, not contrast."""


def is_constant(key: str, std: float) -> bool:
    """Whether a band is the same everywhere, by its standard deviation in its unit.

    Sums of many equal numbers round, so that the deviation of a constant band is seldom exactly 0.
    """
    sensor, _, name = key.partition("/")
    low, high = get(sensor).range_of(name)
    return std < CONSTANT * (high - low)


@cache
def _ids() -> dict[str, int]:
    return {band.key: i for i, band in enumerate(bands())}


def band_id(key: str) -> int:
    """Id of the band with key `sensor/band`; RecipeError with the nearest key if there is none."""
    try:
        return _ids()[key]
    except KeyError:
        sensor = key.partition("/")[0]
        candidates = [k for k in _ids() if k.startswith(f"{sensor}/")] or list(_ids())
        raise RecipeError(f"unknown band {key!r}", remedy=nearest(key, candidates)) from None


def of(key: str) -> Sensor:
    """The sensor of the band with key `sensor/band`; RecipeError with the nearest key if there is no such band."""
    return get(band(key).sensor)


def band(key: str) -> Band:
    """The band with key `sensor/band`."""
    return bands()[band_id(key)]
