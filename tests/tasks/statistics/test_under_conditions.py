"""Drops under conditions: the jackknife of paired differences, computed by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from swath.tasks.data import Condition
from swath.tasks.statistics import StatisticsConfig, TaskRules, elsewhere, under_conditions
from swath.tasks.statistics.conditions import relative_drop
from swath.tasks.statistics.left_out import LeftOut

GROUPS, EACH = 6, 20
HAZE = Condition("haze", "", 0.1, lambda reader, rows: reader.read(rows))
BAND = Condition("band", "hls/RED", 1.0, HAZE.alter, without=("hls/RED",))


def predictions(run: str, right: np.ndarray, **columns) -> pd.DataFrame:
    """Lines of a row that says the right class of some units of each group."""
    count = len(right)
    group = np.repeat(np.arange(GROUPS), EACH)
    truth = np.arange(count) % 2
    return pd.DataFrame(
        {
            "input": "own", "probe": "linear", "row": "majority", "role": "floor", "of_arm": "", "run": run,
            "replicate": 0, "seed": 0, "fold": 0, "count": 1, "score": None,
            "uid": [f"u{i}" for i in range(count)], "group": [f"g{g}" for g in group],
            "y_true": truth, "y_pred": np.where(right, truth, 1 - truth),
        }
        | columns
    )  # fmt: skip


def test_a_drop_is_the_mean_paired_difference_with_its_interval_over_groups():
    rng = np.random.default_rng(0)
    before, after = rng.random(GROUPS * EACH) < 0.8, rng.random(GROUPS * EACH) < 0.6
    table = pd.concat([predictions("", before), predictions(HAZE.key, after), predictions(BAND.key, before)])
    rules, config = TaskRules(metrics=("accuracy",)), StatisticsConfig()
    hidden = {("majority", HAZE.key): False, ("majority", BAND.key): True}
    lines = list(under_conditions("t", table, {HAZE.key: HAZE, BAND.key: BAND}, hidden, rules, config))
    assert [(line.kind, line.how, line.n_units, line.n_groups) for line in lines] == [
        ("haze", "", 120, 6),
        ("band", "hidden", 120, 6),
    ]
    haze, band = lines
    apart = (before.astype(float) - after).reshape(GROUPS, EACH).mean(axis=1)
    half = stats.t.ppf(0.975, GROUPS - 1) * apart.std(ddof=1) / np.sqrt(GROUPS)
    assert (haze.as_it_is, haze.value) == pytest.approx((before.mean(), after.mean()))
    assert (haze.drop, haze.drop_low, haze.drop_high) == pytest.approx(
        (apart.mean(), apart.mean() - half, apart.mean() + half)
    )
    by_group = [x.reshape(GROUPS, EACH).mean(axis=1) for x in (before, after)]
    ratio = by_group[1] / before.mean() - after.mean() / before.mean() ** 2 * by_group[0]
    share = stats.t.ppf(0.975, GROUPS - 1) * ratio.std(ddof=1) / np.sqrt(GROUPS)
    assert haze.relative == pytest.approx(1 - after.mean() / before.mean())
    assert (haze.relative_high - haze.relative_low) / 2 == pytest.approx(share)
    assert (band.drop, band.drop_low, band.drop_high, band.relative) == (0, 0, 0, 0)


def test_a_larger_error_is_a_drop_and_nothing_has_no_share():
    one = LeftOut(np.array([2.0]), np.array([[2.0], [2.0]]), np.zeros((1, 1)), np.zeros(2, int), np.zeros((1, 1)))
    worse = LeftOut(np.array([3.0]), np.array([[3.0], [3.0]]), np.zeros((1, 1)), np.zeros(2, int), np.zeros((1, 1)))
    assert relative_drop(one, worse, "rmse").value.tolist() == [0.5]
    assert relative_drop(one, worse, "accuracy").value.tolist() == [-0.5]
    none = LeftOut(np.zeros(1), np.zeros((2, 1)), np.zeros((1, 1)), np.zeros(2, int), np.zeros((1, 1)))
    assert np.isnan(relative_drop(none, worse, "r2").value).all()


def test_other_regions_are_held_against_the_rest_of_the_test_part_without_pairs():
    rng = np.random.default_rng(1)
    right = rng.random(GROUPS * EACH) < np.repeat([0.9, 0.9, 0.9, 0.5, 0.5, 0.5], EACH)
    table = predictions("", right).drop(columns="run")
    is_new = {f"u{i}": i >= 3 * EACH for i in range(GROUPS * EACH)}
    (line,) = elsewhere(
        "t", table, is_new, "other-region", "country", TaskRules(metrics=("accuracy",)), StatisticsConfig()
    )
    by_group = right.reshape(GROUPS, EACH).mean(axis=1)
    # nothing random went into the row, so which fold tests a group changes nothing
    folded = table.assign(fold=np.repeat([0, 0, 1, 1, 1, 2], EACH))
    rules, config = TaskRules(metrics=("accuracy",)), StatisticsConfig()
    assert list(elsewhere("t", folded, is_new, "other-region", "country", rules, config)) == [line]
    seen, new = by_group[:3], by_group[3:]
    assert (line.as_it_is, line.value, line.n_units, line.n_groups) == pytest.approx((seen.mean(), new.mean(), 60, 3))
    # a place that is left out changes the mean of its own part alone
    without = np.concatenate([(seen.sum() - seen) / 2 - new.mean(), seen.mean() - (new.sum() - new) / 2])
    error = np.sqrt(5 * without.var())
    half = stats.t.ppf(0.975, 5) * error
    assert (line.drop, line.drop_low, line.drop_high) == pytest.approx(
        (seen.mean() - new.mean(), seen.mean() - new.mean() - half, seen.mean() - new.mean() + half)
    )


def test_regions_that_few_folds_test_are_paired_by_the_number_of_the_fold():
    right = np.random.default_rng(2).random(GROUPS * EACH) < 0.7
    fold = np.repeat([0, 1, 1, 1, 2, 2], EACH)
    table = predictions("", right, row="arm", role="pretrained", of_arm="arm", fold=fold).drop(columns="run")
    is_new = {f"u{i}": i >= 3 * EACH for i in range(GROUPS * EACH)}
    new = np.array(list(is_new.values()))
    (line,) = elsewhere(
        "t", table, is_new, "other-region", "country", TaskRules(metrics=("accuracy",)), StatisticsConfig()
    )
    # with one training each, folds are left out one by one: fold 0 tests none of the new, fold 2 none of the others
    without = [right[~new & (fold != f)].mean() - right[new & (fold != f)].mean() for f in range(3)]
    half = stats.t.ppf(0.975, 2) * np.sqrt(2 * np.var(without))
    assert (line.drop_high - line.drop_low) / 2 == pytest.approx(half)
    assert line.drop == pytest.approx(right[~new].mean() - right[new].mean())
