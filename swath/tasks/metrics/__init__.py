"""Metrics of a confusion matrix, or of any stack of them.

A matrix has true classes in rows and predicted ones in columns, and may hold counts or bootstrap weights. Means over
classes are over those that have a true unit in the set being measured: a class that is absent cannot be got right.
Only mIoU also counts, as 0, what is predicted and nowhere true, as PASTIS' benchmark and scikit-learn do. With all
classes present these are scikit-learn's numbers, for pixels as for chips.

Where units have several classes, each class has a matrix of two rows and columns: not there, there.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

Metric = Callable[[np.ndarray], np.ndarray]
"""Confusion matrices `... k k` to values `...`; NaN for a matrix without a unit."""
Scored = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""Truth, scores `n k` and weights `b n` of units to values `b`; NaN where it is not defined."""


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


# --------------------------------------------------------------------------------------------- several classes a unit


def confusion_by_class(y_true: Int[np.ndarray, "n k"], y_pred: Int[np.ndarray, "n k"]) -> Float[np.ndarray, "k 2 2"]:
    """Counts of each class."""
    return np.stack([confusion(*pair, 2) for pair in zip(y_true.T, y_pred.T, strict=True)])


def label_accuracy(cm: Float[np.ndarray, "*batch k 2 2"]) -> Float[np.ndarray, "*batch"]:
    """Share of all yes and no that are right (one minus the Hamming loss)."""
    return accuracy(cm.sum(-3))


def label_micro_f1(cm: Float[np.ndarray, "*batch k 2 2"]) -> Float[np.ndarray, "*batch"]:
    """F1 score of all classes' yes together."""
    return class_f1(cm.sum(-3))


def label_macro_f1(cm: Float[np.ndarray, "*batch k 2 2"]) -> Float[np.ndarray, "*batch"]:
    """Mean F1 score of the classes that some unit has."""
    return _mean_where(class_f1(cm), cm[..., 1, :].sum(-1) > 0)


def class_f1(cm: Float[np.ndarray, "*batch 2 2"]) -> Float[np.ndarray, "*batch"]:
    """F1 score of one class; NaN where it is neither true nor predicted."""
    return _ratio(2 * cm[..., 1, 1], 2 * cm[..., 1, 1] + cm[..., 0, 1] + cm[..., 1, 0])


LABEL_METRICS: dict[str, Metric] = {
    "accuracy": label_accuracy,
    "macro_f1": label_macro_f1,
    "micro_f1": label_micro_f1,
}
"""The same for `... k 2 2`."""


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
    return _mean_of_present(each)


def _mean_of_present(each: Float[np.ndarray, "k b"]) -> Float[np.ndarray, " b"]:
    """Mean per weighting over the classes that have a value; NaN where none has."""
    present = ~np.isnan(each)
    return _ratio(np.where(present, each, 0.0).sum(0), present.sum(0).astype(np.float64))


def average_precision(
    y: Int[np.ndarray, " n"], score: Float[np.ndarray, " n"], weights: Float[np.ndarray, "b n"]
) -> Float[np.ndarray, " b"]:
    """Area under the precision-recall curve by steps, as scikit-learn: sum of (R_i - R_(i-1)) P_i over thresholds.

    Args and result as `auc`; NaN where no positive unit has weight.
    """
    order = np.argsort(-score, kind="stable")
    ranked, positive = -score[order], np.flatnonzero(y[order] == 1)
    if not len(positive):
        return np.full(len(weights), np.nan)
    # a threshold lets in all units of equal score: the last one, and the last positive one
    last = np.searchsorted(ranked, ranked[positive], side="right") - 1
    hit = np.searchsorted(positive, last, side="right") - 1
    # units in rows, so that sums over them run over whole rows of weightings
    w = np.ascontiguousarray(weights.T)[order]
    said, hits = np.cumsum(w, axis=0)[last], w[positive]
    found = np.cumsum(hits, axis=0)
    precision = found[hit] / np.maximum(said, np.finfo(np.float64).tiny)
    return _ratio(np.einsum("pb,pb->b", hits, precision), found[-1])


def macro_ap(
    y: Int[np.ndarray, "n k"], scores: Float[np.ndarray, "n k"], weights: Float[np.ndarray, "b n"]
) -> Float[np.ndarray, " b"]:
    """Mean average precision of the classes that some unit has."""
    each = np.stack([average_precision(truth, said, weights) for truth, said in zip(y.T, scores.T, strict=True)])
    return _mean_of_present(each)


def micro_ap(
    y: Int[np.ndarray, "n k"], scores: Float[np.ndarray, "n k"], weights: Float[np.ndarray, "b n"]
) -> Float[np.ndarray, " b"]:
    """Average precision of all units' yes and no for all classes, in one ranking."""
    return average_precision(y.ravel(), scores.ravel(), np.repeat(weights, y.shape[1], axis=1))


SCORED: dict[str, Scored] = {"roc_auc": roc_auc, "macro_ap": macro_ap, "micro_ap": micro_ap}
"""Metrics that need class scores."""
