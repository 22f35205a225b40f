"""The two-way jackknife against the analysis of variance, whose numbers it gives for means, and at its edges."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from swath.tasks import Source, Spread, has_verdict, number_of_equal_groups, spread, spread_of_folds


def of_mean(x):
    """What the jackknife needs of the mean of a table of places by trainings, all places of one fold."""
    value = x.mean(axis=0)
    without = (x.sum(axis=0) - x) / (len(x) - 1)
    rounds = x.shape[1]
    swapped = (value.sum() - value) / (rounds - 1) - value
    return spread(value, without, swapped[None], np.zeros(len(x), int))


@given(st.integers(2, 9), st.integers(2, 6), st.integers(0, 99))
def test_of_a_mean_it_is_the_analysis_of_variance(groups, rounds, seed):
    x = np.random.default_rng(seed).normal(size=(groups, rounds))
    found = of_mean(x)
    rest = x - x.mean(0) - x.mean(1, keepdims=True) + x.mean()
    assert found.value == pytest.approx(x.mean())
    assert found.places.variance == pytest.approx(x.mean(1).var(ddof=1) / groups)
    assert found.trainings.variance == pytest.approx(x.mean(0).var(ddof=1) / rounds)
    assert found.both == pytest.approx((rest**2).sum() / ((groups - 1) * (rounds - 1)) / (groups * rounds))
    assert (found.places.freedom, found.trainings.freedom) == (groups - 1, pytest.approx(rounds - 1))


def test_its_expectation_is_the_variance_of_repeated_experiments():
    rng, estimates, values = np.random.default_rng(0), [], []
    for _ in range(4000):
        x = rng.normal(0, 2, (12, 1)) + rng.normal(0, 1, (1, 4)) + rng.normal(0, 1.5, (12, 4))
        found = of_mean(x)
        estimates.append(found.places.variance + found.trainings.variance - found.both)
        values.append(found.value)
    assert np.mean(estimates) == pytest.approx(np.var(values), rel=0.06)


@given(st.integers(0, 99), st.floats(0.5, 0.999))
def test_interval_and_p_are_one_calculation(seed, confidence):
    found = of_mean(np.random.default_rng(seed).normal(0.3, 1, (8, 3)))
    low, high = found.interval(confidence)
    assert (low <= 0 <= high) == (found.p() >= 1 - confidence)


def test_with_one_source_it_is_students_t():
    x = np.random.default_rng(0).normal(0.5, 1, 10)
    found = Spread(float(x.mean()), Source(x.var(ddof=1) / 10, 9.0), Source(0.0, np.inf), 0.0)
    expected = stats.ttest_1samp(x, 0)
    assert found.p() == pytest.approx(expected.pvalue)
    assert found.interval(0.9) == pytest.approx(tuple(expected.confidence_interval(0.9)))


def test_the_quantile_is_cochrans():
    found = Spread(1.0, Source(3.0, 17.0), Source(1.0, 2.0), 0.0)
    expected = (3 * stats.t.ppf(0.975, 17) + stats.t.ppf(0.975, 2)) / 4
    assert found.quantile(0.025) == pytest.approx(expected)
    assert found.interval()[1] == pytest.approx(1 + expected * 2)
    assert found.training_share == pytest.approx(0.25)


def test_folds_have_trainings_of_their_own():
    """A mean over all places; trainings are lucky or not in one fold at a time."""
    rng = np.random.default_rng(0)
    x, fold = rng.normal(size=(12, 3)), np.repeat([0, 1], [4, 8])
    x += rng.normal(size=(2, 3))[fold]
    value = x.mean(axis=0)
    without = (x.sum(axis=0) - x) / 11
    mean_of = np.stack([x[fold == f].sum(axis=0) / 12 for f in (0, 1)])
    swapped = (mean_of.sum(axis=1, keepdims=True) - mean_of) / 2 - mean_of
    found = spread(value, without, swapped, fold)
    assert found.trainings.variance == pytest.approx(sum(mean_of[f].var(ddof=1) / 3 for f in (0, 1)))
    assert 2 < found.trainings.freedom <= 4


def test_luck_in_one_fold_is_no_interaction():
    fold = np.repeat([0, 1], 6)
    x = np.array([[1.0, -1.0, 0.0], [-2.0, 0.0, 2.0]])[fold]
    found = spread(x.mean(0), (x.sum(0) - x) / 11, np.zeros((2, 3)), fold)
    assert found.both == pytest.approx(0, abs=1e-12)


def test_one_training_says_nothing_of_luck():
    x = np.random.default_rng(0).normal(1, 1, (9, 1))
    found = spread(x.mean(0), (x.sum(0) - x) / 8, np.zeros((1, 1)), np.zeros(9, int))
    assert np.isnan(found.p())
    assert np.isnan(found.interval()).all()
    of_these_networks = replace(found, trainings=Source(0.0, np.inf))
    assert of_these_networks.p() == pytest.approx(stats.ttest_1samp(x[:, 0], 0).pvalue)


def test_one_place_says_nothing():
    found = spread(np.array([0.1, 0.2]), np.full((1, 2), np.nan), np.zeros((1, 2)), np.zeros(1, int))
    assert np.isnan(found.p())


def test_a_row_against_itself_is_no_difference():
    found = of_mean(np.zeros((5, 3)))
    assert (found.value, found.p(), found.interval()) == (0, 1, (0, 0))
    certain = of_mean(np.ones((5, 3)))
    assert np.isnan(certain.p())


def test_with_one_training_a_fold_the_fold_is_the_unit():
    x = np.array([0.1, 0.3, 0.2, 0.5])
    found = spread_of_folds(float(x.mean()), (x.sum() - x) / 3)
    assert found.p() == pytest.approx(stats.ttest_1samp(x, 0).pvalue)


def test_what_a_design_could_have_seen():
    """Of normal values with a known variance: a quantile for the level and one for the power."""
    found = Spread(0.0, Source(4.0, np.inf), Source(0.0, np.inf), 0.0)
    assert found.detectable() == pytest.approx((stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) * 2)


def test_unequal_groups_say_as_much_as_fewer_equal_ones():
    assert number_of_equal_groups(np.full(12, 30)) == pytest.approx(12)
    # half of all in one group: 1 / (1/4 + 17 / 34^2)
    assert number_of_equal_groups(np.r_[17, np.ones(17, int)]) == pytest.approx(1 / (0.25 + 17 / 34**2))


@pytest.mark.parametrize(
    ("trainings", "sizes", "expected"),
    [
        (3, np.ones(8, int), True),
        (2, np.ones(60, int), False),
        (5, np.ones(7, int), False),
        (5, np.r_[17, np.ones(17, int)], False),
    ],
)
def test_designs_that_get_a_verdict(trainings, sizes, expected):
    assert has_verdict(trainings, sizes) == expected


def test_more_of_either_makes_it_narrower():
    found = Spread(0.0, Source(4.0, 9.0), Source(2.0, 2.0), 1.0)
    assert found.enlarged() == found
    more = found.enlarged(places=2.0, trainings=3.0)
    assert more.places == Source(2.0, 19.0)
    assert more.trainings.variance == pytest.approx(2 / 3)
    assert more.trainings.freedom == 8
    assert more.both == pytest.approx(1 / 6)
    unknown = Spread(0.0, Source(4.0, 9.0), Source(0.0, 0.0), 0.0)
    assert np.isnan(unknown.enlarged(trainings=3.0).detectable()), "one training says nothing of three"
