"""What products add to reflectance before they store it, and how pixels tell that nobody took it away again."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

OFFSETS = {"sentinel-2": 0.1, "landsat": 0.2}
"""By the first part of the sensor's name: Sentinel-2 from baseline 04.00 on, Landsat Collection 2."""
BELOW, ABOVE, BANDS = 0.015, 0.045, 3
"""An offset that is still there lifts all bands' darkest pixels to it: none is darker than it less BELOW, and BANDS of
them are at most ABOVE over it. (In a bright desert the bands' darkest pixels are far apart.)"""


def product_offset(sensor: str) -> float | None:
    """What the sensor's products add to reflectance; None where they add nothing."""
    return next((size for family, size in OFFSETS.items() if sensor.startswith(family)), None)


def offset_left_in(sensor: str, darkest: Float[ndarray, " c"]) -> float | None:
    """The offset that a sensor's products come with, if reflectance looks as if it were still in it.

    Args:
        sensor: name of the sensor.
        darkest: of each band the reflectance that 1 % of the pixels are darker than; of many places.

    Returns:
        None where there is no such offset, or it was taken away.
    """
    offset = product_offset(sensor)
    # water vapour and cirrus bands are dark whatever the ground is, and with the offset they are as bright as it
    dark = np.sort(darkest)
    if offset is None or len(dark) < BANDS or dark[0] < offset - BELOW or dark[BANDS - 1] > offset + ABOVE:
        return None
    return offset
