"""Macro average precision (mAP): the mean average precision of the classes."""

import numpy as np
from jaxtyping import Float, Int

from swath.tasks.metrics._ranking import average_precision, mean_of_present
from swath.tasks.metrics._types import Metric


def macro_ap(
    y: Int[np.ndarray, "n k"], scores: Float[np.ndarray, "n k"], weights: Float[np.ndarray, "b n"]
) -> Float[np.ndarray, " b"]:
    """Mean average precision of the classes that some unit has."""
    each = np.stack([average_precision(truth, said, weights) for truth, said in zip(y.T, scores.T, strict=True)])
    return mean_of_present(each)


METRIC = Metric(
    name="macro_ap",
    label="mAP",
    multi_label=macro_ap,
    needs_scores=True,
    per_pixel=False,
    averages_classes=True,
)
