"""Sign flips: exact ones for few groups, honest under the null hypothesis, and of whole groups."""

import itertools

import numpy as np
import pytest
from scipy import stats

from swath.tasks.metrics import share_right as accuracy
from swath.tasks.statistics import resample


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
