"""Counts of a level-1 scene to physical values, and what its quality band says."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float32, Integer, Shaped
from numpy import ndarray

from swath.corpus.sources._landsat.mtl import Calibration, Temperature


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


def fill_and_cloud(codes: Integer[ndarray, "y x"], layer: str) -> tuple[Bool[ndarray, "y x"], Bool[ndarray, "y x"]]:
    """What is missing, and what is cloud: dilated cloud, cirrus, cloud or shadow.

    Args:
        codes: of the quality band.
        layer: `QA_PIXEL` of Collection 2, or `BQA` of Collection 1, where shadow and cirrus have a confidence of two
            bits, of which only 3 (high) counts.
    """
    fill = codes & 1 != 0
    if layer == "QA_PIXEL":
        return fill, codes & 0b11110 != 0
    return fill, (codes >> 4 & 1 != 0) | (codes >> 7 & 3 == 3) | (codes >> 11 & 3 == 3)
