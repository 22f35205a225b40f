"""MAE: the mean absolute error, in the unit of the labels."""

import numpy as np
from jaxtyping import Float

from swath.tasks.metrics._confusion import ratio
from swath.tasks.metrics._numbers import E1, N
from swath.tasks.metrics._types import Metric


def mae(sums: Float[np.ndarray, "*batch 5"]) -> Float[np.ndarray, "*batch"]:
    """Mean absolute error."""
    return ratio(sums[..., E1], sums[..., N])


METRIC = Metric(name="mae", label="MAE", unit="target", better="lower", numbers=mae, per_pixel=False)
