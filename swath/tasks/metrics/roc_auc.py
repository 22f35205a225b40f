"""The area under the ROC curve."""

import numpy as np
from jaxtyping import Float, Int

from swath.tasks.metrics._ranking import auc, mean_of_present
from swath.tasks.metrics._types import Metric


def roc_auc(
    y: Int[np.ndarray, " n"], scores: Float[np.ndarray, "n k"], weights: Float[np.ndarray, "b n"]
) -> Float[np.ndarray, " b"]:
    """ROC AUC per weighting: of class 1 for two classes, else the mean of one-vs-rest over the classes present."""
    k = scores.shape[1]
    if k == 2:
        return auc((y == 1).astype(int), scores[:, 1], weights)
    each = np.stack([auc((y == c).astype(int), scores[:, c], weights) for c in range(k)])
    return mean_of_present(each)


METRIC = Metric(
    name="roc_auc",
    label="ROC AUC",
    single_label=roc_auc,
    needs_scores=True,
    per_pixel=False,
    averages_classes=True,
    ranks=False,
)
