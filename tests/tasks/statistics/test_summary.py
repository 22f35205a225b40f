"""The tables: values, intervals, pairing, Holm, words, and what is said where nothing can be."""

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from scipy import stats
from sklearn import metrics as sk

from swath.errors import SwathError
from swath.tasks.schema import COMPARISONS, NOTES, TABLE
from swath.tasks.statistics import (
    StatisticsConfig,
    TaskRules,
    holm,
    summarise,
    verdict,
)

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
            "seed": seed,
            "uid": [f"u{i}" for i in range(len(y))],
            "group": [f"g{g}" for g in group],
            "y_true": y,
            "y_pred": y_pred,
            "score": [None] * len(y) if score is None else list(score),
        }
    )


def guess(y, rng, right):
    return np.where(rng.random(len(y)) < right, y, rng.integers(0, CLASSES, len(y)))


def rows(*specs, groups=24, seed=0, name="all", probe="linear"):
    """Cells from (row, kind, share right, seeds)."""
    y, group, rng = world(groups, seed)
    return pd.concat(
        [
            cell(y, group, guess(y, rng, right), row, kind, s, name, probe)
            for row, kind, right, seeds in specs
            for s in seeds
        ]
    )


CONFIG = StatisticsConfig(resamples=400, flips=999)


def test_values_are_means_over_seeds_of_scikit_learns_numbers():
    p = rows(("a", "pretrained", 0.7, (0, 1, 2)), ("b", "floor", 0.3, (0, 1, 2)))
    config = CONFIG.model_copy(update={"tasks": {"t": TaskRules(metrics=("macro_f1", "accuracy", "miou"))}})
    table, comparisons = summarise(p, config)
    assert list(table) == TABLE.columns
    assert list(comparisons) == COMPARISONS.columns
    assert list(table.metric) == ["macro_f1", "accuracy", "miou"] * 2
    expected = [sk.f1_score(part.y_true, part.y_pred, average="macro") for _, part in p[p.row == "a"].groupby("seed")]
    line = table.iloc[0]
    assert line.value == pytest.approx(np.mean(expected))
    assert line.per_seed == pytest.approx(expected, abs=1e-6)
    assert line.low < line.value < line.high
    assert (line.n_units, line.n_groups, line.note) == (N, 24, "")


def test_a_comparison_is_the_difference_of_the_table_and_its_sign_is_in_the_words():
    p = rows(("a", "pretrained", 0.8, (0, 1)), ("b", "pretrained", 0.4, (0, 1)), ("c", "floor", 0.9, (0, 1)))
    table, comparisons = summarise(p, CONFIG)
    values = dict(zip(table.row, table.value, strict=True))
    assert list(zip(comparisons.a, comparisons.b, strict=True)) == [("a", "b"), ("a", "c"), ("b", "c")]
    for line in comparisons.itertuples():
        assert line.difference == pytest.approx(values[line.a] - values[line.b])
        assert line.low < line.difference < line.high
    assert list(comparisons.verdict) == ["better", "worse", "worse"]
    assert comparisons.p_holm.to_numpy() == pytest.approx(holm(comparisons.p.to_numpy()))


def test_equal_rows_are_not_distinguishable_and_their_intervals_are_paired():
    y, group, rng = world()
    same = guess(y, rng, 0.7)
    p = pd.concat([cell(y, group, same, "a"), cell(y, group, same, "b", "floor")])
    _, comparisons = summarise(p, CONFIG)
    line = comparisons.iloc[0]
    # pairing: what two rows share cancels, whatever the interval of each
    assert (line.difference, line.low, line.high) == (0, 0, 0)
    assert (line.p, line.p_t, line.p_wilcoxon, line.verdict) == (1, 1, 1, "tie")


def test_the_tests_beside_are_scipys_on_the_groups_accuracies():
    p = rows(("a", "pretrained", 0.75, (0, 1)), ("b", "floor", 0.6, (0, 1)))
    _, comparisons = summarise(p, CONFIG)
    right = p.assign(right=p.y_true == p.y_pred).groupby(["row", "group", "seed"]).right.mean().groupby(level=[0, 1])
    by_group = right.mean().unstack(0)
    assert comparisons.p_t[0] == pytest.approx(stats.ttest_rel(by_group.a, by_group.b).pvalue)
    assert comparisons.p_wilcoxon[0] == pytest.approx(
        stats.wilcoxon(np.round(by_group.a - by_group.b, 12), correction=True, method="asymptotic").pvalue, rel=1e-6
    )
    assert comparisons.n_pairs[0] == 24


def test_no_false_alarms_beyond_the_level():
    """Two rows of equal worth are told apart in about one of twenty worlds."""
    alarms = 0
    for seed in range(60):
        p = rows(("a", "pretrained", 0.6, (0,)), ("b", "floor", 0.6, (0,)), seed=seed)
        _, comparisons = summarise(p, StatisticsConfig(resamples=100, flips=199))
        alarms += comparisons.verdict[0] != "tie"
    assert alarms <= 8


def test_a_row_with_one_seed_stands_against_every_seed():
    p = rows(("a", "pretrained", 0.7, (0, 1, 2)), ("majority", "floor", 0.3, (0,)))
    table, comparisons = summarise(p, CONFIG)
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
    _, comparisons = summarise(p, CONFIG)
    assert comparisons.high[0] == comparisons.low[0] == 0
    p = rows(("a", "pretrained", 0.7, (0, 1)), ("b", "floor", 0.3, (2, 3)))
    _, comparisons = summarise(p, CONFIG)
    assert (comparisons.verdict[0], comparisons.note[0]) == ("untested", "the rows have no replicate in common")


def test_one_group_and_few_groups_are_said_to_be():
    table, comparisons = summarise(rows(("a", "pretrained", 0.9, (0,)), ("b", "floor", 0.1, (0,)), groups=1), CONFIG)
    assert np.isnan(table.low).all()
    assert "one group only" in table.note[0]
    assert (comparisons.verdict[0], comparisons.note[0]) == ("untested", "one group only: nothing can be tested")
    assert comparisons.difference[0] == pytest.approx(table.value[0] - table.value[1])
    table, comparisons = summarise(rows(("a", "pretrained", 0.9, (0,)), ("b", "floor", 0.1, (0,)), groups=4), CONFIG)
    assert "4 groups only" in table.note[0]
    # the strongest evidence that four groups can give is 2/16
    assert comparisons.p[0] == pytest.approx(0.125)
    assert "can never reach" in comparisons.note[0]


def test_rows_with_other_units_are_refused():
    p = rows(("a", "pretrained", 0.7, (0,)), ("b", "floor", 0.7, (0,)))
    p.loc[(p.row == "b") & (p.uid == "u3"), "uid"] = "elsewhere"
    with pytest.raises(SwathError, match="row 'b' are not those"):
        summarise(p, CONFIG)


def test_nothing_in_nothing_out():
    table, comparisons = summarise(rows(("a", "pretrained", 0.7, (0,))).iloc[:0], CONFIG)
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
    table, _ = summarise(p, CONFIG, notes)
    assert list(table.note) == ["VV as its 3 channels", "seed 0: no statistics of VV; seed 1: one class only"]
    assert np.isnan(table.value[1])
    assert table.per_seed[1] == ()


def binary(groups, seed=0, seeds=(0, 1)):
    rng = np.random.default_rng(seed)
    y, group = rng.integers(0, 2, N), np.sort(rng.integers(0, groups, N)) if groups < N else np.arange(N)
    cells = []
    for s in seeds:
        logit = y + rng.normal(0, 1, N) - 0.5
        p = 1 / (1 + np.exp(-logit))
        cells.append(cell(y, group, (p > 0.5).astype(int), "a", seed=s, score=np.stack([1 - p, p], 1)))
    return pd.concat(cells)


@pytest.mark.parametrize("groups", [N, 40])
def test_area_under_the_curve_by_delong_or_bootstrap(groups):
    p = binary(groups)
    rules = {"t": TaskRules(metrics=("accuracy", "roc_auc"))}
    table, _ = summarise(p, StatisticsConfig(tasks=rules, resamples=1000))
    line = table[table.metric == "roc_auc"].iloc[0]
    expected = [sk.roc_auc_score(c.y_true, [s[1] for s in c.score]) for _, c in p.groupby("seed")]
    assert line.value == pytest.approx(np.mean(expected))
    assert line.per_seed == pytest.approx(expected, abs=1e-6)
    assert 0.02 < line.high - line.low < 0.15
    assert line.low < line.value < line.high


def test_a_perfect_curve_falls_back_to_the_bootstrap():
    p = binary(N, seeds=(0,))
    p["score"] = [np.array([1.0 - y, float(y)]) for y in p.y_true]
    rules = {"t": TaskRules(metrics=("accuracy", "roc_auc"))}
    table, _ = summarise(p, StatisticsConfig(tasks=rules, resamples=100))
    assert (table.value[1], table.low[1], table.high[1]) == (1, 1, 1)


def test_rows_without_scores_have_no_curve_and_say_so():
    rules = {"t": TaskRules(metrics=("accuracy", "roc_auc"))}
    table, _ = summarise(rows(("a", "pretrained", 0.7, (0,))), CONFIG.model_copy(update={"tasks": rules}))
    assert np.isnan(table.value[1])
    assert "no class scores" in table.note[1]
    assert np.isnan(table.per_seed[1]).tolist() == [True]


def test_a_curve_cannot_rank():
    with pytest.raises(ValidationError, match="roc_auc cannot come first"):
        TaskRules(metrics=("roc_auc",))


def test_bca_intervals_are_another_choice():
    p = rows(("a", "pretrained", 0.9, (0,)))
    one, _ = summarise(p, CONFIG)
    other, _ = summarise(p, CONFIG.model_copy(update={"interval": "bca"}))
    assert (one.low[0], one.high[0]) != (other.low[0], other.high[0])
    assert other.low[0] == pytest.approx(one.low[0], abs=0.03)


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
BAND_CONFIG = CONFIG.model_copy(update={"tasks": {"t": TaskRules(band_groups=GROUPS)}})


def band_rows(gain, bands=BANDS):
    """Row b, and row a that is better than it by `gain[band]`."""
    y, group, rng = world()
    return pd.concat(
        [
            cell(y, group, guess(y, rng, right), row, kind, s, name, "band-wise")
            for name in bands
            for row, kind, right in (("a", "pretrained", 0.4 + gain[name]), ("b", "pretrained", 0.4))
            for s in (0, 1)
        ]
    )


def test_bands_are_judged_together_and_in_groups():
    p = band_rows(dict.fromkeys(BANDS, 0.02) | {"r1": 0.4, "r2": 0.5})
    table, comparisons = summarise(p, BAND_CONFIG)
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
    radar = comparisons[(comparisons.input == "radar bands") & (comparisons.pairing == "groups")].iloc[0]
    assert (radar.verdict, radar.n_pairs) == ("better", 24)


def test_above_all_on_radar_is_a_test_of_its_own():
    p = band_rows(dict.fromkeys(BANDS, 0.0) | {"r1": 0.4, "r2": 0.5})
    table, comparisons = summarise(p, BAND_CONFIG)
    line = comparisons[comparisons.input == "radar bands minus optical bands"].iloc[0]
    value = {
        name: comparisons[comparisons.input == f"{name} bands"].difference.iloc[0] for name in ("radar", "optical")
    }
    assert line.difference == pytest.approx(value["radar"] - value["optical"])
    assert line.verdict == "better"
    assert "radar bands minus optical bands" not in set(table.input)
    # better everywhere by the same amount is no interaction
    _, comparisons = summarise(band_rows(dict.fromkeys(BANDS, 0.3)), BAND_CONFIG)
    line = comparisons[comparisons.input == "radar bands minus optical bands"].iloc[0]
    assert line.verdict == "tie"


def test_one_radar_band_is_paired_over_seeds_and_over_groups():
    groups = {"band-wise": {"all": BANDS[:4], "optical": BANDS[:3], "radar": BANDS[3:4]}}
    config = CONFIG.model_copy(update={"tasks": {"t": TaskRules(band_groups=groups)}})
    _, comparisons = summarise(band_rows(dict.fromkeys(BANDS, 0.3), BANDS[:4]), config)
    radar = comparisons[comparisons.input == "radar bands"].set_index("pairing")
    assert radar.loc["seeds of one band", "n_pairs"] == 2
    assert radar.loc["groups", "n_pairs"] == 24
    assert radar.loc["groups", "difference"] == pytest.approx(radar.loc["seeds of one band", "difference"])


def test_a_row_that_lacks_a_band_is_in_no_mean_over_it():
    p = band_rows(dict.fromkeys(BANDS, 0.1))
    p = p[~((p.row == "b") & (p.input == "r2"))]
    table, _ = summarise(p, BAND_CONFIG)
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
    p, flat, group = pixel_cells(("a", "pretrained", 0.7, (0, 1)), ("b", "floor", 0.5, (0, 1)))
    rules = {"t": TaskRules(metrics=("miou", "accuracy"))}
    table, comparisons = summarise(p, CONFIG.model_copy(update={"tasks": rules}))
    line = table[(table.row == "a") & (table.metric == "miou")].iloc[0]
    expected = [sk.jaccard_score(*flat["a", s], average="macro") for s in (0, 1)]
    assert line.value == pytest.approx(np.mean(expected))
    assert (line.n_units, line.n_groups) == (N, 24)
    # the spread is that of groups, drawn whole: made again by drawing groups' pixels
    rng, draws = np.random.default_rng(1), []
    pixel_group = np.repeat(group, 30)
    members = [np.flatnonzero(pixel_group == g) for g in range(24)]
    for _ in range(200):
        drawn = np.concatenate([members[g] for g in rng.integers(0, 24, 24)])
        draws.append(
            np.mean([sk.jaccard_score(t[drawn], s[drawn], average="macro") for t, s in (flat["a", 0], flat["a", 1])])
        )
    low, high = np.quantile(draws, [0.025, 0.975])
    assert [line.low, line.high] == pytest.approx([low, high], abs=0.25 * (high - low))
    assert comparisons.iloc[0].verdict == "better"
    assert comparisons.iloc[0].n_pairs == 24


def test_segmentations_with_other_labels_are_refused():
    p, _, _ = pixel_cells(("a", "pretrained", 0.7, (0,)), ("b", "floor", 0.5, (0,)))
    p.loc[(p.row == "b") & (p.uid == "u3"), "count"] += 1
    with pytest.raises(SwathError, match="cannot be paired"):
        summarise(p, CONFIG)
