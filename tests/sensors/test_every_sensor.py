"""Holds for every sensor that is found: a new file is covered without being named here."""

import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from swath import plugins, sensors
from swath.errors import RecipeError

EVERY = pytest.mark.parametrize("sensor", [sensors.get(name) for name in sensors.names()], ids=lambda s: s.name)
WAVELENGTHS_UM = {
    "reflectance": (0.3, 3.0),
    "K": (3.0, 15.0),
    "dB": (1e4, 1e6),
    "display": (0.3, 3.0),
    "degree": (0, 0),
}


def physical(sensor, band, count):
    return float(sensor.scaling_of(band).physical(np.array([count]))[0])


@EVERY
def test_name_is_the_module_and_the_bands_know_it(sensor):
    assert sensor.name in sensors.names()
    assert sensor.title
    assert sensor.bands
    assert {band.sensor for band in sensor.bands} == {sensor.name}


@EVERY
def test_band_names_are_unique_and_fit_a_recipe(sensor):
    assert max(Counter(band.name for band in sensor.bands).values()) == 1
    assert all("/" not in band.name and band.name.strip() == band.name != "" for band in sensor.bands)


@EVERY
def test_wavelengths_are_plausible_for_the_unit(sensor):
    for band in sensor.bands:
        if band.centre_um is not None:
            low, high = WAVELENGTHS_UM[band.unit]
            assert low <= band.centre_um <= high, band
        if band.width_um is not None:
            assert band.centre_um is not None
            assert 0 < band.width_um < band.centre_um, band
        if band.gsd_m is not None:
            assert 0 < band.gsd_m <= 1000, band


@EVERY
def test_bands_named_in_settings_exist(sensor):
    known = {band.name for band in sensor.bands}
    assert len(sensor.rgb) in (1, 3)
    assert set(sensor.rgb) <= known
    assert set(sensor.band_scaling) <= known
    assert set(sensor.band_range) <= known
    with pytest.raises(KeyError):
        sensor.band("no such band")


@EVERY
def test_stac_assets_belong_to_a_collection_and_a_band(sensor):
    known = {band.name for band in sensor.bands} | ({sensor.cloud.layer} if sensor.cloud else set())
    known |= {sensors.METADATA}
    assert sensor.assets.keys() == sensor.collections.keys()
    for catalogue, keys in sensor.assets.items():
        assert catalogue.split(":")[0] in ("earth-search", "planetary-computer", "usgs")
        assert set(keys) <= known
        assert max(Counter(keys.values()).values()) == 1


@EVERY
def test_ranges_are_ordered_and_the_picture_lies_inside(sensor):
    for name in (band.name for band in sensor.bands):
        low, high = sensor.range_of(name)
        assert low < high
    low, high = sensor.display_range
    shown = [sensor.range_of(name) for name in sensor.rgb]
    assert low < high
    assert all(valid[0] <= low and high <= valid[1] for valid in shown)


@EVERY
def test_counts_reach_the_valid_range(sensor):
    """Plausible physical values exist among the counts: a wrong scale or offset misses the range by orders."""
    kind = np.dtype(sensor.dtype)
    for band in sensor.bands:
        scaling, (low, high) = sensor.scaling_of(band.name), sensor.range_of(band.name)
        assert scaling.scale > 0
        if scaling.decibel:
            assert band.unit == "dB"
        elif kind.kind == "f":
            assert scaling == sensors.Scaling(), "floats are shipped in physical units"
        else:
            limits = np.iinfo(kind)
            middle = ((low + high) / 2 - scaling.offset) / scaling.scale
            assert limits.min <= middle <= limits.max, band
            steps = (high - low) / scaling.scale
            # a slope comes in whole degrees
            assert steps >= (50 if sensor.kind == "map" else 100), "the range holds too few counts to be this band's"


@EVERY
def test_nodata_is_a_count_and_no_plausible_value(sensor):
    if sensor.nodata is None:
        return
    kind = np.dtype(sensor.dtype)
    assert kind.type(sensor.nodata) == sensor.nodata
    for band in sensor.bands:
        low, high = sensor.range_of(band.name)
        value = physical(sensor, band.name, sensor.nodata)
        # Sentinel-2 marks missing pixels by count 0 and floors dark ones at 1, so there 0 is plausible but never data.
        assert (kind.kind == "u" and sensor.nodata == 0) or not low < value < high


@EVERY
def test_cloud_rules_are_of_one_kind(sensor):
    if sensor.cloud is not None:
        assert sensor.cloud.layer
        assert bool(sensor.cloud.classes) != bool(sensor.cloud.bits)
        assert all(0 <= bit < 16 for bit in sensor.cloud.bits)


def test_band_ids_of_shipped_sensors_are_the_first_positions_of_the_table():
    keys = [band.key for name in plugins.shipped("swath.sensors") for band in sensors.get(name).bands]
    assert [band.key for band in sensors.bands()[: len(keys)]] == keys
    assert max(Counter(keys).values()) == 1
    assert [sensors.band_id(key) for key in keys] == list(range(len(keys)))
    assert all(sensors.band(key).key == key for key in keys)


@pytest.mark.parametrize(
    ("key", "suggestion"),
    [("sentinel-2-l2a/B8a", "sentinel-2-l2a/B8A"), ("sentinel-2-l2/B04", "sentinel-2-l2a/B04")],
)
def test_unknown_band_names_the_nearest(key, suggestion):
    with pytest.raises(RecipeError, match="unknown band") as error:
        sensors.band_id(key)
    assert f"did you mean {suggestion!r}" in str(error.value)


def test_unknown_sensor_names_the_nearest():
    with pytest.raises(RecipeError, match="unknown sensor") as error:
        sensors.get("sentinel-2-l2b")
    assert "did you mean 'sentinel-2-l2a'" in str(error.value)


def test_sensors_need_neither_torch_nor_raster_libraries():
    code = (
        "import sys; from swath import sensors; sensors.bands(); "
        "sys.exit(', '.join({'torch', 'rasterio', 'timm'} & set(sys.modules)) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@EVERY
def test_kind_family_and_units_belong_together(sensor):
    units = {band.unit for band in sensor.bands}
    assert sensor.name.startswith(sensor.family)
    allowed = {"radar": {"dB", "display"}, "optical": {"reflectance", "K", "display"}, "map": {"m", "degree", "share"}}
    assert units <= allowed[sensor.kind]


@EVERY
def test_what_a_catalogue_offers_is_seen_again_after_some_days(sensor):
    if sensor.collections:
        assert sensor.revisit_days is not None
    if sensor.revisit_days is not None:
        assert 0.1 <= sensor.revisit_days <= 30


@EVERY
def test_offsets_and_eight_bit_tables_are_of_values_that_occur(sensor):
    if sensor.has_baselines:
        assert sensor.product_offset is not None
    if sensor.product_offset is not None:
        assert 0 < sensor.product_offset < 1
    for unit, (low, high) in sensor.eight_bit.items():
        ranges = [sensor.range_of(band.name) for band in sensor.bands if band.unit == unit]
        assert ranges
        assert all(valid[0] <= low < high <= valid[1] for valid in ranges)
