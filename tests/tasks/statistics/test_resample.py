"""Resampling: intervals that cover, flips that are exact."""

import itertools

import numpy as np
import pytest
from scipy import stats

from swath.tasks.metrics import share_right as accuracy
from swath.tasks.statistics import resample


def test_weights_draw_every_group_once_on_average():
    w = resample.weights(7, 4000, 0)
    assert (w.sum(1) == 7).all()
    assert w.mean(0) == pytest.approx(np.ones(7), abs=0.06)
    assert (w == resample.weights(7, 4000, 0)).all()


def test_few_groups_are_flipped_exhaustively_and_the_data_come_first():
    signs = resample.flips(4, 99, 0)
    assert {tuple(row) for row in signs} == set(itertools.product((-1.0, 1.0), repeat=4))
    assert (signs[0] == 1).all()
    many = resample.flips(40, 99, 0)
    assert many.shape == (100, 40)
    assert (many[0] == 1).all()
    assert set(np.unique(many)) == {-1.0, 1.0}


def test_flip_p_equals_scipys_exact_permutation_test():
    rng = np.random.default_rng(0)
    d = rng.normal(0.5, 1, 9)
    ours = resample.flip_p(resample.flips(9, 99, 0) @ d)
    theirs = stats.permutation_test((d,), np.mean, permutation_type="samples", n_resamples=np.inf, vectorized=True)
    assert ours == pytest.approx(theirs.pvalue)


def test_the_p_of_a_flip_test_is_honest_without_a_difference():
    """Under the null hypothesis p < 0.1 happens in one of ten cases, whatever the groups' sizes."""
    rng = np.random.default_rng(1)
    signs = resample.flips(10, 99, 0)
    sizes = rng.integers(1, 30, 10)
    p = [resample.flip_p(signs @ (sizes * rng.standard_t(3, 10))) for _ in range(600)]
    assert 0.06 < np.mean(np.array(p) <= 0.1) < 0.14


def test_paired_flips_swap_whole_groups():
    rng = np.random.default_rng(2)
    a, b = rng.integers(0, 5, (2, 3, 1, 2, 2)).astype(float)
    signs = resample.flips(3, 99, 0)
    ours = resample.paired_flips(a, b, signs, lambda cm: accuracy(cm).mean(-1))
    for row, value in zip(signs, ours, strict=True):
        swapped_a = np.where(row[:, None, None, None] > 0, a, b).sum(0)
        swapped_b = np.where(row[:, None, None, None] > 0, b, a).sum(0)
        assert value == pytest.approx(accuracy(swapped_a).mean() - accuracy(swapped_b).mean())


@pytest.mark.parametrize("kind", ["percentile", "bca"])
def test_intervals_of_clustered_units_cover(kind):
    """95 % intervals of an accuracy whose units come in correlated clusters hold the truth in about 95 % of worlds."""
    rng = np.random.default_rng(3)
    groups, per_group, worlds, hits = 40, 10, 150, 0
    for world in range(worlds):
        rates = rng.beta(6, 2, groups)
        right = rng.binomial(per_group, rates)
        cm = np.zeros((groups, 2, 2))
        cm[:, 0, 0], cm[:, 0, 1] = right, per_group - right
        draws = accuracy(np.tensordot(resample.weights(groups, 400, world), cm, axes=1))
        total = cm.sum(0)
        low, high = (
            resample.percentile(draws)
            if kind == "percentile"
            else resample.bca(draws, float(accuracy(total)), accuracy(total - cm))
        )
        hits += low <= 0.75 <= high
    assert 0.88 <= hits / worlds <= 0.99


def test_an_interval_over_units_instead_of_groups_would_be_too_narrow():
    """Why groups are drawn: with correlated units the naive bootstrap claims a precision that is not there."""
    rng = np.random.default_rng(4)
    right = rng.random((30, 20)) < rng.beta(1, 1, (30, 1))
    by_group = (resample.weights(30, 1000, 0) @ right.mean(1)) / 30
    by_unit = (resample.weights(600, 1000, 0) @ right.ravel()) / 600
    assert by_group.std() > 2 * by_unit.std()


def test_bca_equals_scipys():
    rng = np.random.default_rng(5)
    x = rng.exponential(size=25)
    w = resample.weights(25, 4000, 0)
    jackknife = np.array([np.delete(x, i).mean() for i in range(25)])
    ours = resample.bca(w @ x / 25, float(x.mean()), jackknife)
    theirs = stats.bootstrap((x,), np.mean, n_resamples=4000, method="BCa", rng=0).confidence_interval
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.03)


def test_degenerate_intervals():
    assert np.isnan(resample.percentile(np.full(10, np.nan))).all()
    assert resample.bca(np.ones(50), 1.0, np.ones(8)) == (1.0, 1.0)
    low, high = resample.percentile(np.r_[np.arange(101.0), np.nan])
    assert (low, high) == pytest.approx((2.5, 97.5))
