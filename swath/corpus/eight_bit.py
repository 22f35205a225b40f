"""SSL4EO-L's 8-bit tables for Landsat: a byte a value, over a fixed range per kind of band (Stewart et al. 2023).

`byte = trunc(clip(255 * (x - low) / (high - low), 0, 255))`, as the paper's code does it. What lies outside the range
is lost, and a value read back is up to one step (1/255 of the range) too low.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Shaped, UInt8
from numpy import ndarray

from swath import sensors
from swath.corpus.store import SensorLayout
from swath.errors import RecipeError


def limits(sensor: str, band: str) -> tuple[float, float]:
    """Physical values that become the bytes 0 and 255.

    Raises:
        RecipeError: the sensor has no 8-bit table for bands of that unit.
    """
    facts = sensors.get(sensor)
    table = facts.eight_bit.get(facts.band(band).unit)
    if table is None:
        raise RecipeError(
            f"there is no 8-bit table for {sensor}", remedy="leave uint8 out: the tables of SSL4EO-L are for Landsat"
        )
    return table


def layout(sensor: str, bands: Sequence[str], gsd_m: float) -> SensorLayout:
    """The layout of such bytes, whose scale and offset turn them back into reflectance and kelvin."""
    ranges = [limits(sensor, band) for band in bands]
    return SensorLayout(
        bands=tuple(bands),
        gsd_m=gsd_m,
        dtype="uint8",
        scale=tuple((high - low) / 255 for low, high in ranges),
        offset=tuple(low for low, _ in ranges),
    )


def encode(counts: Shaped[ndarray, "c y x"], sensor: str, source: SensorLayout) -> UInt8[ndarray, "c y x"]:
    """Convert counts of another layout to such bytes; the range is compared in counts, as the paper's code does.

    Args:
        counts: as `source` stores them.
        sensor: name of the sensor, whose tables are used.
        source: the layout of the counts.
    """
    result = np.empty(counts.shape, np.uint8)
    for position, band in enumerate(source.bands):
        scale, offset = source.scale[position], source.offset[position]
        low, high = ((value - offset) / scale for value in limits(sensor, band))
        share = 255 * (counts[position].astype(np.float64) - low) / (high - low)
        result[position] = np.clip(np.nan_to_num(share), 0, 255).astype(np.uint8)
    return result
