from dataclasses import replace

import pytest

from swath.products.tables import (
    Panel,
    band_of,
    contrasts,
    headline_panel,
    is_radar,
    load,
    panels_of,
)
from swath.sensors import band
from swath.tasks import metrics, schema
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


def test_a_comparison_reads_the_same_from_both_sides():
    one = pair("byol", "random", 0.1, "better")
    there = panel(score("byol", "pretrained", 0.8), score("random", "floor", 0.7), pairs=(one,))
    other = there.pair("random", "byol")
    assert other is not None
    assert (other.difference, other.low, other.high, other.verdict) == (-0.1, -0.13, -0.08, "worse")
    assert other.flipped() == one
    assert (other.a, other.of_arm_a, other.b, other.of_arm_b) == ("random", "random", "byol", "byol")
    assert there.pair("byol", "nobody") is None


def test_what_a_row_is_stands_in_its_role_whatever_it_is_called():
    there = panel(
        score("byol", "pretrained", 0.8),
        score("unet-from-scratch", "reference", 0.9),
        score("random encoder of the paper", "reference", 0.85),
        score("random-convolutions", "floor", 0.75),
        score("scratch pad statistics", "floor", 0.76),
        score("twin of byol", "random-twin", 0.7, "byol"),
        score("labels alone", "scratch", 0.79, "byol"),
    )
    assert there.twin("byol").row == "twin of byol"
    assert there.scratch("byol").row == "labels alone"
    assert there.best_floor().row == "scratch pad statistics"
    without = panel(*[one for one in there.scores if one.role in {"pretrained", "reference"}])
    assert (without.twin("byol"), without.scratch("byol"), without.best_floor()) == (None, None, None)


def test_each_arm_has_the_twin_of_its_own_network_and_no_other():
    arms = [score(name, "pretrained", 0.8) for name in ("byol", "rs-byol-1", "rs-byol-3", "ms-only", "wide")]
    twins = [
        score(f"random {i}", "random-twin", 0.6, *of)
        for i, of in enumerate([("rs-byol-3", "ms-only"), ("rs-byol-1",), ("byol",)])
    ]
    there = panel(*arms, *twins)
    rows = {arm.row: twin.row if (twin := there.twin(arm.row)) else None for arm in arms}
    assert rows == {
        "byol": "random 2",
        "rs-byol-1": "random 1",
        "rs-byol-3": "random 0",
        "ms-only": "random 0",
        "wide": None,
    }


@pytest.mark.parametrize(
    ("name", "key"),
    [("sentinel-1-rtc/VV", "sentinel-1-rtc/VV"), ("all bands", None), ("red", None), ("hls/NIR", "hls/NIR")],
)
def test_inputs_that_are_single_bands(name, key):
    found = band_of(name)
    assert (found.key if found else None) == key


def test_radar_is_told_from_optical():
    assert is_radar(band("sentinel-1-rtc/VV"))
    assert is_radar(band("display-radar/P"))
    assert not is_radar(band("sentinel-2-l2a/B04"))
    assert not is_radar(band("display-optical/red"))


def test_panels_follow_the_table(finished_run):
    run = load(finished_run)
    found = panels_of(run)
    assert [c.probe for c in found][:2] == ["linear", "knn"]
    first = headline_panel(found)
    assert first.key == ("land-cover", "all bands", "linear")
    assert [s.row for s in first.left_out] == ["imagenet"]
    values = [s.value for s in first.ranked]
    assert values == sorted(values, reverse=True)
    assert [c.input for c in contrasts(run)] == ["radar bands minus optical bands"]
    assert headline_panel([]) is None


def test_rows_are_ranked_by_what_the_metric_calls_better(monkeypatch):
    there = panel(score("byol", "pretrained", 0.8), score("simclr", "pretrained", 0.6), score("few", "floor", 0.7))
    assert [one.row for one in there.ranked] == ["byol", "few", "simclr"]
    lower = replace(metrics.find("accuracy"), better="lower")
    monkeypatch.setattr("swath.tasks.metrics.find", lambda name: lower)
    assert [one.row for one in there.ranked] == ["simclr", "few", "byol"]
    assert there.pretrained[0].row == "simclr"


def test_comparisons_of_a_task_that_has_no_values_are_said_and_left_out(run):
    folder = run / "evaluate"
    table = schema.COMPARISONS.read(folder)
    schema.COMPARISONS.write(folder, table.assign(task=["damaged", *table["task"][1:]]))
    opened = load(run)
    assert "comparisons.csv speaks of tasks that table.csv does not have: damaged" in opened.problems
    assert len(opened.comparisons) == len(table) - 1
    assert contrasts(opened) is not None
