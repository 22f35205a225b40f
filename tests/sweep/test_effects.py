"""Effects against means by hand, and their intervals against the jackknife written out."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from swath.sweep import EFFECTS, FractionDesign, GridDesign, effects_of, points_of
from swath.sweep.design import separable_pairs
from swath.sweep.effects import weights_of
from swath.tasks.statistics import TaskRules

LEVELS = {"method": ("simclr", "byol", "dino"), "crops": ("mild", "strong")}
POINTS = {"_".join(point.values()): point for point in points_of(LEVELS, GridDesign())}
GROUPS, UNITS, SEEDS = 9, 180, 4
RULES = {"fields": TaskRules()}


@pytest.fixture(scope="module")
def predictions():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, UNITS)
    frames = []
    for number, arm in enumerate(POINTS):
        for seed in range(SEEDS):
            right = rng.random(UNITS) < 0.5 + 0.07 * number
            frames.append(
                pd.DataFrame(
                    {
                        "task": "fields",
                        "input": "optical",
                        "probe": "linear",
                        "row": arm,
                        "role": "pretrained",
                        "of_arm": arm,
                        "seed": seed,
                        "fold": 0,
                        "replicate": seed,
                        "uid": [f"u{i}" for i in range(UNITS)],
                        "group": [f"g{i % GROUPS}" for i in range(UNITS)],
                        "y_true": y,
                        "y_pred": np.where(right, y, (y + 1) % 3),
                        "count": 1,
                        "score": None,
                    }
                )
            )
    return pd.concat(frames, ignore_index=True)


def table(predictions, points=POINTS, pairs=None):
    return EFFECTS.frame(effects_of(predictions, LEVELS, points, RULES, pairs))


def test_trainings_of_other_seeds_are_not_compared(predictions):
    arm = next(iter(POINTS))
    lost = (predictions["row"] == arm) & (predictions["seed"] == 0)
    lost |= (predictions["row"] != arm) & (predictions["seed"] == 3)
    assert table(predictions[~lost]).empty
    assert not table(predictions[predictions["seed"] > 0]).empty


def accuracies(predictions, without_group=None):
    """By arm and seed."""
    kept = predictions if without_group is None else predictions[predictions["group"] != without_group]
    right = (kept["y_true"] == kept["y_pred"]).groupby([kept["row"], kept["seed"]]).mean().unstack()
    return right.loc[list(POINTS)].to_numpy()


def test_effects_of_a_grid_are_differences_of_means(predictions):
    value = accuracies(predictions).mean(axis=1).reshape(3, 2)
    found = table(predictions)
    alone = found[found["other_axis"] == ""].set_index("level")
    for i, level in enumerate(LEVELS["method"]):
        assert alone.loc[level, "mean"] == pytest.approx(value[i].mean())
        assert alone.loc[level, "effect"] == pytest.approx(value[i].mean() - value.mean())
        assert alone.loc[level, "arms"] == 2
    pairs = found[found["other_axis"] != ""].set_index(["level", "other_level"])
    for (i, a), (j, b) in itertools.product(*(enumerate(LEVELS[axis]) for axis in LEVELS)):
        rest = value[i, j] - value[i].mean() - value[:, j].mean() + value.mean()
        assert pairs.loc[(a, b), "mean"] == pytest.approx(value[i, j])
        assert pairs.loc[(a, b), "effect"] == pytest.approx(rest)


def test_intervals_are_those_of_the_jackknife_over_groups_and_trainings(predictions):
    weights = np.array([2, 2, -1, -1, -1, -1]) / 6  # simclr: its mean minus that of all
    whole = weights @ accuracies(predictions)
    without_group = np.stack([weights @ accuracies(predictions, f"g{g}") for g in range(GROUPS)])
    by_group = without_group.mean(axis=1)
    groups = (GROUPS - 1) / GROUPS * ((by_group - by_group.mean()) ** 2).sum()
    trainings = whole.var(ddof=1) / SEEDS
    rest = without_group - without_group.mean(0) - without_group.mean(1, keepdims=True) + without_group.mean()
    both = (GROUPS - 1) / GROUPS * (rest**2).sum() / (SEEDS * (SEEDS - 1))
    error = np.sqrt(max(groups + trainings - both, groups, trainings))
    t = stats.t.ppf(0.975, [GROUPS - 1, SEEDS - 1])
    half = np.average(t, weights=[groups, trainings]) * error
    line = table(predictions).query("level == 'simclr' and other_axis == ''").iloc[0]
    assert line["effect"] == pytest.approx(whole.mean())
    assert (line["low"], line["high"]) == pytest.approx((whole.mean() - half, whole.mean() + half))
    assert (line["p"] < 0.05) == (line["low"] > 0 or line["high"] < 0)
    assert line["note"] == ""


def test_pairs_that_are_not_asked_for_add_up(predictions):
    found = table(predictions, pairs=[])
    assert (found["other_axis"] == "").all()
    alone, every = found.set_index("level"), table(predictions).query("other_axis == ''").set_index("level")
    # in a full grid all columns are at right angles: what else is in the fit changes nothing of an axis alone
    assert alone["effect"].to_numpy() == pytest.approx(every["effect"].to_numpy())


def test_a_fraction_finds_the_truth_where_axes_add_up():
    levels = {"a": ("1", "2", "3"), "b": ("1", "2", "3"), "c": ("1", "2", "3", "4")}
    points = points_of(levels, FractionDesign(arms=12))
    own = {"a": [1.0, 2.0, 6.0], "b": [0.0, 0.0, 3.0], "c": [4.0, 1.0, 1.0, 2.0]}
    values = np.array([sum(own[axis][int(level) - 1] for axis, level in point.items()) for point in points])
    pairs = separable_pairs(levels, points)
    for axis, levels_of_axis in levels.items():
        for number, level in enumerate(levels_of_axis):
            expected = own[axis][number] + sum(np.mean(own[other]) for other in levels if other != axis)
            assert weights_of(levels, points, pairs, {axis: level}) @ values == pytest.approx(expected)


def test_panels_in_which_an_arm_has_no_result_are_left_out(predictions):
    assert table(predictions[predictions["row"] != "byol_mild"]).empty
    short = predictions[(predictions["row"] != "byol_mild") | (predictions["seed"] < 2)]
    assert table(short).empty


def test_too_few_trainings_are_said(predictions):
    found = table(predictions[predictions["seed"] < 2])
    assert set(found["note"]) == {f"{GROUPS} groups and 2 trainings are too few"}
    one = table(predictions[predictions["seed"] < 1])
    assert one["p"].isna().all()
