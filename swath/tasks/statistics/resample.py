"""The sign-flip test: how often chance alone would tell two rows apart, if the groups could have been swapped.

Units of one group (tiles of a scene, chips of a cluster) are not independent, so groups are flipped, never units. The
test takes the trained networks as they are: other trainings are no part of its chance.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

EXACT_GROUPS = 13
"""Up to this many groups all 2^n sign flips are tried; beyond it a random sample of them."""


def flips(groups: int, resamples: int, seed: int) -> Float[np.ndarray, "b g"]:
    """Signs +1 or -1 per group; the first row leaves the data as they are.

    Args:
        groups: number of groups; with few of them all combinations are returned.
        resamples: number of random rows otherwise.
        seed: of the random signs.
    """
    if groups <= EXACT_GROUPS:
        bits = (np.arange(2**groups)[:, None] >> np.arange(groups)) & 1
        return 1.0 - 2.0 * bits
    signs = np.random.default_rng(seed).integers(0, 2, size=(resamples + 1, groups)) * 2.0 - 1.0
    signs[0] = 1.0
    return signs


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
