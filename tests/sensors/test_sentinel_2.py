"""The offset that halves of all Sentinel-2 code forget, as a truth table."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swath import sensors
from swath.errors import CorpusError
from swath.sensors import offset_for_baseline


@pytest.mark.parametrize(
    ("baseline", "offset"),
    [
        ("00.01", 0.0),
        ("02.14", 0.0),
        ("03.01", 0.0),
        ("03.99", 0.0),
        ("04.00", -1000.0),
        ("4.00", -1000.0),
        ("05.09", -1000.0),
        ("05.11", -1000.0),
        ("10.00", -1000.0),
        ("99.99", -1000.0),
        ("N0301", 0.0),
        ("N0400", -1000.0),
        ("N0511", -1000.0),
        (" 04.00\n", -1000.0),
    ],
)
def test_offset(baseline, offset):
    assert offset_for_baseline(baseline) == offset


@pytest.mark.parametrize("baseline", ["", "four", "4", "04.0", "N04", "04.00.1", "-4.00", "2022-01-25"])
def test_what_is_no_baseline_is_refused(baseline):
    with pytest.raises(CorpusError, match="no Sentinel-2 processing baseline") as error:
        offset_for_baseline(baseline)
    assert "PROCESSING_BASELINE" in str(error.value)


@given(st.integers(0, 99), st.integers(0, 99))
def test_baselines_compare_as_numbers_whatever_the_spelling(major, minor):
    expected = -1000.0 if major + minor / 100 >= 4 else 0.0
    assert offset_for_baseline(f"{major:02d}.{minor:02d}") == expected
    assert offset_for_baseline(f"{major}.{minor:02d}") == expected
    assert offset_for_baseline(f"N{major:02d}{minor:02d}") == expected


def test_the_same_ground_has_the_same_reflectance_before_and_after():
    old, new = np.array([1, 1500, 9000], np.uint16), np.array([1001, 2500, 10000], np.uint16)
    np.testing.assert_allclose(
        sensors.physical(old, 1e-4), sensors.physical(new + sensors.offset_for_baseline("04.00"), 1e-4), atol=1e-7
    )
