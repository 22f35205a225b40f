"""Probabilities: against plain transcriptions, closed forms, scikit-learn and simulation."""

import numpy as np
import pytest
from scipy import optimize, special, stats
from sklearn.metrics import log_loss

from swath.tasks.statistics import probabilities as p


def simulated(rng, n=600, k=4, sharpness=1.0):
    """Scores, and labels that are drawn from them: perfectly calibrated where the sharpness is 1."""
    logits = rng.normal(size=(n, k)) * 2
    true = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    y = (rng.random((n, 1)) > np.cumsum(true, 1)).sum(1).clip(max=k - 1)
    said = np.exp(sharpness * logits)
    return said / said.sum(1, keepdims=True), y


def top(scores, y):
    return scores.max(1), scores.argmax(1) == y


def test_errors_are_those_of_a_plain_transcription():
    scores, y = simulated(np.random.default_rng(0), n=90, sharpness=2.0)
    confidence, right = top(scores, y)
    ece = squared = chance = 0.0
    for own in np.array_split(np.argsort(confidence), 15):
        f, hit = confidence[own], right[own].astype(float)
        ece += len(own) / 90 * abs(hit.mean() - f.mean())
        squared += len(own) / 90 * ((hit.mean() - f.mean()) ** 2 - (hit - f).var(ddof=1) / len(own))
        chance += np.sqrt(2 / np.pi * (f * (1 - f)).sum()) / 90
    found = p.reliability(confidence, right)
    assert found.error == pytest.approx(ece)
    assert found.squared == pytest.approx(squared)
    assert found.by_chance == pytest.approx(chance)
    assert found.count.tolist() == [6] * 15


def test_debiased_error_of_scores_that_are_constant_in_a_bin_is_kumars():
    confidence, right = np.repeat([0.6, 0.9], [10, 20]), np.arange(30) % 3 != 0
    expected = 0.0
    for level, n in ((0.6, 10), (0.9, 20)):
        mean = right[confidence == level].mean()
        expected += n / 30 * ((level - mean) ** 2 - mean * (1 - mean) / (n - 1))
    assert p.reliability(confidence, right).squared == pytest.approx(expected)


def test_perfect_calibration_has_no_debiased_error_and_the_plain_error_of_chance():
    rng = np.random.default_rng(1)
    found = [p.reliability(*top(*simulated(rng))) for _ in range(100)]
    squared = np.array([one.squared for one in found])
    assert abs(squared.mean()) < 3 * squared.std(ddof=1) / 10
    plain = np.array([one.error for one in found])
    assert plain.mean() == pytest.approx(np.mean([one.by_chance for one in found]), rel=0.06)
    assert plain.mean() > 0.03  # which an unwary reader would take for miscalibration
    sharp = p.reliability(*top(*simulated(rng, sharpness=3.0)))
    assert sharp.debiased > 0.1


def test_temperature_undoes_what_made_the_scores_too_sharp():
    scores, y = simulated(np.random.default_rng(2), n=6000, sharpness=2.5)
    found = p.best_temperature(scores, y)
    assert found == pytest.approx(2.5, rel=0.05)
    grid = [log_loss(y, p.heated(scores, found * factor)) for factor in (0.98, 1.0, 1.02)]
    assert p.surprise(p.heated(scores, found), y) == pytest.approx(grid[1])
    assert min(grid) == grid[1]
    assert p.reliability(*top(p.heated(scores, found), y)).debiased < 0.03


def test_temperature_of_labels_that_say_nothing_stays_in_its_range():
    scores, y = simulated(np.random.default_rng(3), n=50)
    assert p.best_temperature(scores, scores.argmax(1)) == pytest.approx(1 / 64)
    assert p.best_temperature(scores, scores.argmin(1)) == pytest.approx(64)
    assert p.best_temperature(np.full((5, 3), 1 / 3), np.zeros(5, int)) == 1.0
    assert p.best_temperature(scores[:0], y[:0]) == 1.0
    one_hot = np.eye(4)[scores.argmax(1)]  # a forest whose trees all agree
    assert np.isfinite(p.surprise(p.heated(one_hot, p.best_temperature(one_hot, y)), y))


def test_risk_by_coverage_with_and_without_ties():
    right = np.array([True, False, True, True])
    assert p.risk_by_coverage(np.array([0.9, 0.8, 0.7, 0.6]), right) == pytest.approx([0, 1 / 2, 1 / 3, 1 / 4])
    assert p.risk_by_coverage(np.full(4, 0.5), right) == pytest.approx([0.25] * 4)
    # the mean over both orders of the tied two
    tied = p.risk_by_coverage(np.array([0.9, 0.8, 0.8, 0.6]), right)
    orders = [p.risk_by_coverage(np.array([0.9, b, c, 0.6]), right) for b, c in ((0.8, 0.7), (0.7, 0.8))]
    assert tied == pytest.approx(np.mean(orders, axis=0))


def test_strangeness_and_threshold_on_small_numbers():
    scores = np.array([[0.5, 0.2, 0.3]])
    assert p.lac(scores) == pytest.approx(np.array([[0.5, 0.8, 0.7]]))
    assert p.aps(scores) == pytest.approx(np.array([[0.5, 1.0, 0.8]]))
    strange = np.array([0.4, 0.1, 0.3, 0.2, 0.5, 0.6, 0.7, 0.8, 0.9])
    assert p.conformal_threshold(strange, 0.1) == 0.9  # the ceil(10 * 0.9) = 9th of nine
    assert p.conformal_threshold(strange, 0.2) == 0.8
    assert p.conformal_threshold(strange[:8], 0.1) == np.inf


@pytest.mark.parametrize("strangeness", [p.lac, p.aps])
def test_sets_cover_as_often_as_they_promise(strangeness):
    rng, alpha, n = np.random.default_rng(4), 0.1, 99
    covered = []
    for _ in range(200):
        scores, y = simulated(rng, n=n + 50, sharpness=3.0)  # badly calibrated: the promise does not need that
        own = strangeness(scores)[np.arange(len(y)), y]
        covered.append((own[n:] <= p.conformal_threshold(own[:n], alpha)).mean())
    mean, error = np.mean(covered), np.std(covered, ddof=1) / np.sqrt(200)
    assert mean > 1 - alpha - 3 * error
    assert mean < 1 - alpha + 1 / (n + 1) + 3 * error + (0.02 if strangeness is p.aps else 0)


def test_groups_are_held_out_whole_and_each_once():
    group = np.array(["a", "b", "c"] * 20 + [f"g{i}" for i in range(30)])
    parts = list(p.held_out(group))
    assert len(parts) == 5
    assert np.sum(parts, axis=0).tolist() == [1] * len(group)
    assert all(not set(group[part]) & set(group[~part]) for part in parts)
    assert list(p.held_out(np.array(["a"] * 5))) == []


def test_calibrated_apart_takes_nothing_of_the_own_group():
    scores, y = simulated(np.random.default_rng(5), n=200, sharpness=2.0)
    group = np.repeat(["a", "b"], 100)
    told = p.calibrated_apart(scores, y, group, 0.1)
    assert told.temperature[0] == p.best_temperature(scores[100:], y[100:])
    assert told.scores[:100] == pytest.approx(p.heated(scores[:100], told.temperature[0]))
    threshold = np.sort(1 - scores[np.arange(100, 200), y[100:]])[90]  # ceil(101 * 0.9) = 91st
    assert (told.by_lac[:100] == (1 - scores[:100] <= threshold)).all()
    assert p.calibrated_apart(scores, y, np.repeat("a", 200), 0.1) is None


def test_calibrated_on_other_units_is_what_scipy_and_numpy_find():
    scores, y = simulated(np.random.default_rng(6), n=400, sharpness=2.0)
    told = p.calibrated_on(scores[:100], scores[100:], y[100:], 0.1)
    logits = np.log(scores[100:])
    found = optimize.minimize_scalar(
        lambda t: -special.log_softmax(logits / t, axis=1)[np.arange(300), y[100:]].sum(), bounds=(0.1, 10)
    )
    assert told.temperature == pytest.approx(np.full(100, found.x), rel=1e-3)
    assert told.scores == pytest.approx(special.softmax(np.log(scores[:100]) / found.x, axis=1), abs=1e-3)
    level = np.ceil(301 * 0.9) / 300
    strange = 1 - scores[np.arange(100, 400), y[100:]]
    assert (told.by_lac == (1 - scores[:100] <= np.quantile(strange, level, method="inverted_cdf"))).all()
    # adaptive sets: classes from the likeliest on, until their sum is beyond the threshold
    order = np.argsort(-scores, axis=1)
    rank = np.argsort(order, axis=1)
    sums = np.take_along_axis(np.cumsum(np.take_along_axis(scores, order, 1), axis=1), rank, 1)
    threshold = np.quantile(sums[np.arange(100, 400), y[100:]], level, method="inverted_cdf")
    assert (told.by_aps == (sums[:100] <= threshold)).all()
    # too few to promise anything: all classes
    assert p.calibrated_on(scores[:5], scores[5:10], y[5:10], 0.1).by_lac.all()


def test_one_unit_and_none():
    assert np.isnan(p.reliability(np.array([0.7]), np.array([True])).squared)
    assert p.reliability(np.array([0.7]), np.array([True])).error == pytest.approx(0.3)
    assert np.isnan(p.reliability(np.empty(0), np.empty(0, bool)).error)


def test_uncertainty_is_the_entropy_as_a_share_of_the_largest():
    scores = np.random.default_rng(0).dirichlet(np.ones(4), 50)
    expected = stats.entropy(scores, axis=1, base=4)
    np.testing.assert_allclose(p.uncertainty(scores), expected, atol=1e-10)
    np.testing.assert_allclose(p.uncertainty(scores.T, axis=0), expected, atol=1e-10)
    assert p.uncertainty(np.array([[1.0, 0.0]])).tolist() == [0.0]
