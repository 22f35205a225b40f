"""Recognise, by the pixels alone, an offset that a product adds to reflectance and that was never subtracted."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

BELOW, ABOVE, BANDS = 0.015, 0.045, 3
"""An offset that is still there lifts all bands' darkest pixels to it: none is darker than it less BELOW, and BANDS of
them are at most ABOVE over it. (In a bright desert the bands' darkest pixels are far apart.)"""


def left_in(offset: float, darkest: Float[ndarray, " c"]) -> bool:
    """Whether reflectance looks as if an offset were still in it.

    Args:
        offset: what the product adds.
        darkest: of each band the reflectance that 1 % of the pixels are darker than; of many locations.
    """
    # water vapour and cirrus bands are dark whatever the ground is, and with the offset they are as bright as it
    dark = np.sort(darkest)
    return len(dark) >= BANDS and bool(dark[0] >= offset - BELOW and dark[BANDS - 1] <= offset + ABOVE)
