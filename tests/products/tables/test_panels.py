import math

import pytest

from swath.products.tables import (
    Pair,
    Panel,
    Score,
    band_of,
    contrasts,
    headline_panel,
    is_radar,
    load,
    panels_of,
)
from swath.products.tables.panels import _verdict
from swath.sensors import band


def score(row: str, kind: str, value: float) -> Score:
    return Score(row, kind, "accuracy", value, value - 0.05, value + 0.05, (value,), 100, 20, "")


def pair(a: str, b: str, difference: float, verdict) -> Pair:
    low, high = difference - 0.02, difference + 0.03
    return Pair(a, b, difference, low, high, 0.01, 0.01, 0.01, 0.02, verdict, 20, "groups", "sign-flip", "")


def panel(*scores: Score, pairs: tuple[Pair, ...] = ()) -> Panel:
    return Panel("cover", "all", "linear", ("accuracy",), scores, (), pairs)


@pytest.mark.parametrize(
    ("said", "difference", "p", "meaning"),
    [
        ("better", 0.1, 0.01, "better"),
        ("worse", -0.1, 0.01, "worse"),
        ("not distinguishable", 0.1, 0.2, "tie"),
        ("untested", 0.1, math.nan, "untested"),
        ("", 0.1, 0.01, "better"),
        ("", -0.1, 0.01, "worse"),
        ("", 0.1, 0.05, "tie"),
        ("", math.nan, 0.01, "untested"),
    ],
)
def test_verdicts(said, difference, p, meaning):
    assert _verdict(said, difference, p) == meaning


def test_a_comparison_reads_the_same_from_both_sides():
    one = pair("byol", "random", 0.1, "better")
    there = panel(score("byol", "pretrained", 0.8), score("random", "floor", 0.7), pairs=(one,))
    other = there.pair("random", "byol")
    assert other is not None
    assert (other.difference, other.low, other.high, other.verdict) == (-0.1, -0.13, -0.08, "worse")
    assert other.flipped() == one
    assert there.pair("byol", "nobody") is None


def test_the_random_twin_is_an_encoder_not_convolutions():
    there = panel(
        score("byol", "pretrained", 0.8),
        score("random-convolutions", "floor", 0.75),
        score("random forest", "floor", 0.74),
        score("random-encoder", "floor", 0.7),
        score("from-scratch", "floor", 0.79),
    )
    assert there.twin("byol").row == "random-encoder"
    assert there.scratch("byol").row == "from-scratch"
    assert there.best_floor().row == "random-convolutions"


def test_each_arm_has_its_own_twin_where_there_are_several():
    arms = [score(name, "pretrained", 0.8) for name in ("byol", "rs-byol-1", "rs-byol-3", "ms-only")]
    twins = [
        score(f"random encoder, as {names}", "floor", 0.6) for names in ("rs-byol-3, ms-only", "rs-byol-1", "byol")
    ]
    there = panel(*arms, *twins)
    assert there.twin("rs-byol-1").row == "random encoder, as rs-byol-1"
    assert there.twin("rs-byol-3").row == "random encoder, as rs-byol-3, ms-only"
    assert there.twin("ms-only").row == "random encoder, as rs-byol-3, ms-only"
    assert there.twin("byol").row == "random encoder, as byol"
    assert panel(*arms, twins[0]).twin("rs-byol-1") is None


@pytest.mark.parametrize(
    ("name", "key"), [("sentinel-1-rtc/VV", "sentinel-1-rtc/VV"), ("all bands", None), ("hls/NIR", "hls/NIR")]
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
