"""Numbers that the providers publish, typed here from their documents and not from our tables."""

import numpy as np
import pytest

from swath import sensors

# sensor, band, centre µm, GSD m, STAC common name
BANDS = [
    ("sentinel-2-l2a", "B8A", 0.8647, 20, "nir08"),
    ("sentinel-2-l2a", "B02", 0.4924, 10, "blue"),
    ("sentinel-2-l1c", "B10", 1.3735, 60, "cirrus"),
    ("sentinel-2-l1c", "B12", 2.2024, 20, "swir22"),
    ("landsat-oli-sr", "SR_B1", 0.443, 30, "coastal"),
    ("landsat-oli-sr", "SR_B3", 0.5615, 30, "green"),
    ("landsat-oli-sr", "SR_B4", 0.6545, 30, "red"),
    ("landsat-oli-sr", "SR_B5", 0.865, 30, "nir08"),
    ("landsat-oli-toa", "B6", 1.6085, 30, "swir16"),
    ("landsat-oli-toa", "B7", 2.2005, 30, "swir22"),
    ("landsat-oli-toa", "B8", 0.5895, 15, "pan"),
    ("landsat-oli-toa", "B10", 10.895, 100, "lwir11"),
    ("landsat-etm-toa", "B1", 0.485, 30, "blue"),
    ("landsat-etm-toa", "B4", 0.835, 30, "nir08"),
    ("landsat-etm-toa", "B8", 0.71, 15, "pan"),
    ("landsat-tm-sr", "SR_B4", 0.83, 30, "nir08"),
    ("landsat-tm-toa", "B7", 2.215, 30, "swir22"),
    ("landsat-tm-toa", "B6", 11.45, 120, "lwir"),
    ("hls", "NIR", 0.865, 30, "nir08"),
    ("hls", "SWIR2", 2.2005, 30, "swir22"),
    ("modis", "sur_refl_b01", 0.645, 250, "red"),
    ("modis", "sur_refl_b02", 0.8585, 250, "nir08"),
    ("modis", "sur_refl_b03", 0.469, 500, "blue"),
    ("modis", "sur_refl_b04", 0.555, 500, "green"),
    ("modis", "sur_refl_b05", 1.24, 500, None),
    ("modis", "sur_refl_b06", 1.64, 500, "swir16"),
    ("modis", "sur_refl_b07", 2.13, 500, "swir22"),
]


@pytest.mark.parametrize(("sensor", "name", "centre", "gsd", "common"), BANDS)
def test_band(sensor, name, centre, gsd, common):
    band = sensors.get(sensor).band(name)
    assert band.centre_um == pytest.approx(centre, abs=1e-9)
    assert (band.gsd_m, band.common_name) == (gsd, common)


# sensor, band, count, physical value, tolerance
COUNTS = [
    ("landsat-oli-sr", "SR_B4", 7273, 0.0, 1e-5),  # the USGS' own example of zero reflectance
    ("landsat-oli-sr", "SR_B4", 43636, 1.0, 1.375e-5),
    ("landsat-etm-sr", "ST_B6", 44178, 300.0, 1.71e-3),
    ("landsat-oli-sr", "ST_B10", 1, 149.00341802, 1e-5),
    ("sentinel-2-l2a", "B04", 10000, 1.0, 1e-7),
    ("sentinel-2-l1c", "B10", 12, 0.0012, 1e-9),
    ("hls", "RED", -100, -0.01, 1e-8),
    ("modis", "sur_refl_b07", 16000, 1.6, 1e-6),
    ("sentinel-1-grd", "VV", -12.5, -12.5, 0),
    ("sentinel-1-rtc", "VH", 1.0, 0.0, 0),
    ("sentinel-1-rtc", "VV", 0.01, -20.0, 1e-5),
    ("display-optical", "red", 255, 1.0, 0),
    ("display-radar", "P", 51, 0.2, 1e-7),
]


@pytest.mark.parametrize(("sensor", "band", "count", "value", "tolerance"), COUNTS)
def test_counts_to_physical_values(sensor, band, count, value, tolerance):
    physical = sensors.get(sensor).scaling_of(band).physical(np.array([count]))
    assert physical.dtype == np.float32
    assert float(physical[0]) == pytest.approx(value, abs=tolerance or 1e-12)


def test_power_that_is_not_positive_has_no_decibels():
    counts = np.array([0.0, -32768.0, 0.1], dtype=np.float32)
    values = sensors.get("sentinel-1-rtc").scaling.physical(counts)
    np.testing.assert_array_equal(np.isnan(values), [True, True, False])


def test_radar_wavelength_is_that_of_5405_megahertz():
    assert sensors.get("sentinel-1-grd").band("VV").centre_um == pytest.approx(299792458 / 5.405e9 * 1e6, rel=1e-6)


def test_bands_of_the_ssl4eo_l_splits_in_their_order():
    def order(name):
        return [band.name for band in sensors.get(name).bands]

    assert order("landsat-tm-toa") == ["B1", "B2", "B3", "B4", "B5", "B6", "B7"]
    assert order("landsat-etm-toa") == ["B1", "B2", "B3", "B4", "B5", "B6_VCID_1", "B6_VCID_2", "B7", "B8"]
    assert order("landsat-oli-toa") == [f"B{i}" for i in range(1, 12)]
    assert order("landsat-oli-sr")[:7] == [f"SR_B{i}" for i in range(1, 8)]
    assert order("landsat-etm-sr")[:6] == ["SR_B1", "SR_B2", "SR_B3", "SR_B4", "SR_B5", "SR_B7"]


def test_cloud_rules():
    assert sensors.get("sentinel-2-l2a").cloud == sensors.CloudRule("SCL", classes=(0, 1, 3, 8, 9, 10))
    assert sensors.get("landsat-oli-sr").cloud == sensors.CloudRule(
        "QA_PIXEL", bits=(0, 1, 2, 3, 4), dtype="uint16", fill=1
    )
    assert sensors.get("hls").cloud == sensors.CloudRule("Fmask", bits=(1, 2, 3), fill=255)


def test_asset_keys_are_those_of_real_items(shared_data):
    """Items as the catalogues ship them; skipped where they are absent."""
    import json

    folder = shared_data / "stac_and_safe" / "stac_items"
    if not folder.is_dir():
        pytest.skip(f"no STAC items at {folder}")
    item = json.loads((folder / "S2B_MSIL2A_20190629T212529_R043_T06VVN_20201006T080531.json").read_text())
    assert set(sensors.get("sentinel-2-l2a").assets["planetary-computer"].values()) <= set(item["assets"])
    item = json.loads((folder / "LC08_L2SP_028030_20200114_20200824_02_T1_SR.json").read_text())
    keys = set(sensors.get("landsat-oli-sr").assets["planetary-computer"].values())
    assert keys - {"lwir11"} <= set(item["assets"])  # this older item lists the temperature apart
