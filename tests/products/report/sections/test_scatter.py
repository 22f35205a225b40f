"""Estimates against numbers: every test location of every training is counted once."""

import base64
import io

import numpy as np
import pandas as pd

from swath.products.report.sections._scatter import BINS, histogram, scatter


def test_all_estimates_are_counted_on_equal_axes():
    rng = np.random.default_rng(0)
    true = rng.normal(15, 8, 500)
    figure = histogram(true, true + rng.normal(0, 2, 500), "warmth (°C)")
    (axes,) = figure.axes
    counts = np.nan_to_num(np.ma.filled(axes.collections[0].get_array().astype(float), 0))
    assert counts.sum() == 500
    assert counts.size == BINS**2
    assert axes.get_xlabel() == "warmth (°C)"
    assert axes.get_aspect() == 1.0


def test_constant_estimates_are_drawn_and_said_to_correlate_with_nothing():
    lines = pd.DataFrame({"value_true": [1.0, 2.0, 3.0], "value_pred": [2.0, 2.0, 2.0]})
    shown = scatter(lines, "mean", "warmth", "°C", "3 trainings")
    assert "3 estimates of mean against warmth (°C), correlation –" in shown.plot.plot
    table = pd.read_csv(io.BytesIO(base64.b64decode(shown.plot.csv.partition(",")[2])))
    assert table["count"].tolist() == [1, 1, 1]
    np.testing.assert_allclose(table["true"], [1.0, 2.0, 3.0], atol=2 / BINS)
    np.testing.assert_allclose(table["estimate"], 2.0, atol=2 / BINS)
    assert shown.trainings == "3 trainings"
