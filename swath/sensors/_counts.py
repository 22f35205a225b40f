"""The one place where counts become physical values, for NumPy's arrays and torch's tensors alike."""

from collections.abc import Callable
from typing import Any

import numpy as np


def calibrate(values: Any, scale: Any, offset: Any, log10: Callable[..., Any] | None = None) -> None:
    """Turn counts into physical values, in place: `counts * scale + offset`, and `10 * log10` of it if asked for.

    Args:
        values: the counts as floating-point numbers, an array of NumPy or a tensor of torch on any device.
        scale: one number, or one per band in a shape that fits `values`; None for 1.
        offset: likewise; None for 0.
        log10: the library's own logarithm where scaled counts are a linear power that becomes decibels, else None.
    """
    if scale is not None:
        values *= scale
    if offset is not None:
        values += offset
    if log10 is not None:
        log10(values, out=values)
        values *= 10


def physical(counts: np.ndarray, scale: Any = 1.0, offset: Any = 0.0, *, decibel: bool = False) -> np.ndarray:
    """Physical values of counts, as float64; NaN where a power is not positive and so has no decibels.

    Args:
        counts: as stored, of any shape.
        scale: one number, or one per band in a shape that fits `counts`.
        offset: likewise.
        decibel: the scaled counts are a linear power, and the physical value is `10 * log10` of it.
    """
    values = counts.astype(np.float64)
    calibrate(values, scale, offset, _log10 if decibel else None)
    return values


def _log10(values: np.ndarray, out: np.ndarray) -> None:
    positive = values > 0
    np.log10(values, out=out, where=positive)
    out[~positive] = np.nan
