import base64
import math

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from swath.products.draw.style import styled, svg
from swath.products.report.sections import Material
from swath.products.report.sections.pretraining import MAX_POINTS, Curve, content, curves, thin
from swath.products.tables import Run
from swath.tasks import schema


@given(st.lists(st.floats(-1e6, 1e6) | st.just(math.nan), min_size=0, max_size=900))
def test_thinning_keeps_mean_and_order(values):
    y = np.array(values)
    x, thinned = thin(np.arange(len(y), dtype=float), y)
    assert len(x) == len(thinned) <= MAX_POINTS
    assert np.all(np.diff(x) > 0)
    finite = y[np.isfinite(y)]
    if 0 < len(finite) <= MAX_POINTS:
        assert np.array_equal(thinned, finite)
    elif len(finite):
        assert finite.min() - 1e-6 <= thinned.min() <= thinned.max() <= finite.max() + 1e-6


def test_a_long_curve_is_a_small_drawing():
    x = np.arange(1000.0)
    with styled():
        assert len(svg(curves("Loss", [Curve(0, x, 1 / (1 + x))]), "x", "about the loss")) < 20_000


def test_rankme_has_a_curve_with_its_numbers_where_it_was_logged(tmp_path):
    log = pd.DataFrame({"step": [1, 50, 100], "loss": [3.0, 2.0, 1.0], "rankme": [4.0, 8.5, 12.25]})
    old = log.drop(columns="rankme")
    manifest, logs = {"recipe": {"arms": {"new": {}, "old": {}}}}, {("new", 0): log, ("old", 0): old}
    run = Run(tmp_path, manifest, "", logs, schema.TABLE.frame(), schema.COMPARISONS.frame(), {})
    shown = content(Material(run, [], None, None, []))
    charts = {chart.name: chart for chart in shown["charts"]}
    assert "rankme" in charts["curve-rankme"].name
    data = base64.b64decode(charts["curve-rankme"].csv.partition(",")[2]).decode()
    assert data.split() == ["arm,seed,step,rankme", "new,0,1,4", "new,0,50,8.5", "new,0,100,12.25"]
    assert "new ends at 12.2" in charts["curve-rankme"].plot
    assert [one["rankme"] for one in shown["trained"]] == ["12.2", "–"]
