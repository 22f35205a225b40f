"""Tests of a difference: paired t, Wilcoxon, McNemar, Nadeau-Bengio, DeLong; and Holm's correction.

None of them raises or warns on degenerate data: no pairs, or no information, is p = NaN; no difference at all is p = 1.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import special


def paired_t(differences: Float[np.ndarray, " n"]) -> float:
    """Two-sided p of a paired t-test on k matched differences (k - 1 degrees of freedom).

    NaN for fewer than two pairs, and for differences that are all equal but not 0: their variance says nothing.
    """
    return nadeau_bengio(differences, test_share=0.0)


def nadeau_bengio(differences: Float[np.ndarray, " n"], test_share: float) -> float:
    """Two-sided p of the corrected resampled t-test (Nadeau, Bengio 2003), for overlapping folds or splits.

    Args:
        differences: one per fold or resampled split.
        test_share: n_test / n_train; the variance factor is 1/k + this instead of 1/k. 0 gives the paired t-test.
    """
    d = differences[np.isfinite(differences)]
    if len(d) < 2:
        return np.nan
    if not d.any():
        return 1.0
    variance = d.var(ddof=1)
    # equal differences: rounding may leave a variance that is not exactly 0
    if variance <= (1e-12 * np.abs(d).max()) ** 2:
        return np.nan
    t = d.mean() / np.sqrt((1 / len(d) + test_share) * variance)
    return float(2 * special.stdtr(len(d) - 1, -abs(t)))


def t_interval(differences: Float[np.ndarray, " n"], confidence: float = 0.95) -> tuple[float, float]:
    """Interval of the mean of matched differences by Student's t; NaN for fewer than two."""
    n = len(differences)
    if n < 2:
        return np.nan, np.nan
    half = special.stdtrit(n - 1, (1 + confidence) / 2) * differences.std(ddof=1) / np.sqrt(n)
    return float(differences.mean() - half), float(differences.mean() + half)


def wilcoxon(differences: Float[np.ndarray, " n"]) -> float:
    """Two-sided p of the Wilcoxon signed-rank test; pairs without a difference are left out (Wilcoxon's own rule).

    Exact where SciPy has the exact distribution (no ties, at most 50 pairs), else the normal approximation.
    """
    from scipy.stats import wilcoxon as signed_rank  # SciPy's statistics take a second to import

    d = differences[np.isfinite(differences)]
    # differences of averages: what is equal in exact arithmetic must tie
    d = np.round(d, 12)
    if len(d) < 2:
        return np.nan
    if not d.any():
        return 1.0
    d = d[d != 0]
    exact = len(d) <= 50 and len(np.unique(np.abs(d))) == len(d)
    result = signed_rank(d, method="exact" if exact else "asymptotic", correction=not exact)
    return float(np.asarray(result)[1])


def mcnemar(a_right: Bool[np.ndarray, " n"], b_right: Bool[np.ndarray, " n"]) -> float:
    """Two-sided p that two classifiers are right equally often on the same independent units.

    Exact binomial for fewer than 25 units on which they differ, else chi-square with continuity correction.
    """
    only_a, only_b = int((a_right & ~b_right).sum()), int((b_right & ~a_right).sum())
    n = only_a + only_b
    if n == 0:
        return 1.0 if len(a_right) else np.nan
    if n < 25:
        return float(min(1.0, 2 * special.bdtr(min(only_a, only_b), n, 0.5)))
    return float(special.chdtrc(1, (abs(only_a - only_b) - 1) ** 2 / n))


def holm(p: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Holm-Bonferroni adjusted p-values of one family; NaN are not part of it and stay NaN."""
    adjusted = np.full(len(p), np.nan)
    known = np.isfinite(p)
    order = np.argsort(p[known], kind="stable")
    steps = np.maximum.accumulate(p[known][order] * np.arange(len(order), 0, -1)).clip(max=1)
    adjusted[known] = steps[np.argsort(order, kind="stable")]
    return adjusted


class DeLong(NamedTuple):
    """Areas under the ROC curve of several classifiers on the same units, and their covariance."""

    auc: Float[np.ndarray, " r"]
    covariance: Float[np.ndarray, "r r"]

    def interval(self, confidence: float = 0.95) -> list[tuple[float, float]]:
        """One interval per classifier, on the logit scale so that it stays within 0..1; NaN at an area of 0 or 1."""
        with np.errstate(divide="ignore", invalid="ignore"):
            centre = np.log(self.auc / (1 - self.auc))
            error = np.sqrt(np.diagonal(self.covariance)) / (self.auc * (1 - self.auc))
        z = special.ndtri((1 + confidence) / 2)
        # an area of 0 or 1 has no variance to build an interval from
        centre, error = (np.where(np.isfinite(centre), v, np.nan) for v in (centre, error))
        low, high = (1 / (1 + np.exp(-(centre + sign * z * error))) for sign in (-1, 1))
        return [(float(a), float(b)) for a, b in zip(low, high, strict=True)]

    def combined(self, coefficients: Float[np.ndarray, " r"] | Float[np.ndarray, "m r"]) -> "DeLong":
        """Weighted means of the areas, such as those over the trainings of each row; of one row of weights, one."""
        weights = np.atleast_2d(coefficients)
        return DeLong(weights @ self.auc, weights @ self.covariance @ weights.T)

    def p(self, i: int, j: int) -> float:
        """Two-sided p that classifiers i and j have the same area."""
        variance = self.covariance[i, i] + self.covariance[j, j] - 2 * self.covariance[i, j]
        difference = self.auc[i] - self.auc[j]
        if variance <= 1e-15:
            return 1.0 if abs(difference) < 1e-12 else np.nan
        return float(2 * special.ndtr(-abs(difference) / np.sqrt(variance)))


def delong(y: Int[np.ndarray, " n"], scores: Float[np.ndarray, "r n"]) -> DeLong:
    """DeLong, DeLong and Clarke-Pearson (1988), in the midrank form of Sun and Xu (2014), for independent units.

    Args:
        y: 1 for positive units, else 0.
        scores: one row per classifier; higher means more likely positive.

    Raises:
        ValueError: fewer than two positive or two negative units.
    """
    from scipy.stats import rankdata

    positive, negative = scores[:, y == 1], scores[:, y != 1]
    m, n = positive.shape[1], negative.shape[1]
    if min(m, n) < 2:
        raise ValueError(f"DeLong needs two units of each side, there are {m} positive and {n} negative")
    pooled = rankdata(np.concatenate([positive, negative], axis=1), axis=1)
    v10 = (pooled[:, :m] - rankdata(positive, axis=1)) / n
    v01 = 1 - (pooled[:, m:] - rankdata(negative, axis=1)) / m
    covariance = np.atleast_2d(np.cov(v10)) / m + np.atleast_2d(np.cov(v01)) / n
    return DeLong(v10.mean(axis=1), covariance)
