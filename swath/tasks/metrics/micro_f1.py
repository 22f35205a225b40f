"""Micro F1: the F1 score of all classes' decisions together, where units have several."""

import numpy as np
from jaxtyping import Float

from swath.tasks.metrics._confusion import class_f1
from swath.tasks.metrics._types import Metric


def label_micro_f1(cm: Float[np.ndarray, "*batch k 2 2"]) -> Float[np.ndarray, "*batch"]:
    """F1 score of all classes' yes together."""
    return class_f1(cm.sum(-3))


METRIC = Metric(
    name="micro_f1",
    label="micro F1",
    multi_label=label_micro_f1,
)
