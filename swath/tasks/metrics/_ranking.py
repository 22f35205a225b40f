"""Metrics of class scores: areas under curves, for several weightings of the units at once."""

import numpy as np
from jaxtyping import Float, Int

from swath.tasks.metrics._confusion import ratio


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
    return ratio((up * (below + down / 2)).sum(1), up.sum(1) * down.sum(1))


def _summed(w: np.ndarray, starts: np.ndarray) -> np.ndarray:
    return w if len(starts) == w.shape[1] else np.add.reduceat(w, starts, axis=1)


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
    hits_so_far = np.cumsum(hits, axis=0)
    precision = hits_so_far[hit] / np.maximum(said, np.finfo(np.float64).tiny)
    return ratio(np.einsum("pb,pb->b", hits, precision), hits_so_far[-1])


def mean_of_present(each: Float[np.ndarray, "k b"]) -> Float[np.ndarray, " b"]:
    """Mean per weighting over the classes that have a value; NaN where none has."""
    present = ~np.isnan(each)
    return ratio(np.where(present, each, 0.0).sum(0), present.sum(0).astype(np.float64))
