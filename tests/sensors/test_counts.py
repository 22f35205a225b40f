"""Counts become physical values in one place; what is written out here is the definition, number by number."""

import numpy as np
import pytest

from swath import sensors


def test_reflectance_is_scaled_and_shifted():
    counts = np.array([[0, 1000], [1500, 65535]], np.uint16)
    values = sensors.physical(counts, 1e-4, -0.1)
    assert values.dtype == np.float64
    np.testing.assert_array_equal(values, counts.astype(np.float64) * 1e-4 - 0.1)
    np.testing.assert_array_equal(counts, [[0, 1000], [1500, 65535]])


def test_bands_have_scales_of_their_own():
    counts = np.arange(8, dtype=np.int16).reshape(2, 2, 2)
    scale, offset = np.array([1.0, 2.0])[:, None, None], np.array([0.0, 100.0])[:, None, None]
    np.testing.assert_array_equal(sensors.physical(counts, scale, offset)[1], [[108, 110], [112, 114]])


def test_a_power_becomes_decibels_and_none_that_is_not_positive():
    power = np.array([100.0, 1.0, 0.05, 0.0, -1.0, np.nan], np.float32)
    values = sensors.physical(power, decibel=True)
    np.testing.assert_allclose(values[:3], [20.0, 0.0, -13.0103], atol=1e-5)
    assert np.isnan(values[3:]).all()
    assert float(sensors.physical(np.array(10.0), decibel=True)) == 10.0


@pytest.mark.parametrize("sensor", ["sentinel-2-l2a", "landsat-oli-sr", "sentinel-1-rtc"])
def test_tensors_and_arrays_follow_one_formula(sensor):
    import torch

    from swath.batch import Calibration

    scaling = sensors.get(sensor).scaling
    counts = np.array([1, 7, 300, 9999, 65535], np.float32)
    scale, offset = (torch.full((1, 1, 1), number) for number in (scaling.scale, scaling.offset))
    pixels = torch.from_numpy(counts.copy())[:, None, None, None]
    Calibration(scale, offset, scaling.decibel).apply(pixels)
    np.testing.assert_allclose(pixels.flatten().numpy(), scaling.physical(counts), rtol=2e-6, atol=1e-6)
