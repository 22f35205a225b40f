from dataclasses import replace
from pathlib import Path

import pandas as pd

from swath.products.tables import Panel, Run, judged, outcome
from swath.products.words import NO_BREAK
from swath.tasks.schema import Comparison, Role, RowValue


def score(row: str, role: Role, value: float, *of_arm: str) -> RowValue:
    arms, low, high = ",".join(of_arm), value - 0.05, value + 0.05
    return RowValue("cover", "all", "linear", row, role, arms, "accuracy", value, low, high, (value,), 100, 20, "")


def pair(a: str, b: str, difference: float, verdict) -> Comparison:
    rows = a, "pretrained", a, b, "pretrained", b
    low, high, p = difference - 0.02, difference + 0.03, (0.01, 0.01, 0.01, 0.01, 0.02)
    said = "claim", verdict, 20, "groups", "jackknife", ""
    return Comparison("cover", "all", "linear", *rows, difference, low, high, *p, *said)


def panel(*scores: RowValue, pairs: tuple[Comparison, ...] = ()) -> Panel:
    return Panel("cover", "all", "linear", ("accuracy",), scores, (), pairs)


def test_words_of_an_outcome():
    rows = (
        score("byol", "pretrained", 0.8),
        score("simclr", "pretrained", 0.78),
        score("random-encoder", "random-twin", 0.6, "byol"),
    )
    pairs = (pair("simclr", "byol", -0.02, "tie"), pair("byol", "random-encoder", 0.2, "better"))
    said = " ".join(outcome(panel(*rows, pairs=pairs))).replace(NO_BREAK, " ")
    assert "byol came first with 80.0 % accuracy (95 % interval 75.0–85.0)." in said
    assert "2.0 points ahead of simclr, the next, but the two are not distinguishable" in said
    assert "It is better than the same network frozen at its random initial weights (60.0 %)" in said
    assert "+20.0 points (95 % interval +18.0 to +23.0, p = 0.010; p = 0.020 after Holm's correction)" in said
    assert "It was not compared with the same network trained from scratch" in said
    worse = replace(pairs[1], verdict="worse", difference=-0.2)
    assert "It is worse than" in " ".join(outcome(panel(*rows, pairs=(worse,))))
    assert outcome(panel(rows[2])) == ["No pre-trained encoder has a result here."]


def test_trainings_are_counted_by_fold_and_only_several_are_a_mean():
    run = Run(Path(), {}, "", {}, pd.DataFrame(), pd.DataFrame(), {})
    three = (replace(score("byol", "pretrained", 0.8), per_seed=(0.7, 0.8, 0.9)), score("simclr", "pretrained", 0.7))
    said = judged(run, replace(panel(*three), folds=5))[0]
    assert "(byol and simclr; each with 3 trainings in each of 5 folds) were judged on cover" in said
    assert "(byol; with 3 trainings) was judged" in judged(run, panel(three[0]))[0]
    assert "(simclr; with 1 training) was judged" in judged(run, panel(three[1]))[0]


def test_differences_of_a_metric_that_is_no_share_have_no_points(metric_in_kelvin):
    rows = [replace(one, metric=metric_in_kelvin) for one in (
        score("byol", "pretrained", 2.5), score("labels", "scratch", 3.75, "byol"))]  # fmt: skip
    there = replace(panel(*rows, pairs=(pair("byol", "labels", -1.25, "better"),)), metrics=(metric_in_kelvin,))
    said = " ".join(outcome(there)).replace(NO_BREAK, " ")
    assert "byol reaches 2.5 error in K (95 % interval 2.45–2.55)." in said
    p = "p = 0.010; p = 0.020 after Holm's correction"
    assert f"trained from scratch on the labels (3.75): −1.25 (95 % interval −1.27 to −1.22, {p})" in said
    assert "points" not in said
    assert there.unit == ""


def test_errors_are_shown_in_the_unit_of_the_numbers_and_r2_without_one():
    tasks = pd.DataFrame({"task": ["warmth"], "unit": ["°C"]})
    run = Run(Path(), {}, "", {}, pd.DataFrame(), pd.DataFrame(), {}, tasks=tasks)
    assert (run.unit("warmth"), run.unit("cover")) == ("°C", "")
    rows = [replace(one, metric="rmse", task="warmth") for one in (
        score("a", "pretrained", 2.5), score("b", "scratch", 3.75, "a"))]  # fmt: skip
    there = replace(panel(*rows, pairs=(pair("a", "b", -1.25, "better"),)), metrics=("rmse", "r2"), target_unit="°C")
    said = " ".join(outcome(there)).replace(NO_BREAK, " ")
    assert "a reaches 2.5 °C RMSE (95 % interval 2.45–2.55)." in said
    assert "(3.75 °C): −1.25 °C (95 % interval" in said
    assert (there.unit, there.called("rmse"), there.called("r2"), there.called("accuracy")) == (
        "°C",
        "RMSE (°C)",
        "R²",
        "accuracy",
    )
    assert replace(there, metrics=("r2",)).unit == ""


def test_a_run_without_anything_pretrained_says_so():
    table = pd.DataFrame({"row": ["b"], "role": ["floor"]})
    run = Run(Path(), {}, "", {}, table, pd.DataFrame(), {})
    assert judged(run, None) == [
        "Nothing was pre-trained: rows that no pre-training went into are compared with each other."
    ]
