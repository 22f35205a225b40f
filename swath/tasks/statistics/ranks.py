"""Rows over several data sets: average ranks, Friedman's test, and by how much two averages must differ (Nemenyi).

After Demšar 2006, "Statistical comparisons of classifiers over multiple data sets". A data set is one observation: how
many locations, groups or trainings stand behind a value makes no difference here.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float
from scipy import special

LEAST_DATA_SETS, LEAST_ROWS = 5, 3
"""With fewer data sets Friedman's test, in either form, finds up to four times as many differences between equal rows
as its level says (simulated); two rows are what a sign test is for."""


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Average ranks of rows over data sets, 1 for the best, and what chance makes of them."""

    rows: tuple[str, ...]
    """Best first."""
    data_sets: int
    average: Float[np.ndarray, " k"]
    chi_square: float
    """Friedman's statistic, corrected for ties."""
    p_chi_square: float
    f: float
    """Iman and Davenport's form of it, which is less conservative; infinite where all data sets agree."""
    p_f: float
    critical_difference: float
    """Averages of two rows that differ by less are not distinguishable (Nemenyi)."""

    def groups(self) -> list[tuple[int, int]]:
        """First and last position of each longest run of rows that are not distinguishable from each other."""
        far = [int(np.searchsorted(self.average - one, self.critical_difference) - 1) for one in self.average]
        return [(i, last) for i, last in enumerate(far) if last > i and (i == 0 or last > far[i - 1])]


def too_few(data_sets: int, rows: int) -> str:
    """Why ranks over so many data sets are not tested; empty if they are."""
    if rows < LEAST_ROWS:
        return f"ranks take {LEAST_ROWS} rows or more that all data sets have, and there are {rows}"
    if data_sets < LEAST_DATA_SETS:
        return (
            f"ranks over {data_sets} data sets say nothing: with {rows} rows, averages would have to differ by "
            f"{critical_difference(rows, data_sets):.1f} of at most {rows - 1}, and the test of all rows together "
            f"holds its level from {LEAST_DATA_SETS} data sets on"
        )
    return ""


def rank_rows(scores: Float[np.ndarray, "n k"], rows: tuple[str, ...], alpha: float = 0.05) -> Ranking:
    """Average ranks of rows over data sets, with Friedman's test and Nemenyi's critical difference.

    Args:
        scores: of each row on each data set, more is better; equal scores share their ranks.
        rows: their names.
        alpha: level of the critical difference.

    Raises:
        ValueError: there are too few data sets or rows, or a score is missing.
    """
    from scipy.stats import rankdata

    n, k = scores.shape
    if reason := too_few(n, k):
        raise ValueError(reason)
    if not np.isfinite(scores).all():
        raise ValueError("every row needs a score on every data set")
    ranks = rankdata(-scores, axis=1)
    average = ranks.mean(axis=0)
    # without ties the sum of squares is n k (k + 1)² / 4 + n k (k² - 1) / 12
    spread = float((ranks**2).sum() / n - k * (k + 1) ** 2 / 4)
    between = float((average**2).sum() - k * (k + 1) ** 2 / 4)
    chi_square = n * (k - 1) * between / spread if spread > 0 else 0.0
    rest = n * (k - 1) - chi_square
    f = (n - 1) * chi_square / rest if rest > 1e-9 * n * k else np.inf
    order = np.argsort(average, kind="stable")
    return Ranking(
        rows=tuple(rows[i] for i in order),
        data_sets=n,
        average=average[order],
        chi_square=chi_square,
        p_chi_square=float(special.chdtrc(k - 1, chi_square)),
        f=float(f),
        p_f=float(special.fdtrc(k - 1, (k - 1) * (n - 1), f)) if np.isfinite(f) else 0.0,
        critical_difference=critical_difference(k, n, alpha),
    )


def critical_difference(rows: int, data_sets: int, alpha: float = 0.05) -> float:
    """By how much the average ranks of two of so many rows must differ over so many data sets (Nemenyi)."""
    return _quantile(rows, alpha) * float(np.sqrt(rows * (rows + 1) / (6 * data_sets)))


@cache  # an integral, which takes a while
def _quantile(rows: int, alpha: float) -> float:
    from scipy.stats import studentized_range

    return float(studentized_range.ppf(1 - alpha, rows, np.inf)) / float(np.sqrt(2))
