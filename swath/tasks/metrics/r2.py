"""R2: the share of the labels' variance that the estimates explain."""

import numpy as np
from jaxtyping import Float

from swath.tasks.metrics._confusion import ratio
from swath.tasks.metrics._numbers import E2, squared_deviations
from swath.tasks.metrics._types import Metric


def r2(sums: Float[np.ndarray, "*batch 5"]) -> Float[np.ndarray, "*batch"]:
    """One minus the squared errors over the squared deviations from the mean of these very units.

    1 is perfect; 0 is what their mean would have, so anything worse is negative. NaN where all labels are the same.
    """
    return np.asarray(1 - ratio(sums[..., E2], squared_deviations(sums)))


METRIC = Metric(name="r2", label="R²", unit="number", numbers=r2, per_pixel=False)
