import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from swath.products.draw.style import styled, svg
from swath.products.report.sections.pretraining import MAX_POINTS, Curve, curves, thin


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
