"""Confusion matrices, or any stack of them.

A matrix has true classes in rows and predicted ones in columns, and may hold counts or bootstrap weights. Means over
classes are over those that have a true unit in the set being measured: a class that is absent cannot be got right.
Only mIoU also counts, as 0, what is predicted and nowhere true, as PASTIS' benchmark and scikit-learn do. With all
classes present the metrics are scikit-learn's numbers, for pixels as for chips.

Where units have several classes, each class has a matrix of two rows and columns: not there, there.
"""

import numpy as np
from jaxtyping import Float, Int


def confusion(y_true: Int[np.ndarray, " n"], y_pred: Int[np.ndarray, " n"], classes: int) -> Float[np.ndarray, "k k"]:
    """Counts of one evaluation unit (its pixels, say) or of all."""
    return np.bincount(y_true * classes + y_pred, minlength=classes**2).reshape(classes, classes).astype(np.float64)


def confusion_by_class(y_true: Int[np.ndarray, "n k"], y_pred: Int[np.ndarray, "n k"]) -> Float[np.ndarray, "k 2 2"]:
    """Counts of each class."""
    return np.stack([confusion(*pair, 2) for pair in zip(y_true.T, y_pred.T, strict=True)])


def share_right(cm: Float[np.ndarray, "*batch k k"]) -> Float[np.ndarray, "*batch"]:
    """Share of units that are right."""
    return ratio(hits(cm).sum(-1), cm.sum((-2, -1)))


def share_right_by_class(cm: Float[np.ndarray, "*batch k 2 2"]) -> Float[np.ndarray, "*batch"]:
    """Share of all classes' yes and no that are right (one minus the Hamming loss)."""
    return share_right(cm.sum(-3))


def hits(cm: np.ndarray) -> np.ndarray:
    """The units of each class that are right."""
    return np.diagonal(cm, axis1=-2, axis2=-1)


def ratio(part: np.ndarray | np.floating, whole: np.ndarray | np.floating) -> np.ndarray:
    """A part of a whole; NaN where the whole is nothing."""
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)


def mean_present(values: np.ndarray, cm: np.ndarray) -> np.ndarray:
    """Mean over the classes that have a true unit."""
    return mean_where(values, cm.sum(-1) > 0)


def mean_where(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Mean over the classes where the mask `counts` holds."""
    return ratio(np.where(counts, values, 0.0).sum(-1), counts.sum(-1).astype(np.float64))


def class_f1(cm: Float[np.ndarray, "*batch 2 2"]) -> Float[np.ndarray, "*batch"]:
    """F1 score of one class; NaN where it is neither true nor predicted."""
    return ratio(2 * cm[..., 1, 1], 2 * cm[..., 1, 1] + cm[..., 0, 1] + cm[..., 1, 0])


def class_iou(cm: Float[np.ndarray, "*batch k k"]) -> Float[np.ndarray, "*batch k"]:
    """Intersection over union of each class; NaN for one that is neither true nor predicted."""
    return ratio(hits(cm), union(cm))


def union(cm: np.ndarray) -> np.ndarray:
    """The units of each class that are true or predicted."""
    return cm.sum(-1) + cm.sum(-2) - hits(cm)
