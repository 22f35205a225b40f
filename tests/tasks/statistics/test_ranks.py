"""Ranks over data sets, against Demšar's worked example and SciPy."""

import numpy as np
import pytest
from scipy import stats

from swath.tasks.statistics import rank_rows, too_few
from swath.tasks.statistics.ranks import critical_difference

NAMES = ("C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf")
DEMSAR = np.array(  # table 6 of Demšar 2006: areas under curves; on "voting" (last but one) the last two ranks differ
    [
        *([0.763, 0.768, 0.771, 0.798], [0.599, 0.591, 0.590, 0.569], [0.954, 0.971, 0.968, 0.967]),
        *([0.628, 0.661, 0.654, 0.657], [0.882, 0.888, 0.886, 0.898], [0.936, 0.931, 0.916, 0.931]),
        *([0.661, 0.668, 0.609, 0.685], [0.583, 0.583, 0.563, 0.625], [0.775, 0.838, 0.866, 0.875]),
        *([1.000, 1.000, 1.000, 1.000], [0.940, 0.962, 0.965, 0.962], [0.619, 0.666, 0.614, 0.669]),
        *([0.972, 0.981, 0.975, 0.9749], [0.957, 0.978, 0.946, 0.970]),
    ]
)


def test_demsars_worked_example():
    ranking = rank_rows(DEMSAR, NAMES)
    assert ranking.rows == ("C4.5+m+cf", "C4.5+m", "C4.5+cf", "C4.5")
    assert ranking.average == pytest.approx([1.964, 2.000, 2.893, 3.143], abs=5e-4)
    assert ranking.critical_difference == pytest.approx(1.25, abs=0.005)
    assert critical_difference(4, 14, alpha=0.1) == pytest.approx(1.12, abs=0.005)
    assert ranking.groups() == [(0, 3)]  # 3.143 - 1.964 < 1.25: at 5 % Nemenyi's test tells nothing apart
    assert rank_rows(DEMSAR, NAMES, alpha=0.1).groups() == [(0, 2), (2, 3)]
    # the paper's 9.28 and 3.69 leave ties uncorrected
    untied = 12 * 14 / 20 * ((ranking.average**2).sum() - 4 * 25 / 4)
    assert untied == pytest.approx(9.28, abs=0.01)
    assert 13 * untied / (14 * 3 - untied) == pytest.approx(3.69, abs=0.005)


def test_friedmans_statistic_is_scipys_also_with_ties():
    rng = np.random.default_rng(0)
    for scores in (rng.random((7, 5)), rng.integers(0, 3, (9, 4)).astype(float), DEMSAR):
        ranking = rank_rows(scores, tuple("abcdefgh"[: scores.shape[1]]))
        expected = stats.friedmanchisquare(*scores.T)
        assert (ranking.chi_square, ranking.p_chi_square) == pytest.approx(tuple(expected))
        n, k = scores.shape
        f = (n - 1) * expected[0] / (n * (k - 1) - expected[0])
        assert ranking.p_f == pytest.approx(stats.f.sf(f, k - 1, (k - 1) * (n - 1)))


def test_nothing_differs_and_all_agree():
    same = rank_rows(np.ones((6, 3)), ("a", "b", "c"))
    assert (same.chi_square, same.p_chi_square, list(same.average)) == (0, 1, [2, 2, 2])
    agreed = rank_rows(np.tile([3.0, 2.0, 1.0], (6, 1)), ("a", "b", "c"))
    assert agreed.p_f == 0
    assert agreed.chi_square == pytest.approx(12)
    assert agreed.groups() == [(0, 1), (1, 2)]  # 1.35 ranks are asked for: only first and last differ


def test_too_few_data_sets_or_rows_are_refused_with_the_reason():
    assert "ranks over 4 data sets say nothing: with 3 rows" in too_few(4, 3)
    assert "3 rows or more that all data sets have, and there are 2" in too_few(14, 2)
    assert too_few(5, 3) == ""
    with pytest.raises(ValueError, match="ranks over 4 data sets"):
        rank_rows(DEMSAR[:4], NAMES)
    with pytest.raises(ValueError, match="a score on every data set"):
        rank_rows(np.where(DEMSAR == 0.763, np.nan, DEMSAR), NAMES)


def test_200_rows_are_ranked():
    ranking = rank_rows(np.random.default_rng(1).random((8, 200)), tuple(map(str, range(200))))
    assert ranking.critical_difference == pytest.approx(4.593 * np.sqrt(200 * 201 / 48), rel=1e-3)
