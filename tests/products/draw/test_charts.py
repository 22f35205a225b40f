import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swath.products.draw import charts
from swath.products.tables.panels import Score


def score(value: float, low: float = math.nan, high: float = math.nan, seeds: tuple[float, ...] = ()) -> Score:
    return Score("row", "pretrained", "accuracy", value, low, high, seeds, None, None, "")


def drawn(title: str = "Loss", name: str = "x") -> str:
    x = np.arange(1000.0)
    with charts.styled():
        return str(charts.svg(charts.curves(title, [charts.Curve(0, x, 1 / (1 + x))]), name, f"about {title}"))


def test_svg_is_the_same_every_time_and_small():
    assert drawn() == drawn()
    assert len(drawn()) < 20_000


def test_svg_takes_its_colours_from_the_page_and_names_nothing_outside():
    text = drawn()
    assert "var(--c0)" in text
    assert "#0072b2" not in text
    assert "http" not in text
    assert "xlink" not in text


@pytest.mark.parametrize("title", ["a < b & c", "price in $ and $", "<script>", "森林 \\alpha_{2}"])
def test_names_are_shown_letter_by_letter(title):
    root = ET.fromstring(drawn(title))
    assert title in ["".join(text.itertext()) for text in root.iter("text")]
    assert root.get("aria-label") == f"about {title}"


def test_ids_start_with_the_figure_name():
    ids = [e.get("id") for e in ET.fromstring(drawn(name="first")).iter() if e.get("id")]
    assert ids
    assert all(i.startswith("first-") for i in ids)


@given(st.lists(st.floats(-1e6, 1e6) | st.just(math.nan), min_size=0, max_size=900))
def test_thinning_keeps_mean_and_order(values):
    y = np.array(values)
    x, thinned = charts.thin(np.arange(len(y), dtype=float), y)
    assert len(x) == len(thinned) <= charts.MAX_POINTS
    assert np.all(np.diff(x) > 0)
    finite = y[np.isfinite(y)]
    if 0 < len(finite) <= charts.MAX_POINTS:
        assert np.array_equal(thinned, finite)
    elif len(finite):
        assert finite.min() - 1e-6 <= thinned.min() <= thinned.max() <= finite.max() + 1e-6


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_strips_stay_inside_their_box(values):
    scores = [score(v, v - 0.01, v + 0.01, (v, v)) for v in values]
    scale = charts.Scale.of(scores)
    assert scale.low < scale.high
    for one in scores:
        root = ET.fromstring(str(charts.strip(one, scale, "s0", 0.5, "a row")))
        places = [float(circle.get("cx")) for circle in root.iter("circle")]
        assert all(0 <= place <= charts.STRIP for place in places)
        # what is off the axis is an arrow, not a dot in the wrong place
        assert bool(places) == (one.value >= scale.low)


@pytest.mark.parametrize(
    ("one", "arrow"),
    [
        (score(0.9, 0.8, 0.95), False),
        (score(0.9, 0.458, 1.0), True),
        (score(0.9, 0.8, 0.95, (0.2, 0.9)), True),
        (score(0.3, 0.2, 0.7), True),
    ],
)
def test_what_lies_off_the_axis_has_an_arrow(one, arrow):
    scale = charts.Scale.of([score(0.99), one])
    text = charts.strip(one, scale, "s0", 0.1, "a row")
    assert ("M4 13l8 -5v10z" in text) == arrow
    assert ("floorline" in text) == (scale.low <= 0.1)
    assert text.count('class="seed"') == sum(v >= scale.low for v in one.per_seed)
    assert ("whisker" in text) == (one.high > scale.low)
    assert ('<circle class="dot"' in text) == (one.value >= scale.low)


def test_strip_of_a_row_without_interval_or_seeds():
    text = charts.strip(score(0.5), charts.Scale(0.0, 1.0, (0.0, 1.0)), "s0", None, 'says "<x>"')
    root = ET.fromstring(str(text))
    assert root.get("aria-label") == 'says "<x>"'
    assert len(list(root.iter("circle"))) == 1


def test_png_is_the_same_every_time_and_a_png():
    def once() -> bytes:
        with charts.styled():
            return charts.png(charts.curves("Loss", []), dpi=60)

    assert once() == once()
    assert once().startswith(b"\x89PNG")
