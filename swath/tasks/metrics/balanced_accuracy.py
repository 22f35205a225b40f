"""Balanced accuracy: the mean recall of the classes."""

import numpy as np
from jaxtyping import Float

from swath.tasks.metrics._confusion import hits, mean_present, ratio
from swath.tasks.metrics._types import Metric


def balanced_accuracy(cm: Float[np.ndarray, "*batch k k"]) -> Float[np.ndarray, "*batch"]:
    """Mean recall of the classes; the average accuracy (AA) of the segmentation tables."""
    return mean_present(ratio(hits(cm), cm.sum(-1)), cm)


METRIC = Metric(
    name="balanced_accuracy",
    label="balanced accuracy",
    single_label=balanced_accuracy,
    averages_classes=True,
)
