"""The tables: values, intervals, pairing, Holm, words, and what is said where nothing can be."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from scipy import stats
from sklearn import metrics as sk

from swath.errors import SwathError
from swath.tasks import metrics
from swath.tasks.schema import CLAIMS, COMPARISONS, NOTES, TABLE
from swath.tasks.statistics import (
    Claim,
    StatisticsConfig,
    TaskRules,
    delong,
    holm,
    summarise,
    verdict,
)
from swath.tasks.statistics.jackknife import spread

N, CLASSES = 240, 3


def world(groups=24, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, CLASSES, N), np.sort(rng.integers(0, groups, N)), rng


def cell(y, group, y_pred, row, role="pretrained", seed=0, name="all", probe="linear", score=None, task="t"):
    return pd.DataFrame(
        {
            "task": task,
            "input": name,
            "probe": probe,
            "row": row,
            "role": role,
            "of_arm": "",
            "seed": seed,
            "fold": 0,
            "replicate": seed,
            "uid": [f"u{i}" for i in range(len(y))],
            "group": [f"g{g}" for g in group],
            "y_true": y,
            "y_pred": y_pred,
            "score": [None] * len(y) if score is None else list(score),
        }
    )


def guess(y, rng, right):
    return np.where(rng.random(len(y)) < right, y, rng.integers(0, CLASSES, len(y)))


def rows(*specs, groups=24, seed=0, name="all", probe="linear", task="t"):
    """Results from (row, role, share right, seeds)."""
    y, group, rng = world(groups, seed)
    return pd.concat(
        [
            cell(y, group, guess(y, rng, right), row, kind, s, name, probe, task=task)
            for row, kind, right, seeds in specs
            for s in seeds
        ]
    )


SEEDS = (0, 1, 2)
CLAIM = Claim(better="a", than="b", task="t", input="all", probe="linear")
CONFIG = StatisticsConfig(flips=999, claims=(CLAIM,))


def test_values_are_means_over_seeds_of_scikit_learns_numbers():
    p = rows(("a", "pretrained", 0.7, (0, 1, 2)), ("b", "floor", 0.3, (0, 1, 2)))
    config = CONFIG.model_copy(update={"tasks": {"t": TaskRules(metrics=("macro_f1", "accuracy", "miou"))}})
    table, comparisons, _ = summarise(p, config)
    assert list(table) == TABLE.columns
    assert list(comparisons) == COMPARISONS.columns
    assert list(table.metric) == ["macro_f1", "accuracy", "miou"] * 2
    expected = [sk.f1_score(part.y_true, part.y_pred, average="macro") for _, part in p[p.row == "a"].groupby("seed")]
    line = table.iloc[0]
    assert line.value == pytest.approx(np.mean(expected))
    assert line.per_seed == pytest.approx(expected, abs=1e-6)
    assert line.low < line.value < line.high
    assert (line.n_units, line.n_groups) == (N, 24)
    assert line.note.startswith(
        "24 groups only: in simulations with 3 trainings or more, 95 % intervals held the truth"
    )


def anova(p, a, b, seeds=SEEDS):
    """The spread of the difference in accuracy, transcribed for groups and trainings of one fold."""
    right = p.assign(right=(p.y_true == p.y_pred).astype(float))
    difference = (
        right[right.row == a].set_index(["seed", "uid"]).right - right[right.row == b].set_index(["seed", "uid"]).right
    )
    by_unit = difference.unstack(0).loc[[f"u{i}" for i in range(N)], list(seeds)].to_numpy()
    group = p.drop_duplicates("uid").set_index("uid").group.loc[[f"u{i}" for i in range(N)]].to_numpy()
    value = by_unit.mean(0)
    without = np.stack([by_unit[group != g].mean(0) for g in np.unique(group)])
    others = (value.sum() - value) / (len(value) - 1) - value
    return spread(value, without, others[None], np.zeros(len(without), int))


def test_a_comparison_is_the_difference_of_the_table_over_groups_and_trainings():
    p = rows(("a", "pretrained", 0.8, SEEDS), ("b", "pretrained", 0.4, SEEDS), ("c", "floor", 0.9, SEEDS))
    table, comparisons, _ = summarise(p, CONFIG)
    values = dict(zip(table.row, table.value, strict=True))
    assert list(zip(comparisons.a, comparisons.b, strict=True)) == [("a", "b"), ("a", "c"), ("b", "c")]
    for line in comparisons.itertuples():
        assert line.difference == pytest.approx(values[line.a] - values[line.b])
        expected = anova(p, line.a, line.b)
        assert (line.low, line.high) == pytest.approx(expected.interval())
        assert line.p == pytest.approx(expected.p())
        assert (line.low <= 0 <= line.high) == (line.p >= 0.05)


def test_only_claims_get_a_verdict_and_holm_is_over_them_alone():
    p = rows(("a", "pretrained", 0.8, SEEDS), ("b", "pretrained", 0.4, SEEDS), ("c", "floor", 0.9, SEEDS))
    contrary = CLAIM.model_copy(update={"better": "b", "than": "c"})
    _, comparisons, claims = summarise(p, CONFIG.model_copy(update={"claims": (CLAIM, contrary)}))
    assert list(comparisons.standing) == ["claim", "claim", "exploratory"]
    assert list(comparisons.verdict) == ["better", "worse", "untested"]
    assert comparisons.p_holm[:2].to_numpy() == pytest.approx(holm(comparisons.p[:2].to_numpy()))
    assert np.isnan(comparisons.p_holm[2])
    assert list(claims) == CLAIMS.columns
    assert list(zip(claims.better, claims.than, claims.verdict, strict=True)) == [
        ("a", "b", "better"),
        ("b", "c", "worse"),
    ]
    expected = anova(p, "a", "b")
    line = claims.iloc[0]
    assert (line.groups_variance, line.trainings_variance) == pytest.approx(
        (expected.places.variance, expected.trainings.variance)
    )
    assert line.detectable == pytest.approx(expected.detectable(alpha=0.05 / 2))
    assert (line.trainings, line.folds, line.groups) == (3, 1, 24)
    sizes = p.drop_duplicates("uid").groupby("group").size()
    assert line.equal_groups == pytest.approx(N**2 / (sizes**2).sum())
    assert line.largest_share == pytest.approx(sizes.max() / N)
    assert line.advice.endswith("points)")


def test_both_rows_of_a_difference_say_what_they_are():
    p = rows(("a", "pretrained", 0.8, SEEDS), ("b", "scratch", 0.4, SEEDS)).assign(of_arm="a")
    _, comparisons, claims = summarise(p, CONFIG)
    line, claim = comparisons.iloc[0], claims.iloc[0]
    assert (line.a, line.role_a, line.of_arm_a) == ("a", "pretrained", "a")
    assert (line.b, line.role_b, line.of_arm_b) == ("b", "scratch", "a")
    assert (claim.role_better, claim.of_arm_better, claim.role_than, claim.of_arm_than) == (
        *("pretrained", "a", "scratch", "a"),
    )


def test_where_less_is_better_the_smaller_value_is(monkeypatch):
    found = metrics.find("accuracy")
    errors = replace(found, unit="number", better="lower", single_label=lambda cm: 90 * (1 - found.single_label(cm)))
    monkeypatch.setattr(metrics, "find", lambda name: errors)
    p = rows(("a", "pretrained", 0.8, SEEDS), ("b", "floor", 0.4, SEEDS))
    table, comparisons, claims = summarise(p, CONFIG)
    assert claims.difference[0] < 0
    assert (comparisons.verdict[0], claims.verdict[0]) == ("better", "better")
    assert (table.low > 1).all(), "what is no share is not cut to 0 to 1"
    assert claims.advice[0].endswith(")")
    assert "points" not in claims.advice[0]


def test_holm_is_over_the_claims_of_all_tasks():
    each = [
        rows(("a", "pretrained", 0.66, SEEDS), ("b", "floor", 0.55, SEEDS), seed=k, task=f"t{k}") for k in (0, 1, 2)
    ]
    claims = tuple(CLAIM.model_copy(update={"task": f"t{k}"}) for k in (0, 1, 2))
    _, comparisons, _ = summarise(pd.concat(each), CONFIG.model_copy(update={"claims": claims}))
    assert comparisons.p_holm.to_numpy() == pytest.approx(holm(comparisons.p.to_numpy()))


def own(p, of):
    return p.assign(of_arm=p.row.map(of).fillna(""))


def test_a_recipe_without_claims_has_an_arms_own_twin_scratch_and_one_floor():
    p = own(
        rows(
            ("a", "pretrained", 0.8, SEEDS),
            ("b", "pretrained", 0.8, SEEDS),
            ("random encoder (frozen), as a", "random-twin", 0.5, SEEDS),
            ("random encoder (frozen), as b", "random-twin", 0.5, SEEDS),
            ("scratch", "scratch", 0.6, SEEDS),
            ("majority", "floor", 0.3, (0,)),
            ("image statistics + linear", "floor", 0.6, (0,)),
            ("random convolutions", "floor", 0.6, SEEDS),
        ),
        {"random encoder (frozen), as a": "a", "random encoder (frozen), as b": "b", "scratch": "a,b"},
    )
    other_probe = p.assign(probe="knn")
    _, comparisons, claims = summarise(pd.concat([p, other_probe]), StatisticsConfig(flips=99))
    assert set(zip(claims.better, claims.than, claims.probe, strict=True)) == {
        (arm, than, "linear")
        for arm in ("a", "b")
        for than in (f"random encoder (frozen), as {arm}", "scratch", "image statistics + linear")
    }
    assert set(claims.verdict) == {"better"}
    pairs = set(zip(comparisons.a, comparisons.b, strict=True))
    assert not any("majority" in pair for pair in pairs), "to beat it proves nothing"
    assert ("a", "random encoder (frozen), as b") not in pairs, "the twin of another arm is no control"
    assert set(comparisons[comparisons.probe == "knn"].verdict) == {"untested"}
    assert ("a", "random convolutions") in pairs


def test_a_claim_may_name_an_arms_own_rows_by_their_words():
    p = own(
        rows(
            ("a", "pretrained", 0.8, SEEDS),
            ("scratch, as a", "scratch", 0.5, SEEDS),
            ("random forest", "floor", 0.5, SEEDS),
        ),
        {"scratch, as a": "a"},
    )
    claims = tuple(CLAIM.model_copy(update={"than": name}) for name in ("scratch", "random-forest"))
    claims += (CLAIM.model_copy(update={"better": "random-forest", "than": "a"}),)
    _, _, found = summarise(p, CONFIG.model_copy(update={"claims": claims[:2]}))
    assert list(found.than) == ["scratch, as a", "random forest"]
    _, _, found = summarise(p, CONFIG.model_copy(update={"claims": claims[2:]}))
    assert (found.better[0], found.than[0], found.verdict[0]) == ("random forest", "a", "worse")


def test_a_claim_without_a_result_is_said():
    p = rows(("a", "pretrained", 0.8, SEEDS))
    _, comparisons, claims = summarise(p, CONFIG)
    assert comparisons.empty
    assert (claims.better[0], claims.than[0], claims.verdict[0]) == ("a", "b", "untested")
    assert claims.note[0] == "no verdict: a or b is not judged here, or has no result"


def test_one_training_is_conditional_and_gets_no_verdict():
    p = rows(("a", "pretrained", 0.9, (0,)), ("b", "pretrained", 0.3, (0,)))
    table, comparisons, claims = summarise(p, CONFIG)
    assert "conditional on these trained networks" in table.note[0]
    line = comparisons.iloc[0]
    # the t-test over equal groups is not that of unequal ones, but near
    assert line.p < 1e-3
    assert line.low < line.difference < line.high
    assert (line.verdict, claims.verdict[0]) == ("untested", "untested")
    assert "no verdict: one training of each fold" in line.note
    assert np.isnan([claims.detectable[0], claims.p_holm[0]]).all()
    assert claims.advice[0].startswith("3 trainings of each fold")


def test_two_trainings_get_no_verdict():
    _, comparisons, _ = summarise(rows(("a", "pretrained", 0.9, (0, 1)), ("b", "floor", 0.3, (0, 1))), CONFIG)
    assert comparisons.verdict[0] == "untested"
    assert "2 trainings of each fold, a verdict needs 3" in comparisons.note[0]


def in_folds(p, folds, trainings):
    """Each seed tests one fold: the groups dealt in turn; seeds after another are the rounds over the folds."""
    fold = p.group.str[1:].astype(int) % folds
    kept = p[fold == p.seed % folds]
    return kept.assign(fold=kept.seed % folds, replicate=kept.seed // folds)[kept.seed < folds * trainings]


def test_folds_have_trainings_of_their_own():
    seeds = tuple(range(6))
    p = in_folds(rows(("a", "pretrained", 0.8, seeds), ("b", "pretrained", 0.5, seeds)), folds=2, trainings=3)
    _, comparisons, claims = summarise(p, CONFIG)
    assert (claims.trainings[0], claims.folds[0], claims.groups[0]) == (3, 2, 24)
    right = p.assign(right=(p.y_true == p.y_pred).astype(float))
    share = right.groupby(["row", "fold", "replicate"]).right.sum().unstack() / N
    expected = sum((share.loc["a", f] - share.loc["b", f]).var(ddof=1) / 3 for f in (0, 1))
    assert claims.trainings_variance[0] == pytest.approx(expected)
    assert comparisons.verdict[0] == "better"


def test_one_training_of_each_fold_makes_folds_the_units():
    seeds = tuple(range(4))
    p = in_folds(rows(("a", "pretrained", 0.8, seeds), ("b", "pretrained", 0.5, seeds)), folds=4, trainings=1)
    _, comparisons, _ = summarise(p, CONFIG)
    right = p.assign(right=(p.y_true == p.y_pred).astype(float)).pivot_table(index="uid", columns="row", values="right")
    fold = p.drop_duplicates("uid").set_index("uid").fold.loc[right.index]
    difference = right.a - right.b
    without = np.array([difference[fold != f].mean() for f in range(4)])
    error = np.sqrt(3 / 4 * ((without - without.mean()) ** 2).sum())
    assert comparisons.high[0] - comparisons.low[0] == pytest.approx(2 * stats.t.ppf(0.975, 3) * error)
    assert comparisons.verdict[0] == "untested"
    assert "folds are the units" in comparisons.note[0]


def test_equal_rows_are_not_distinguishable_and_their_intervals_are_paired():
    y, group, rng = world()
    same = guess(y, rng, 0.7)
    p = pd.concat(
        [cell(y, group, same, row, role, s) for row, role in (("a", "pretrained"), ("b", "floor")) for s in SEEDS]
    )
    _, comparisons, _ = summarise(p, CONFIG)
    line = comparisons.iloc[0]
    # pairing: what two rows share cancels, whatever the interval of each
    assert (line.difference, line.low, line.high) == (0, 0, 0)
    assert (line.p, line.p_t, line.p_wilcoxon, line.verdict) == (1, 1, 1, "tie")


def test_the_tests_beside_are_scipys_on_the_groups_accuracies():
    p = rows(("a", "pretrained", 0.75, (0, 1)), ("b", "floor", 0.6, (0, 1)))
    _, comparisons, _ = summarise(p, CONFIG)
    right = p.assign(right=p.y_true == p.y_pred).groupby(["row", "group", "seed"]).right.mean().groupby(level=[0, 1])
    by_group = right.mean().unstack(0)
    assert comparisons.p_t[0] == pytest.approx(stats.ttest_rel(by_group.a, by_group.b).pvalue)
    assert comparisons.p_wilcoxon[0] == pytest.approx(
        stats.wilcoxon(np.round(by_group.a - by_group.b, 12), correction=True, method="asymptotic").pvalue, rel=1e-6
    )
    assert comparisons.n_pairs[0] == 24


def test_no_false_alarms_beyond_the_level():
    """Two rows of equal worth, whose trainings differ by more than their groups, are told apart in few worlds."""
    alarms = 0
    for seed in range(60):
        rng = np.random.default_rng(1000 + seed)
        lucky = [
            (row, role, 0.6 + rng.normal(0, 0.06), (s,))
            for row, role in (("a", "pretrained"), ("b", "floor"))
            for s in SEEDS
        ]
        _, comparisons, _ = summarise(rows(*lucky, seed=seed), StatisticsConfig(flips=99, claims=(CLAIM,)))
        alarms += comparisons.verdict[0] != "tie"
    assert alarms <= 7


def test_a_row_with_one_seed_stands_against_every_seed():
    p = rows(("a", "pretrained", 0.7, (0, 1, 2)), ("certain", "floor", 0.3, (0,)))
    table, comparisons, _ = summarise(p, CONFIG)
    assert comparisons.difference[0] == pytest.approx(table.value[0] - table.value[1])


def test_seeds_are_paired_by_number_not_by_position():
    y, group, rng = world()
    first, second = guess(y, rng, 0.9), guess(y, rng, 0.3)
    p = pd.concat(
        [
            *(cell(y, group, pred, "a", seed=s) for s, pred in ((0, first), (1, second))),
            *(cell(y, group, pred, "b", "floor", seed=s) for s, pred in ((1, second), (0, first))),
        ]
    )
    _, comparisons, _ = summarise(p, CONFIG)
    assert comparisons.high[0] == comparisons.low[0] == 0
    p = rows(("a", "pretrained", 0.7, (0, 1)), ("b", "floor", 0.3, (2, 3)))
    _, comparisons, _ = summarise(p, CONFIG)
    assert (comparisons.verdict[0], comparisons.note[0]) == ("untested", "the rows have no replicate in common")


def test_one_group_and_few_groups_are_said_to_be():
    specs = ("a", "pretrained", 0.9, SEEDS), ("b", "floor", 0.1, SEEDS)
    table, comparisons, _ = summarise(rows(*specs, groups=1), CONFIG)
    assert np.isnan(table.low).all()
    assert "one group only" in table.note[0]
    assert comparisons.verdict[0] == "untested"
    assert "1 groups where a verdict needs 8" in comparisons.note[0]
    assert comparisons.difference[0] == pytest.approx(table.value[0] - table.value[1])
    table, comparisons, _ = summarise(rows(*specs, groups=4), CONFIG)
    assert "4 groups only: they say as much as" in table.note[0]
    assert comparisons.p[0] < 0.05
    assert comparisons.verdict[0] == "untested"
    assert "a verdict needs 8" in comparisons.note[0]


def test_a_group_that_dominates_is_said_and_may_cost_the_verdict():
    p = rows(("a", "pretrained", 0.9, SEEDS), ("b", "floor", 0.1, SEEDS), groups=24)
    p["group"] = np.where(p.group.str[1:].astype(int) < 12, "g0", p.group)
    table, comparisons, claims = summarise(p, CONFIG)
    share = (p.group == "g0").mean()
    assert f"the largest group holds {100 * share:.0f} % of the units" in table.note[0]
    assert claims.largest_share[0] == pytest.approx(share)
    assert comparisons.verdict[0] == "untested"
    assert "which say as much as 4.3 of equal size" in comparisons.note[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda b: b.assign(uid=b.uid.replace("u3", "elsewhere")),
            "1 are in no other row (elsewhere); 1 are missing (u3)",
        ),
        (lambda b: b[b.uid.isin([f"u{i}" for i in range(236)])], "4 are missing (u236, u237, u238, ...)"),
        (lambda b: b.assign(group=b.group.where(b.uid != "u7", "g0x")), "1 have another group, fold or label (u7)"),
        (lambda b: b.assign(fold=(b.uid == "u7").astype(int)), "1 have another group, fold or label (u7)"),
        (lambda b: b.assign(y_true=(b.y_true + b.uid.isin(["u1", "u2"])) % CLASSES), "fold or label (u1, u2)"),
    ],
)
def test_rows_of_another_split_are_refused_with_the_units_that_differ(change, said):
    p = rows(("a", "pretrained", 0.7, (0,)), ("b", "floor", 0.7, (0,)))
    with pytest.raises(SwathError, match="row 'b' are not those of the task's other rows") as caught:
        summarise(pd.concat([p[p.row == "a"], change(p[p.row == "b"])]), CONFIG)
    assert said in caught.value.what


def test_the_order_of_units_is_of_no_account():
    p = rows(("a", "pretrained", 0.7, SEEDS), ("b", "floor", 0.4, SEEDS))
    p["score"] = list(np.eye(CLASSES)[p.y_pred] + np.random.default_rng(0).random((len(p), CLASSES)))
    config = CONFIG.model_copy(update={"tasks": {"t": TaskRules(metrics=("accuracy", "roc_auc"))}})
    other = pd.concat([p[p.row == "a"], p[p.row == "b"].sample(frac=1, random_state=0)])
    for one, two in zip(summarise(p, config), summarise(other, config), strict=True):
        pd.testing.assert_frame_equal(one, two)


def test_two_groups_have_an_interval_and_no_verdict():
    p = rows(("a", "pretrained", 0.9, SEEDS), ("b", "floor", 0.2, SEEDS), groups=2)
    table, comparisons, claims = summarise(p, CONFIG)
    expected = anova(p, "a", "b")
    assert (comparisons.low[0], comparisons.high[0]) == pytest.approx(expected.interval())
    assert expected.places.freedom == 1
    assert (comparisons.verdict[0], claims.groups[0]) == ("untested", 2)
    assert "2 groups" in claims.note[0]
    assert "a verdict needs 8" in claims.note[0]
    assert np.isfinite(claims.detectable[0])
    assert table.note[0].startswith("2 groups only: they say as much as")


@pytest.mark.parametrize("metric", ["macro_f1", "miou", "balanced_accuracy"])
def test_a_class_that_one_fold_has_nowhere_counts_in_the_whole(metric):
    seeds = tuple(range(6))
    y, group, rng = world()
    y[group % 2 == 0] %= 2  # class 2 is in fold 1 alone
    each = [
        cell(y, group, guess(y, rng, right), row, seed=seed)
        for row, right in (("a", 0.8), ("b", 0.5))
        for seed in seeds
    ]
    p = in_folds(pd.concat(each), folds=2, trainings=3)
    table, comparisons, _ = summarise(p, CONFIG.model_copy(update={"tasks": {"t": TaskRules(metrics=(metric,))}}))
    independent = {
        "macro_f1": lambda y, said: sk.f1_score(y, said, average="macro"),
        "miou": lambda y, said: sk.jaccard_score(y, said, average="macro"),
        "balanced_accuracy": sk.balanced_accuracy_score,
    }[metric]
    values = [independent(part.y_true, part.y_pred) for _, part in p[p.row == "a"].groupby("replicate")]
    assert table.value[0] == pytest.approx(np.mean(values))
    assert np.isfinite(table[["low", "high"]]).all(axis=None)
    assert comparisons.verdict[0] == "better"


def test_where_nothing_varies_there_is_no_verdict():
    y, group, _ = world()
    p = pd.concat([cell(y, group, y if row == "a" else (y + 1) % CLASSES, row, seed=s) for row in "ab" for s in SEEDS])
    _, comparisons, claims = summarise(p, CONFIG)
    assert comparisons.difference[0] == 1
    assert claims.verdict[0] == "untested"
    assert "the same without any group and in every training" in claims.note[0]


def test_what_is_not_random_needs_no_trainings():
    p = rows(("logistic regression", "floor", 0.9, (0,)), ("image statistics + linear", "floor", 0.3, (0,)))
    claim = CLAIM.model_copy(update={"better": "logistic-regression", "than": "image-statistics"})
    _, comparisons, claims = summarise(p, CONFIG.model_copy(update={"claims": (claim,)}))
    assert comparisons.verdict[0] == "better"
    assert claims.advice[0].startswith("0 % of the variance is how trainings came out")


def test_nothing_in_nothing_out():
    table, comparisons, _ = summarise(rows(("a", "pretrained", 0.7, (0,))).iloc[:0], CONFIG)
    assert table.empty
    assert comparisons.empty
    assert list(table) == TABLE.columns


def test_notes_join_their_rows_or_stand_alone():
    p = rows(("a", "pretrained", 0.7, (0, 1)))
    place = {"task": "t", "input": "all", "probe": "linear", "role": "pretrained", "of_arm": "", "fold": 0}
    notes = NOTES.frame(
        [
            place | {"row": "a", "seed": 0, "replicate": 0, "note": "VV as its 3 channels"},
            place | {"row": "a", "seed": 1, "replicate": 1, "note": "VV as its 3 channels"},
            place | {"row": "b", "seed": 0, "replicate": 0, "note": "no statistics of VV"},
            place | {"row": "b", "seed": 1, "replicate": 1, "note": "one class only"},
        ]
    )
    table, *_ = summarise(p, CONFIG, notes)
    assert table.note[0].startswith("VV as its 3 channels; ")
    assert table.note[1] == "seed 0: no statistics of VV; seed 1: one class only"
    assert np.isnan(table.value[1])
    assert table.per_seed[1] == ()


def binary(groups, seed=0, seeds=SEEDS):
    rng = np.random.default_rng(seed)
    y, group = rng.integers(0, 2, N), np.sort(rng.integers(0, groups, N)) if groups < N else np.arange(N)
    cells = []
    for s in seeds:
        logit = y + rng.normal(0, 1, N) - 0.5
        p = 1 / (1 + np.exp(-logit))
        cells.append(cell(y, group, (p > 0.5).astype(int), "a", seed=s, score=np.stack([1 - p, p], 1)))
    return pd.concat(cells)


@pytest.mark.parametrize("groups", [N, 40])
def test_area_under_the_curve(groups):
    p = binary(groups)
    rules = {"t": TaskRules(metrics=("accuracy", "roc_auc"))}
    table, *_ = summarise(p, StatisticsConfig(tasks=rules))
    line = table[table.metric == "roc_auc"].iloc[0]
    expected = [sk.roc_auc_score(c.y_true, [s[1] for s in c.score]) for _, c in p.groupby("seed")]
    assert line.value == pytest.approx(np.mean(expected))
    assert line.per_seed == pytest.approx(expected, abs=1e-6)
    assert line.low < line.value < line.high
    # the error over places alone is DeLong's where every unit is a group
    covariance = delong(
        np.array(p[p.seed == 0].y_true), np.stack([[s[1] for s in c.score] for _, c in p.groupby("seed")])
    )
    if groups == N:
        error = np.sqrt(covariance.covariance.mean())
        assert line.high - line.low > 2 * stats.norm.ppf(0.975) * error


def test_a_perfect_curve_has_no_spread():
    p = binary(N)
    p["score"] = [np.array([1.0 - y, float(y)]) for y in p.y_true]
    rules = {"t": TaskRules(metrics=("accuracy", "roc_auc"))}
    table, *_ = summarise(p, StatisticsConfig(tasks=rules))
    assert table.value[1] == 1
    assert np.isnan([table.low[1], table.high[1]]).all(), "of what never varied, nothing is known"


def test_rows_without_scores_have_no_curve_and_say_so():
    rules = {"t": TaskRules(metrics=("accuracy", "roc_auc"))}
    table, *_ = summarise(rows(("a", "pretrained", 0.7, (0,))), CONFIG.model_copy(update={"tasks": rules}))
    assert np.isnan(table.value[1])
    assert "no class scores" in table.note[1]
    assert np.isnan(table.per_seed[1]).tolist() == [True]


def test_a_curve_cannot_rank():
    with pytest.raises(ValidationError, match="roc_auc cannot come first"):
        TaskRules(metrics=("roc_auc",))


@pytest.mark.parametrize(
    ("difference", "p", "word"),
    [
        (0.1, 0.01, "better"),
        (-0.1, 0.01, "worse"),
        (0.1, 0.05, "tie"),
        (0.0, 0.01, "tie"),
        (np.nan, 0.01, "untested"),
        (0.1, np.nan, "untested"),
    ],
)
def test_verdicts(difference, p, word):
    assert verdict(difference, p) == word


# ---------------------------------------------------------------------------------------------------------- band-wise

BANDS = ("o1", "o2", "o3", "r1", "r2")
GROUPS = {"band-wise": {"all": BANDS, "optical": BANDS[:3], "radar": BANDS[3:]}}
BAND_CLAIMS = tuple(
    Claim(better="a", than="b", task="t", input=name, probe="band-wise")
    for name in ("radar bands", "radar bands minus optical bands")
)
BAND_CONFIG = StatisticsConfig(flips=999, claims=BAND_CLAIMS, tasks={"t": TaskRules(band_groups=GROUPS)})


def band_rows(gain, bands=BANDS):
    """Row b, and row a that is better than it by `gain[band]`."""
    y, group, rng = world()
    return pd.concat(
        [
            cell(y, group, guess(y, rng, right), row, kind, s, name, "band-wise")
            for name in bands
            for row, kind, right in (("a", "pretrained", 0.4 + gain[name]), ("b", "pretrained", 0.4))
            for s in SEEDS
        ]
    )


def test_bands_are_judged_together_and_in_groups():
    p = band_rows(dict.fromkeys(BANDS, 0.02) | {"r1": 0.4, "r2": 0.5})
    table, comparisons, _ = summarise(p, BAND_CONFIG)
    by_band = table[table.input.isin(BANDS)].set_index(["input", "row"]).value
    for name, bands in (("all bands", BANDS), ("optical bands", BANDS[:3]), ("radar bands", BANDS[3:])):
        line = table[(table.input == name) & (table.row == "a")].iloc[0]
        assert line.value == pytest.approx(np.mean([by_band[band, "a"] for band in bands]))
        paired = comparisons[(comparisons.input == name) & (comparisons.pairing == "bands")].iloc[0]
        d = np.array([by_band[band, "a"] - by_band[band, "b"] for band in bands])
        assert paired.n_pairs == len(bands)
        assert paired.difference == pytest.approx(d.mean())
        assert paired.p == paired.p_t == pytest.approx(stats.ttest_1samp(d, 0).pvalue)
        assert paired.p_wilcoxon == pytest.approx(stats.wilcoxon(d).pvalue)
        assert (paired.verdict, paired.standing) == ("untested", "exploratory"), "bands are no replicates"
    radar = comparisons[(comparisons.input == "radar bands") & (comparisons.pairing == "groups")].iloc[0]
    assert (radar.verdict, radar.n_pairs) == ("better", 24)


def test_above_all_on_radar_is_a_test_of_its_own():
    p = band_rows(dict.fromkeys(BANDS, 0.0) | {"r1": 0.4, "r2": 0.5})
    table, comparisons, _ = summarise(p, BAND_CONFIG)
    line = comparisons[comparisons.input == "radar bands minus optical bands"].iloc[0]
    value = {
        name: comparisons[comparisons.input == f"{name} bands"].difference.iloc[0] for name in ("radar", "optical")
    }
    assert line.difference == pytest.approx(value["radar"] - value["optical"])
    assert line.verdict == "better"
    assert "radar bands minus optical bands" not in set(table.input)
    # better everywhere by the same amount is no interaction
    _, comparisons, _ = summarise(band_rows(dict.fromkeys(BANDS, 0.3)), BAND_CONFIG)
    line = comparisons[comparisons.input == "radar bands minus optical bands"].iloc[0]
    assert line.verdict == "tie"


def test_a_gain_may_be_claimed_to_be_larger_on_one_input_than_on_another():
    """Inputs of one probe, or groups of bands: the same difference of differences, by the same jackknife."""
    p = band_rows(dict.fromkeys(BANDS, 0.0) | {"r1": 0.4, "r2": 0.5})
    claims = tuple(
        Claim(better="a", than="b", task="t", probe="band-wise", input=first, more_than_on=second)
        for first, second in (("r1", "o1"), ("o1", "r2"), ("radar bands", "optical bands"), ("o1", "o9"))
    )
    assert claims[0].panel_input == "r1 minus o1"
    table, comparisons, found = summarise(p, BAND_CONFIG.model_copy(update={"claims": claims}))
    assert found.input.tolist() == ["radar bands minus optical bands", "r1 minus o1", "o1 minus r2", "o1 minus o9"]
    assert found.verdict.tolist() == ["better", "better", "worse", "untested"]
    assert "r1 minus o1" not in set(table.input), "no score"
    lines = comparisons[comparisons.pairing == "groups"].set_index("input")
    assert lines.difference["r1 minus o1"] == pytest.approx(lines.difference["r1"] - lines.difference["o1"])
    # by hand: how many are right, by group, training, row and input
    right = p.assign(right=(p.y_true == p.y_pred).astype(int)).pivot_table(
        "right", ["group", "seed"], ["input", "row"], aggfunc="sum"
    )
    gain = (right["r1", "a"] - right["r1", "b"]) - (right["o1", "a"] - right["o1", "b"])
    by_group, sizes = gain.unstack("seed").to_numpy(), p.groupby("group")["uid"].nunique().to_numpy()[:, None]
    overall = by_group.sum(0) / sizes.sum()
    without = (by_group.sum(0) - by_group) / (sizes.sum() - sizes)
    swapped = (overall.sum() - overall) / (len(overall) - 1) - overall
    by_hand = spread(overall, without, swapped[None], np.zeros(len(sizes), int))
    assert lines.p["r1 minus o1"] == pytest.approx(by_hand.p(), rel=1e-6)
    assert (lines.low["r1 minus o1"], lines.high["r1 minus o1"]) == pytest.approx(by_hand.interval(), rel=1e-6)
    usual = summarise(p, BAND_CONFIG)[1]
    assert len(usual) < len(comparisons), "and nothing of the kind stands there if nobody claims it"
    assert not usual.input.str.contains("r1 minus").any()


def test_one_radar_band_is_paired_over_seeds_and_over_groups():
    groups = {"band-wise": {"all": BANDS[:4], "optical": BANDS[:3], "radar": BANDS[3:4]}}
    config = CONFIG.model_copy(update={"tasks": {"t": TaskRules(band_groups=groups)}})
    _, comparisons, _ = summarise(band_rows(dict.fromkeys(BANDS, 0.3), BANDS[:4]), config)
    radar = comparisons[comparisons.input == "radar bands"].set_index("pairing")
    assert radar.loc["trainings of one band", "n_pairs"] == 3
    assert radar.loc["groups", "n_pairs"] == 24
    assert radar.loc["groups", "difference"] == pytest.approx(radar.loc["trainings of one band", "difference"])


def test_a_row_that_lacks_a_band_is_in_no_mean_over_it():
    p = band_rows(dict.fromkeys(BANDS, 0.1))
    p = p[~((p.row == "b") & (p.input == "r2"))]
    table, *_ = summarise(p, BAND_CONFIG)
    assert set(table[table.input == "all bands"].row) == {"a"}
    assert set(table[table.input == "optical bands"].row) == {"a", "b"}


def pixel_cells(*specs, pixels=30, seed=0):
    """Segmentations: `pixels` labels in every unit; (row, kind, share right, seeds)."""
    y, group, rng = world(seed=seed)
    truth = np.repeat(y, pixels)
    truth = np.where(rng.random(len(truth)) < 0.5, truth, rng.integers(0, CLASSES, len(truth)))
    frames, flat = [], {}
    for row, kind, right, seeds in specs:
        for s in seeds:
            said = guess(truth, rng, right)
            flat[row, s] = truth, said
            unit = np.repeat(np.arange(N), pixels)
            entries, count = np.unique(np.stack([unit, truth, said]), axis=1, return_counts=True)
            one = cell(entries[1], group[entries[0]], entries[2], row, kind, s)
            frames.append(one.assign(uid=[f"u{i}" for i in entries[0]], count=count))
    return pd.concat(frames, ignore_index=True), flat, group


def test_segmentations_are_one_matrix_of_the_whole_set_and_groups_are_resampled():
    p, flat, group = pixel_cells(("a", "pretrained", 0.7, SEEDS), ("b", "floor", 0.5, SEEDS))
    rules = {"t": TaskRules(metrics=("miou", "accuracy"))}
    table, comparisons, _ = summarise(p, CONFIG.model_copy(update={"tasks": rules}))
    line = table[(table.row == "a") & (table.metric == "miou")].iloc[0]
    expected = [sk.jaccard_score(*flat["a", s], average="macro") for s in SEEDS]
    assert line.value == pytest.approx(np.mean(expected))
    assert (line.n_units, line.n_groups) == (N, 24)
    # the spread over groups is that of drawing them whole
    pixel_group = np.repeat(group, 30)
    without = [
        np.mean(
            [
                sk.jaccard_score(t[pixel_group != g], s[pixel_group != g], average="macro")
                for t, s in (flat["a", seed] for seed in SEEDS)
            ]
        )
        for g in np.unique(group)
    ]
    error = np.sqrt((len(without) - 1) * np.var(without))
    assert line.high - line.low > 2 * stats.norm.ppf(0.975) * error
    assert comparisons.iloc[0].verdict == "better"
    assert comparisons.iloc[0].n_pairs == 24


def test_segmentations_with_other_labels_are_refused():
    p, _, _ = pixel_cells(("a", "pretrained", 0.7, (0,)), ("b", "floor", 0.5, (0,)))
    p.loc[(p.row == "b") & (p.uid == "u3"), "count"] += 1
    with pytest.raises(SwathError, match="cannot be paired"):
        summarise(p, CONFIG)
