"""Metrics of a confusion matrix, or of any stack of them.

A matrix has true classes in rows and predicted ones in columns, and may hold counts or bootstrap weights. Means over
classes are over those that have a true unit in the set being measured: a class that is absent cannot be got right.
Only mIoU also counts, as 0, what is predicted and nowhere true, as PASTIS' benchmark and scikit-learn do. With all
classes present these are scikit-learn's numbers, for pixels as for chips.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

Metric = Callable[[np.ndarray], np.ndarray]
"""Confusion matrices `... k k` to values `...`; NaN for a matrix without a unit."""


def confusion(y_true: Int[np.ndarray, " n"], y_pred: Int[np.ndarray, " n"], classes: int) -> Float[np.ndarray, "k k"]:
    """Counts of one evaluation unit (its pixels, say) or of all."""
    return np.bincount(y_true * classes + y_pred, minlength=classes**2).reshape(classes, classes).astype(np.float64)


def accuracy(cm: Float[np.ndarray, "*batch k k"]) -> Float[np.ndarray, "*batch"]:
    """Share of units that are right (micro accuracy)."""
    return _ratio(_hits(cm).sum(-1), cm.sum((-2, -1)))


def balanced_accuracy(cm: Float[np.ndarray, "*batch k k"]) -> Float[np.ndarray, "*batch"]:
    """Mean recall of the classes; the average accuracy (AA) of the segmentation tables."""
    return _mean_present(_ratio(_hits(cm), cm.sum(-1)), cm)


def macro_f1(cm: Float[np.ndarray, "*batch k k"]) -> Float[np.ndarray, "*batch"]:
    """Mean F1 score of the classes."""
    return _mean_present(_ratio(2 * _hits(cm), cm.sum(-1) + cm.sum(-2)), cm)


def miou(cm: Float[np.ndarray, "*batch k k"]) -> Float[np.ndarray, "*batch"]:
    """Mean intersection over union of the classes that are true or predicted, from one matrix of the whole set."""
    return _mean_where(class_iou(cm), _union(cm) > 0)


def class_iou(cm: Float[np.ndarray, "*batch k k"]) -> Float[np.ndarray, "*batch k"]:
    """Intersection over union of each class; NaN for one that is neither true nor predicted."""
    return _ratio(_hits(cm), _union(cm))


METRICS: dict[str, Metric] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "macro_f1": macro_f1,
    "miou": miou,
}


def _hits(cm: np.ndarray) -> np.ndarray:
    return np.diagonal(cm, axis1=-2, axis2=-1)


def _ratio(part: np.ndarray | np.floating, whole: np.ndarray | np.floating) -> np.ndarray:
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)


def _union(cm: np.ndarray) -> np.ndarray:
    return cm.sum(-1) + cm.sum(-2) - _hits(cm)


def _mean_present(values: np.ndarray, cm: np.ndarray) -> np.ndarray:
    return _mean_where(values, cm.sum(-1) > 0)


def _mean_where(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return _ratio(np.where(counts, values, 0.0).sum(-1), counts.sum(-1).astype(np.float64))


def auc(y: Int[np.ndarray, " n"], score: Float[np.ndarray, " n"], weights: Float[np.ndarray, "b n"]) -> np.ndarray:
    """Areas under the ROC curve of one score under several weightings of the units, ties counted half.

    Args:
        y: 1 for positive units, else 0.
        score: higher means more likely positive.
        weights: how often each unit counts, one row per weighting (bootstrap draws; ones for the plain value).

    Returns:
        One area per row of weights; NaN where a side has no weight.
    """
    order = np.argsort(score, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(score[order]) > 0])
    w, positive = weights[:, order], y[order] == 1
    # per distinct score: weight of the positives there, and of the negatives there and below
    up, down = _summed(w * positive, starts), _summed(w * ~positive, starts)
    below = np.cumsum(down, axis=1) - down
    return _ratio((up * (below + down / 2)).sum(1), up.sum(1) * down.sum(1))


def _summed(w: np.ndarray, starts: np.ndarray) -> np.ndarray:
    return w if len(starts) == w.shape[1] else np.add.reduceat(w, starts, axis=1)


def roc_auc(
    y: Int[np.ndarray, " n"], scores: Float[np.ndarray, "n k"], weights: Float[np.ndarray, "b n"]
) -> Float[np.ndarray, " b"]:
    """ROC AUC per weighting: of class 1 for two classes, else the mean of one-vs-rest over the classes present."""
    k = scores.shape[1]
    if k == 2:
        return auc((y == 1).astype(int), scores[:, 1], weights)
    each = np.stack([auc((y == c).astype(int), scores[:, c], weights) for c in range(k)])
    present = ~np.isnan(each)
    return _ratio(np.where(present, each, 0.0).sum(0), present.sum(0).astype(np.float64))
