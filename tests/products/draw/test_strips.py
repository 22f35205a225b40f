import math
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swath.products.draw.strips import STRIP, Scale, strip
from swath.tasks.schema import RowValue


def score(value: float, low: float = math.nan, high: float = math.nan, seeds: tuple[float, ...] = ()) -> RowValue:
    row = "cover", "all", "linear", "row", "pretrained", "row"
    return RowValue(*row, "accuracy", value, low, high, seeds, None, None, "")


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_strips_stay_inside_their_box(values):
    scores = [score(v, v - 0.01, v + 0.01, (v, v)) for v in values]
    scale = Scale.of(scores)
    assert scale.low < scale.high
    for one in scores:
        root = ET.fromstring(str(strip(one, scale, "s0", 0.5, "a row")))
        places = [float(circle.get("cx")) for circle in root.iter("circle")]
        assert all(0 <= place <= STRIP for place in places)
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
    scale = Scale.of([score(0.99), one])
    text = strip(one, scale, "s0", 0.1, "a row")
    assert ("M4 13l8 -5v10z" in text) == arrow
    assert ("floorline" in text) == (scale.low <= 0.1)
    assert text.count('class="seed"') == sum(v >= scale.low for v in one.per_seed)
    assert ("whisker" in text) == (one.high > scale.low)
    assert ('<circle class="dot"' in text) == (one.value >= scale.low)


def test_strip_of_a_row_without_interval_or_seeds():
    text = strip(score(0.5), Scale(0.0, 1.0, (0.0, 1.0)), "s0", None, 'says "<x>"')
    root = ET.fromstring(str(text))
    assert root.get("aria-label") == 'says "<x>"'
    assert len(list(root.iter("circle"))) == 1
