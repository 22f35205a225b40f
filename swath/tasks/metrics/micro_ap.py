"""Micro average precision: that of all classes' decisions in one ranking."""

import numpy as np
from jaxtyping import Float, Int

from swath.tasks.metrics._ranking import average_precision
from swath.tasks.metrics._types import Metric


def micro_ap(
    y: Int[np.ndarray, "n k"], scores: Float[np.ndarray, "n k"], weights: Float[np.ndarray, "b n"]
) -> Float[np.ndarray, " b"]:
    """Average precision of all units' yes and no for all classes, in one ranking."""
    return average_precision(y.ravel(), scores.ravel(), np.repeat(weights, y.shape[1], axis=1))


METRIC = Metric(
    name="micro_ap",
    label="micro mAP",
    multi_label=micro_ap,
    needs_scores=True,
    per_pixel=False,
)
