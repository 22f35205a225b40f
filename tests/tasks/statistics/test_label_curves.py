"""Labels saved and crossovers: against curves that are known, and against a transcription of the jackknife."""

import numpy as np
import pytest
from scipy import optimize

from swath.tasks.statistics import LabelCurve, LeftOut, RowIdentity, crossover, labels_saved, spread

GROUPS, TRAININGS = 30, 4
LABELS = np.array([10.0, 100.0, 1000.0])
ARM, SCRATCH = RowIdentity("s4", "pretrained", "s4"), RowIdentity("scratch", "scratch", "s4")


def taken_apart(mean, rng, noise=0.05):
    """Accuracy of groups of equal size in each training, and what becomes of it without each."""
    by_group = mean + noise * rng.standard_normal((GROUPS, 1)) + noise * rng.standard_normal((GROUPS, TRAININGS))
    value = by_group.mean(axis=0)
    without = (by_group.sum(axis=0) - by_group) / (GROUPS - 1)
    swapped = ((value.sum() - value) / (TRAININGS - 1) - value)[None]
    return LeftOut(value, without, value[None], np.zeros(GROUPS, int), swapped)


def curve(row, means, seed=0, labels=LABELS, noise=0.05):
    rng = np.random.default_rng(seed)
    return LabelCurve(row, labels, tuple(taken_apart(mean, rng, noise) for mean in means))


def middle(curve, n):
    return float(np.interp(np.log(n), np.log(curve.labels), [part.value.mean() for part in curve.parts]))


def test_a_curve_is_straight_in_log_labels():
    one = curve(ARM, [0.4, 0.6, 0.7])
    for n in (10.0, 31.6, 100.0, 700.0, 1000.0):
        assert one.at(n).value.mean() == pytest.approx(middle(one, n))


def test_labels_saved_are_where_the_curve_has_the_others_value():
    a, b = curve(ARM, [0.4, 0.6, 0.7]), curve(SCRATCH, [0.2, 0.5, 0.65], seed=1)
    found = labels_saved(a, b, 100.0)
    needed = optimize.brentq(lambda n: middle(a, n) - middle(b, 100.0), 10, 1000)
    assert found.value == pytest.approx(100 / needed, rel=0.01)
    assert (found.beyond, found.is_low_open, found.is_high_open) == ("", False, False)

    # the ends of the interval: where the jackknife's own interval of the difference ends at 0
    def end(which, n):
        t = np.log10(n) - 1
        parts = [(1 - t, a.parts[0]), (t, a.parts[1]), (-1.0, b.parts[1])]
        of = {name: sum(w * getattr(p, name) for w, p in parts) for name in ("value", "without_group", "swapped")}
        return spread(of["value"], of["without_group"], of["swapped"], np.zeros(GROUPS, int)).interval()[which]

    assert found.high == pytest.approx(100 / optimize.brentq(lambda n: end(1, n), 10, 100), rel=0.01)
    assert found.low == pytest.approx(100 / optimize.brentq(lambda n: end(0, n), 10, 100), rel=0.01)
    assert found.low < found.value < found.high


def test_nothing_is_extrapolated():
    a, b = curve(ARM, [0.6, 0.7, 0.8]), curve(SCRATCH, [0.2, 0.3, 0.4], seed=1)
    far = labels_saved(a, b, 1000.0)  # the arm is ahead with the fewest labels
    assert (far.value, far.beyond, far.low, far.is_low_open, far.is_high_open) == (100, "more", 100, False, True)
    never = labels_saved(b, a, 1000.0)
    assert (never.value, never.beyond, never.high, never.is_low_open, never.is_high_open) == (1, "less", 1, True, False)
    equal = labels_saved(curve(ARM, [0.4, 0.4, 0.4]), curve(SCRATCH, [0.4, 0.4, 0.4], seed=1), 100.0)
    assert equal.is_low_open  # flat curves say nothing of labels
    assert equal.is_high_open
    assert (equal.low, equal.high) == (0.1, 10)


def test_of_errors_less_is_better():
    a, b = curve(ARM, [0.6, 0.4, 0.3]), curve(SCRATCH, [0.8, 0.5, 0.35], seed=1)
    found = labels_saved(a, b, 100.0, lower_is_better=True)
    needed = optimize.brentq(lambda n: middle(a, n) - middle(b, 100.0), 10, 1000)
    assert found.value == pytest.approx(100 / needed, rel=0.01)


def test_the_crossover_is_where_the_curves_meet():
    a, b = curve(ARM, [0.5, 0.6, 0.65]), curve(SCRATCH, [0.3, 0.55, 0.75], seed=1)
    found = crossover(a, b)
    assert found is not None
    meeting = optimize.brentq(lambda n: middle(a, n) - middle(b, n), 10, 1000)
    assert found.value == pytest.approx(meeting, rel=0.01)
    assert found.low < meeting < found.high
    assert crossover(b, a) is None  # it is behind from the start
    ahead = crossover(a, curve(SCRATCH, [0.3, 0.4, 0.5], seed=1))
    assert ahead is not None
    assert (ahead.value, ahead.beyond, ahead.is_high_open) == (1000, "more", True)


@pytest.mark.slow  # 60 experiments
def test_the_interval_holds_the_true_factor_about_as_often_as_it_says():
    inside, rounds = 0, 60
    for seed in range(rounds):
        a, b = curve(ARM, [0.4, 0.6], 2 * seed, LABELS[:2]), curve(SCRATCH, [0.3, 0.5], 2 * seed + 1, LABELS[:2])
        found = labels_saved(a, b, 100.0)  # 0.5 is half way, at 31.6 labels
        inside += found.low <= 10**0.5 <= found.high or (found.is_high_open and found.low <= 10**0.5)
    assert inside >= 53  # 95 % of 60 are 57
