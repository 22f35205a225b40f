"""mIoU: the mean intersection over union of the classes."""

import numpy as np
from jaxtyping import Float

from swath.tasks.metrics._confusion import class_iou, mean_where, union
from swath.tasks.metrics._types import Metric


def miou(cm: Float[np.ndarray, "*batch k k"]) -> Float[np.ndarray, "*batch"]:
    """Mean intersection over union of the classes that are true or predicted, from one matrix of the whole set."""
    return mean_where(class_iou(cm), union(cm) > 0)


METRIC = Metric(
    name="miou",
    label="mIoU",
    single_label=miou,
    averages_classes=True,
)
