"""Sums over units whose labels are numbers: all that the metrics of a regression need, and groups of units add up.

Along the last axis stand n, the sums of y and of y squared, and the sums of the squared and of the absolute errors.
"""

import numpy as np
from jaxtyping import Float

N, Y, Y2, E2, E1 = range(5)
"""Positions of the sums."""
CONSTANT = 1e-12
"""Deviations that are a smaller share of the squares than this are what rounding left."""


def error_sums(
    y_true: Float[np.ndarray, " n"], y_pred: Float[np.ndarray, " n"], by: np.ndarray, groups: int
) -> Float[np.ndarray, "groups 5"]:
    """The sums of each group of units.

    Args:
        y_true: labels. Sums of squares lose digits where all are far from 0, so take a constant off before.
        y_pred: estimates, less the same constant.
        by: number of the group of each unit, from 0.
        groups: how many there are.
    """
    error = y_pred - y_true
    each = (np.ones_like(error), y_true, y_true**2, error**2, np.abs(error))
    return np.stack([np.bincount(by, weights=one, minlength=groups) for one in each], axis=1)


def squared_deviations(sums: Float[np.ndarray, "*batch 5"]) -> Float[np.ndarray, "*batch"]:
    """Sum of the squared deviations of the labels from their mean; 0 where all are the same."""
    n, y, y2 = (sums[..., i] for i in (N, Y, Y2))
    around = y2 - np.divide(y**2, n, out=np.zeros(np.shape(n)), where=n > 0)
    return np.where(around > CONSTANT * y2, around, 0.0)
