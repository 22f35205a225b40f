"""Gains by cloud: the bins' units, and the difference on them alone."""

import numpy as np
import pandas as pd
import pytest

from swath.tasks._clouds import CLOUD_COLUMNS, cloud_share, frame, gains
from swath.tasks.statistics import StatisticsConfig
from tests.tasks.test_statistics import cell, guess, world

CONFIG = StatisticsConfig(resamples=200, flips=99)


def test_shares_are_means_over_the_series_that_say_them(fields):
    share = cloud_share(fields)
    assert share["field-013"] == pytest.approx(0.3)
    assert len(share) == 40


def test_a_gain_that_fades_with_clouds_is_seen_to_fade():
    y, group, rng = world()
    cloud = pd.Series(np.linspace(0, 1, len(y)), index=[f"u{i}" for i in range(len(y))])
    right = np.where(cloud < 0.5, 0.95, 0.4)
    a, b = (cell(y, group, guess(y, rng, share), row, kind) for row, kind, share in (
        ("a", "pretrained", right), ("b", "floor", 0.4)))  # fmt: skip
    predictions = pd.concat([a, b]).assign(count=1)
    cloud["u3"] = np.nan
    table = frame(gains("t", predictions, cloud, [0.0, 0.5, 1.0], "accuracy", CONFIG))
    assert list(table) == CLOUD_COLUMNS
    assert list(table.n_units) == [119, 120]
    first, second = table.itertuples()
    inside = (cloud <= 0.5).to_numpy()
    expected = (a.y_pred == a.y_true)[inside].mean() - (b.y_pred == b.y_true)[inside].mean()
    assert first.difference == pytest.approx(expected)
    assert first.value_a - first.value_b == pytest.approx(expected)
    assert first.low > 0.2
    assert second.low < 0.1 < 0.3 > second.difference
    assert first.low < first.difference < first.high


def test_bins_without_a_unit_have_no_line():
    y, group, rng = world()
    cloud = pd.Series(0.1, index=[f"u{i}" for i in range(len(y))])
    predictions = pd.concat([cell(y, group, y, "a"), cell(y, group, guess(y, rng, 0.5), "b", "floor")]).assign(count=1)
    table = frame(gains("t", predictions, cloud, [0.0, 0.25, 1.0], "macro_f1", CONFIG))
    assert list(table.low_cloud) == [0]
