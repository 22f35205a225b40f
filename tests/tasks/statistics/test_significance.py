"""Tests of differences against SciPy and statsmodels, and their behaviour where there is nothing to test."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score
from statsmodels.stats.contingency_tables import mcnemar as sm_mcnemar
from statsmodels.stats.multitest import multipletests

from swath.tasks.metrics import auc
from swath.tasks.statistics.significance import delong, holm, mcnemar, nadeau_bengio, paired_t, t_interval, wilcoxon

NONE = np.array([])


@given(st.lists(st.floats(-1, 1).map(lambda v: round(v, 3)), min_size=2, max_size=40))
@settings(max_examples=60, deadline=None)
def test_paired_t_and_its_interval_equal_scipys(values):
    d = np.array(values)
    if np.ptp(d) < 1e-3:
        return
    result = stats.ttest_1samp(d, 0)
    interval = result.confidence_interval(0.95)
    assert paired_t(d) == pytest.approx(result.pvalue, abs=1e-12)
    assert t_interval(d) == pytest.approx((interval.low, interval.high))


def test_wilcoxon_equals_scipys_exact_and_approximate():
    rng = np.random.default_rng(0)
    few, ties = rng.normal(0.3, 1, 12), rng.integers(-3, 5, 60) / 10
    assert wilcoxon(few) == pytest.approx(stats.wilcoxon(few, method="exact").pvalue)
    approximate = stats.wilcoxon(ties, zero_method="wilcox", correction=True, method="asymptotic").pvalue
    assert wilcoxon(ties) == pytest.approx(approximate)


def test_nothing_to_test_is_nan_or_one_and_never_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for test in (paired_t, wilcoxon):
            assert np.isnan(test(NONE))
            assert np.isnan(test(np.array([0.3])))
            assert test(np.zeros(5)) == 1.0
        assert np.isnan(paired_t(np.full(5, 0.1)))
        assert np.isnan(paired_t(np.array([0.1, 0.3 - 0.2])))
        assert wilcoxon(np.full(6, 0.1)) < 0.05
        assert np.isnan(t_interval(np.array([0.1]))).all()
        assert paired_t(np.array([0.1, 0.2, np.nan])) == paired_t(np.array([0.1, 0.2]))


def test_nadeau_bengio_by_its_formula():
    d = np.array([0.02, 0.03, -0.01, 0.04, 0.01])
    t = d.mean() / np.sqrt((1 / 5 + 0.25) * d.var(ddof=1))
    assert nadeau_bengio(d, 0.25) == pytest.approx(2 * stats.t.sf(t, 4))
    assert nadeau_bengio(d, 0.25) > paired_t(d)


@pytest.mark.parametrize("n", [30, 400])
def test_mcnemar_equals_statsmodels(n):
    rng = np.random.default_rng(1)
    a, b = rng.random(n) < 0.8, rng.random(n) < 0.7
    table = [[(a & b).sum(), (a & ~b).sum()], [(~a & b).sum(), (~a & ~b).sum()]]
    exact = table[0][1] + table[1][0] < 25
    assert mcnemar(a, b) == pytest.approx(sm_mcnemar(table, exact=exact, correction=True).pvalue)


def test_mcnemar_of_equal_classifiers():
    right = np.array([True, False, True])
    assert mcnemar(right, right) == 1.0
    assert np.isnan(mcnemar(right[:0], right[:0]))


@pytest.mark.parametrize("p", [[0.3], [0.01, 0.01, 0.04, 0.9], [0.0, 1.0], np.random.default_rng(0).random(20) ** 3])
def test_holm_equals_statsmodels(p):
    assert holm(np.array(p)) == pytest.approx(multipletests(p, method="holm")[1])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
@settings(max_examples=40, deadline=None)
def test_holm_only_raises_p_and_keeps_their_order(values):
    p = np.array(values)
    adjusted = holm(p)
    assert (adjusted >= p).all()
    assert (adjusted <= 1).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()


def test_holm_leaves_out_what_was_not_tested():
    adjusted = holm(np.array([0.01, np.nan, 0.04]))
    assert adjusted[[0, 2]] == pytest.approx([0.02, 0.04])
    assert np.isnan(adjusted[1])
    assert np.isnan(holm(np.array([np.nan]))).all()
    assert not len(holm(NONE))


def two_classifiers(n=300, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    signal = y + rng.normal(0, 1.2, n)
    return y, np.stack([signal, signal + rng.normal(0, 1.0, n)])


def test_delong_areas_equal_scikit_learn_and_variances_the_definition():
    y, scores = two_classifiers(60)
    scores = np.round(scores, 1)
    found = delong(y, scores)
    assert found.auc == pytest.approx([roc_auc_score(y, s) for s in scores])
    # the definition: structural components from all pairs, ties counted half
    positive, negative = scores[:, y == 1], scores[:, y == 0]
    pairs = np.where(positive[:, :, None] == negative[:, None], 0.5, positive[:, :, None] > negative[:, None])
    v10, v01 = pairs.mean(2), pairs.mean(1)
    expected = np.cov(v10) / v10.shape[1] + np.cov(v01) / v01.shape[1]
    assert found.covariance == pytest.approx(expected)


def test_delong_and_bootstrap_agree():
    y, scores = two_classifiers()
    found = delong(y, scores)
    w = np.random.default_rng(0).multinomial(len(y), np.full(len(y), 1 / len(y)), 3000).astype(float)
    draws = np.stack([auc(y, s, w) for s in scores])
    assert np.sqrt(np.diagonal(found.covariance)) == pytest.approx(draws.std(axis=1), rel=0.1)
    assert found.interval()[0] == pytest.approx(np.quantile(draws[0], (0.025, 0.975)), abs=0.015)
    difference = draws[0] - draws[1]
    assert found.p(0, 1) == pytest.approx(2 * min((difference <= 0).mean(), (difference >= 0).mean()), abs=0.02)
    mean = found.combined(np.array([0.5, 0.5]))
    assert mean.interval()[0] == pytest.approx(np.quantile(draws.mean(0), (0.025, 0.975)), abs=0.015)


def test_delong_at_the_edges():
    y = np.array([0, 0, 0, 1, 1, 1])
    perfect = delong(y, np.stack([np.arange(6.0), np.arange(6.0)]))
    assert (perfect.auc == 1).all()
    assert np.isnan(perfect.interval()[0]).all()
    assert perfect.p(0, 1) == 1.0
    with pytest.raises(ValueError, match="1 positive and 5 negative"):
        delong(np.array([1, 0, 0, 0, 0, 0]), np.arange(6.0)[None])
