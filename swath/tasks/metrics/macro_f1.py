"""Macro F1: the mean F1 score of the classes."""

import numpy as np
from jaxtyping import Float

from swath.tasks.metrics._confusion import class_f1, hits, mean_present, mean_where, ratio
from swath.tasks.metrics._types import Metric


def macro_f1(cm: Float[np.ndarray, "*batch k k"]) -> Float[np.ndarray, "*batch"]:
    """Mean F1 score of the classes."""
    return mean_present(ratio(2 * hits(cm), cm.sum(-1) + cm.sum(-2)), cm)


def label_macro_f1(cm: Float[np.ndarray, "*batch k 2 2"]) -> Float[np.ndarray, "*batch"]:
    """Mean F1 score of the classes that some unit has."""
    return mean_where(class_f1(cm), cm[..., 1, :].sum(-1) > 0)


METRIC = Metric(
    name="macro_f1",
    label="macro F1",
    single_label=macro_f1,
    multi_label=label_macro_f1,
    averages_classes=True,
)
