"""Resampling by group: bootstrap weights, intervals, and the sign-flip test.

Units of one group (tiles of a scene, chips of a cluster) are not independent, so groups are drawn, never units. A draw
is a row of weights, so one matrix product resamples a statistic for all draws; the same rows serve all seeds and all
rows of a task's tables, which is what makes differences paired.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr, ndtri

EXACT_GROUPS = 13
"""Up to this many groups all 2^n sign flips are tried; beyond it a random sample of them."""


def weights(groups: int, resamples: int, seed: int) -> Float[np.ndarray, "b g"]:
    """Cluster bootstrap: how often each of the groups is drawn in each resample; rows sum to the number of groups."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(groups, np.full(groups, 1 / groups), size=resamples).astype(np.float64)


def flips(groups: int, resamples: int, seed: int) -> Float[np.ndarray, "b g"]:
    """Signs +1 or -1 per group: every combination for few groups, else random ones. The first row is the data as is."""
    if groups <= EXACT_GROUPS:
        bits = (np.arange(2**groups)[:, None] >> np.arange(groups)) & 1
        return 1.0 - 2.0 * bits
    signs = np.random.default_rng(seed).integers(0, 2, size=(resamples + 1, groups)) * 2.0 - 1.0
    signs[0] = 1.0
    return signs


def percentile(draws: Float[np.ndarray, " b"], confidence: float = 0.95) -> tuple[float, float]:
    """Percentile interval; draws without a value (NaN) are left out, and (NaN, NaN) is returned if all are."""
    draws = draws[~np.isnan(draws)]
    if not len(draws):
        return np.nan, np.nan
    low, high = np.quantile(draws, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def bca(
    draws: Float[np.ndarray, " b"], value: float, jackknife: Float[np.ndarray, " g"], confidence: float = 0.95
) -> tuple[float, float]:
    """Bias-corrected and accelerated interval (Efron 1987).

    Args:
        draws: the statistic in each resample.
        value: the statistic of the data.
        jackknife: the statistic with each group left out in turn.
        confidence: coverage.

    Returns:
        The interval; the percentile interval where the correction has no finite value (no spread, or a value outside
        all draws).
    """
    draws = draws[~np.isnan(draws)]
    left = np.nanmean(jackknife) - jackknife[~np.isnan(jackknife)]
    spread = (left**2).sum()
    share = ((draws < value).mean() + (draws <= value).mean()) / 2 if len(draws) else 0.0
    if not 0 < share < 1 or spread <= 0:
        return percentile(draws, confidence)
    bias, acceleration = ndtri(share), (left**3).sum() / (6 * spread**1.5)
    z = bias + ndtri([(1 - confidence) / 2, (1 + confidence) / 2])
    low, high = np.quantile(draws, ndtr(bias + z / (1 - acceleration * z)))
    return float(low), float(high)


def flip_p(differences: Float[np.ndarray, " b"]) -> float:
    """Two-sided p of a sign-flip test: share of flips that are at least as far from 0 as the data, which come first."""
    if not np.isfinite(differences[0]):
        return np.nan
    # equal up to rounding counts as equal: otherwise the mirror image of the data would not
    extreme = np.abs(differences) >= np.abs(differences[0]) * (1 - 1e-9) - 1e-12
    return float(extreme.mean())


def paired_flips(
    a: Float[np.ndarray, "g s *matrix"],
    b: Float[np.ndarray, "g s *matrix"],
    signs: Float[np.ndarray, "b g"],
    statistic: Callable[[np.ndarray], np.ndarray],
) -> Float[np.ndarray, " b"]:
    """Difference of a statistic when the two rows swap their predictions in the groups whose sign is -1.

    Args:
        a: confusion matrices of one row by group and seed (or band).
        b: those of the other row.
        signs: see `flips`.
        statistic: matrices `... s *matrix` to values `...`.
    """
    mean = (a.sum(0) + b.sum(0)) / 2
    half = np.tensordot(signs, (a - b) / 2, axes=1)
    return statistic(mean + half) - statistic(mean - half)
