"""What each instrument measures, and the one global table of all bands.

A sensor is one file in this folder that defines `SENSOR`; it is found by its module name. Sensors of one's own come
from a YAML file, a recipe, a corpus, a checkpoint or an installed package (docs/sensors.md).
"""

import numpy as np

from swath.sensors._counts import calibrate, physical
from swath.sensors._definition import BandDefinition, SensorDefinition, SensorName, definition_of
from swath.sensors._offsets import left_in
from swath.sensors._regions import spectral_region
from swath.sensors._registry import (
    band,
    band_id,
    bands,
    declare,
    definitions,
    forget,
    get,
    load_file,
    names,
    of,
    read,
)
from swath.sensors._sentinel_2 import offset_for_baseline
from swath.sensors._types import METADATA, Band, CloudRule, Kind, Scaling, Sensor, Unit

__all__ = [
    "LOCATION",
    "METADATA",
    "Band",
    "BandDefinition",
    "CloudRule",
    "Kind",
    "Scaling",
    "Sensor",
    "SensorDefinition",
    "SensorName",
    "Unit",
    "band",
    "band_id",
    "bands",
    "calibrate",
    "declare",
    "definition_of",
    "definitions",
    "forget",
    "get",
    "is_constant",
    "load_file",
    "names",
    "of",
    "offset_for_baseline",
    "offset_left_in",
    "physical",
    "read",
    "spectral_region",
]


LOCATION = "location"
"""The sensor of what is known of a location's place: its image is one pixel, in degrees on WGS 84."""


def offset_left_in(sensor: str, darkest: np.ndarray) -> float | None:
    """The product's offset, if reflectance looks as if it had never been subtracted.

    Args:
        sensor: name of the sensor.
        darkest: of each band the reflectance that 1 % of the pixels are darker than; of many locations.

    Returns:
        None where there is no such offset, or it was taken away.
    """
    offset = get(sensor).product_offset
    return offset if offset is not None and left_in(offset, darkest) else None


CONSTANT = 1e-6
"""A standard deviation below this share of the range of a band's values is due to rounding."""


def is_constant(key: str, std: float) -> bool:
    """Whether a band has the same value everywhere, judged by its standard deviation in physical units.

    Sums of many equal numbers round, so that the deviation of a constant band is seldom exactly 0.
    """
    sensor, _, name = key.partition("/")
    low, high = get(sensor).range_of(name)
    return bool(std < CONSTANT * (high - low))
