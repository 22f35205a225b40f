"""Counts of a level-1 scene to physical values, and what its quality band says."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float32, Integer, Shaped
from numpy import ndarray

from swath.corpus.sources.landsat._mtl import Calibration, Temperature


def physical(
    counts: Shaped[ndarray, "c y x"], bands: Sequence[str], calibration: Calibration
) -> Float32[ndarray, "c y x"]:
    """Reflectance corrected for the sun's elevation, and kelvin; NaN where there is no count."""
    result = np.empty(counts.shape, np.float32)
    for position, band in enumerate(bands):
        one = counts[position].astype(np.float64)
        rule = calibration.bands[band]
        scaled = one * rule.multiplier + rule.addend
        if isinstance(rule, Temperature):
            radiance = np.where(scaled > 0, scaled, np.nan)
            values = rule.k2 / np.log1p(rule.k1 / radiance)
        else:
            values = scaled / math.sin(math.radians(calibration.sun_elevation))
        result[position] = np.where(one == 0, np.nan, values)
    return result


def fill_and_cloud(
    codes: Integer[ndarray, "y x"], collection: int
) -> tuple[Bool[ndarray, "y x"], Bool[ndarray, "y x"]]:
    """Where pixels are missing, and where they are cloud: dilated cloud, cirrus, cloud or shadow.

    Confidences have two bits, of which only 3 (high) counts.

    Args:
        codes: of the quality band.
        collection: whose bits they are: 2 (`QA_PIXEL`), 1 (`BQA`: a bit for cloud, confidences of shadow and cirrus),
            or 0 for `BQA` before there were collections (confidences of cirrus and cloud, no shadow).

    Raises:
        ValueError: a bit is set that Collection 1 does not have.
    """
    fill = codes & 1 != 0
    if collection == 2:
        return fill, codes & 0b11110 != 0
    if collection == 0:
        return fill, (codes >> 12 & 3 == 3) | (codes >> 14 & 3 == 3)
    if (codes >> 13 != 0).any():
        raise ValueError("holds bits that Collection 1 does not have")
    return fill, (codes >> 4 & 1 != 0) | (codes >> 7 & 3 == 3) | (codes >> 11 & 3 == 3)
