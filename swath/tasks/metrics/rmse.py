"""RMSE: the root of the mean squared error, in the unit of the labels."""

import numpy as np
from jaxtyping import Float

from swath.tasks.metrics._confusion import ratio
from swath.tasks.metrics._numbers import E2, N
from swath.tasks.metrics._types import Metric


def rmse(sums: Float[np.ndarray, "*batch 5"]) -> Float[np.ndarray, "*batch"]:
    """Root of the mean squared error."""
    return np.asarray(np.sqrt(ratio(sums[..., E2], sums[..., N])))


METRIC = Metric(name="rmse", label="RMSE", unit="target", better="lower", numbers=rmse, per_pixel=False)
