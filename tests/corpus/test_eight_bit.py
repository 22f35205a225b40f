"""The 8-bit tables against the formula of the paper's code, for every count there is."""

import numpy as np
import pytest

from swath import sensors
from swath.corpus import SensorLayout, eight_bit
from swath.errors import RecipeError


def published(x, low, high):
    """SSL4EO-L's compress_dataset.py."""
    return np.clip(255 * (x - low) / (high - low), 0, 255).astype(np.uint8)


def test_every_surface_count_becomes_the_papers_byte():
    source = SensorLayout.of(sensors.get("landsat-oli-sr"), ["SR_B4"])
    every = np.arange(65536, dtype=np.uint16).reshape(1, 256, 256)
    expected = published(every.astype(float), (0.0 + 0.2) / 2.75e-5, (0.3 + 0.2) / 2.75e-5)
    np.testing.assert_array_equal(eight_bit.encode(every, "landsat-oli-sr", source), expected)


def test_reflectance_and_temperature_at_the_top_of_the_atmosphere():
    source = SensorLayout.of(sensors.get("landsat-oli-toa"), ["B4", "B10"], gsd_m=30)
    values = np.stack([np.linspace(-0.1, 0.6, 4096), np.linspace(240, 330, 4096)]).reshape(2, 64, 64).astype(np.float32)
    encoded = eight_bit.encode(values, "landsat-oli-toa", source)
    np.testing.assert_array_equal(encoded[0], published(values[0].astype(float), 0, 0.4))
    np.testing.assert_array_equal(encoded[1], published(values[1].astype(float), 248.15, 318.15))


def test_what_is_read_back_is_less_than_a_step_too_low():
    source = SensorLayout.of(sensors.get("landsat-etm-toa"), ["B3", "B6_VCID_1"], gsd_m=30)
    rng = np.random.default_rng(0)
    values = np.stack([rng.uniform(0, 0.4, (9, 9)), rng.uniform(248.15, 318.15, (9, 9))]).astype(np.float32)
    layout = eight_bit.layout("landsat-etm-toa", source.bands, 30.0)
    encoded = eight_bit.encode(values, "landsat-etm-toa", source)
    for band, (low, high) in enumerate([(0, 0.4), (248.15, 318.15)]):
        lost = values[band] - layout.physical(encoded[band], band)
        assert lost.min() > -1e-4 * (high - low)
        assert lost.max() < (high - low) / 255


def test_the_tables_are_for_landsat_only():
    with pytest.raises(RecipeError, match="no 8-bit table for sentinel-2-l2a"):
        eight_bit.limits("sentinel-2-l2a", "B04")
