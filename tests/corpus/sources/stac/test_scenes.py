"""Items as catalogues ship them, their scaling, and scenes that belong together."""

import json

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from swath import sensors
from swath.corpus.sources.stac._scenes import acquisitions, rescaled, scene_of
from swath.errors import CorpusError
from swath.sensors import Scaling
from tests.corpus.sources.stac import world
from tests.corpus.sources.stac.world import S2, Scene, at, moment

SPRING = Scene(moment("2021-03-18 10:10:00"))
STORED = Scaling(1e-4, -0.1)


def item(properties: dict, asset: dict) -> dict:
    outline = shapely.geometry.mapping(shapely.box(8, 47, 9, 48))
    known = {"datetime": "2022-06-01T10:00:00Z", **properties}
    return {"id": "S2A_X", "geometry": outline, "properties": known, "assets": {"blue": {"href": "x", **asset}}}


@pytest.mark.parametrize(
    ("properties", "asset", "expected"),
    [
        ({"s2:processing_baseline": "02.12"}, {}, (1e-4, 0.0)),
        ({"s2:processing_baseline": "04.00"}, {}, (1e-4, -0.1)),
        ({"s2:processing_baseline": "05.09"}, {"raster:bands": [{"scale": 1e-4, "offset": -0.1}]}, (1e-4, -0.1)),
        ({"s2:processing_baseline": "05.09"}, {"raster:bands": [{"scale": 1e-4, "offset": 0}]}, (1e-4, 0.0)),
        ({"s2:processing_baseline": "05.09"}, {"raster:scale": 1e-4, "raster:offset": -0.1}, (1e-4, -0.1)),
        ({"s2:processing_baseline": "05.09", "earthsearch:boa_offset_applied": True},
         {"raster:bands": [{"scale": 1e-4, "offset": -0.1}]}, (1e-4, 0.0)),
        ({"s2:processing_baseline": "05.09", "earthsearch:boa_offset_applied": False}, {}, (1e-4, -0.1)),
        ({"s2:processing_baseline": "03.01"}, {"raster:bands": [{"scale": 1e-4, "offset": -0.1}]}, (1e-4, 0.0)),
        ({"processing:version": "05.10"}, {}, (1e-4, -0.1)),
        ({"s2:product_uri": "S2A_MSIL2A_20210801T000000_N0301_R008_T33UXP_20210801T000000.SAFE"}, {}, (1e-4, 0.0)),
    ],
)  # fmt: skip
def test_the_offset_of_sentinel_2_is_what_the_item_says(properties, asset, expected):
    scene = scene_of(item(properties, asset), sensors.get(S2), ("B02",), {"B02": "blue"})
    scaling = scene.files["B02"].scaling
    assert (scaling.scale, scaling.offset) == pytest.approx(expected)
    said = asset.get("raster:bands", [{}])[0].get("offset")
    assert scene.files["B02"].overruled or said in (None, pytest.approx(scaling.offset))


def test_an_item_that_lists_a_mask_beside_a_wanted_band_is_refused():
    one = item({"s2:processing_baseline": "05.09"}, {})
    href = one["assets"]["blue"]["href"]
    one["assets"]["mask"] = {"href": f"{href}.MSK?sig=x", "roles": ["data-mask"]}
    with pytest.raises(CorpusError, match=r"it lists a mask beside a file \(.*\.MSK\), and such masks are not read"):
        scene_of(one, sensors.get(S2), ("B02",), {"B02": "blue"})
    one["assets"]["mask"]["href"] = href.replace("B02", "B03") + "x.msk"  # of a file that is not wanted
    assert scene_of(one, sensors.get(S2), ("B02",), {"B02": "blue"}).missing == ()


def test_an_item_that_says_nothing_is_refused():
    with pytest.raises(CorpusError, match="neither its processing baseline nor an offset"):
        scene_of(item({}, {}), sensors.get(S2), ("B02",), {"B02": "blue"})
    with pytest.raises(CorpusError, match="says no time"):
        scene_of(item({"datetime": None}, {}), sensors.get(S2), ("B02",), {"B02": "blue"})


@given(st.integers(1, 65534), st.sampled_from([0.0, -0.1]))
def test_rescaled_counts_mean_the_same(count, offset):
    counts = np.array([[count, 0, 65535]], np.uint16)
    result = rescaled(counts, counts == 0, Scaling(1e-4, offset), STORED)
    assert result.dtype == np.uint16
    assert result[0, 1:].tolist() == [0, 65535]  # nodata and saturation keep their counts
    wanted = count * 1e-4 + offset
    assert result[0, 0] * 1e-4 - 0.1 == pytest.approx(min(wanted, 65535 * 1e-4 - 0.1), abs=1e-9)


def test_counts_below_zero_stay_so():
    counts = np.array([[-20, -3, -9999]], np.int16)
    result = rescaled(counts, counts == -9999, Scaling(1e-3), Scaling(1e-4))
    assert result.tolist() == [[-200, -30, -9999]]


def test_another_scale_is_brought_to_the_corpus_too():
    counts = np.array([[100, 0]], np.uint16)
    assert rescaled(counts, counts == 0, Scaling(1e-3, 0.0), STORED).tolist() == [[2000, 0]]


def test_real_items_are_understood(shared_data):
    folder = shared_data / "stac_and_safe" / "stac_items"
    optical = json.loads((folder / "S2B_MSIL2A_20190629T212529_R043_T06VVN_20201006T080531.json").read_text())
    sensor = sensors.get(S2)
    bands = tuple(band.name for band in sensor.bands)
    scene = scene_of(optical, sensor, bands, sensor.assets["planetary-computer"])
    assert (scene.missing, scene.crs, scene.tile, scene.baseline) == ((), "EPSG:32606", "06VVN", "02.12")
    assert [scene.files[b].pixel_m for b in ("B02", "B05", "B01")] == [10, 20, 60]
    assert scene.files["B02"].scaling.offset == 0
    assert scene.quality is not None
    landsat = json.loads((folder / "LC08_L2SP_028030_20200114_20200824_02_T1_SR.json").read_text())
    sensor = sensors.get("landsat-oli-sr")
    scene = scene_of(landsat, sensor, ("SR_B2", "ST_B10"), sensor.assets["planetary-computer"])
    assert scene.platform in sensor.platforms
    assert (scene.missing, scene.tile, scene.files["SR_B2"].pixel_m) == (("lwir11",), "028030", 30)
    assert scene.files["SR_B2"].scaling == sensors.get("landsat-oli-sr").scaling
    several = json.loads((folder / "site2-2020_jun_jul-35MNM.geojson").read_text())["features"]
    keys = sensors.get(S2).assets["planetary-computer"]
    scenes = [scene_of(one, sensors.get(S2), bands, keys) for one in several]
    assert {scene.tile for scene in scenes} == {"35MNM"}
    assert 1 < len(acquisitions(scenes, scenes[0].outline.centroid.buffer(0.01), "EPSG:32735")) <= len(several)


def scenes(tmp_path, *made: Scene):
    sensor = sensors.get(S2)
    items = [world.write(at(one, bands=("B02",)), tmp_path, "http://x") for one in made]
    return [scene_of(one, sensor, ("B02",), sensor.assets["earth-search"]) for one in items]


def test_passes_are_joined_and_versions_are_not(tmp_path):
    outline = shapely.box(9.01, 47.82, 9.04, 47.84)
    later = at(SPRING, when=moment("2021-03-18 10:10:15"), tile="32TPU")
    newer = at(SPRING, baseline="05.10")
    other = at(SPRING, when=moment("2021-03-18 11:50:00"))
    foreign = at(later, epsg=32633, tile="33TUN")
    found = acquisitions(scenes(tmp_path, SPRING, later, newer, other, foreign), outline, "EPSG:32632")
    assert [[scene.tile + scene.baseline for scene in one.scenes] for one in found] == [
        ["32TPT05.10", "32TPU05.09", "33TUN05.09"],
        ["32TPT05.09"],
    ]


def half(scene: Scene, east: bool, **changes) -> Scene:
    """A scene's western or eastern half; both have its time and tile."""
    return at(scene, west=scene.west + (2400 if east else 0), side_m=2400.0, **changes)


def joined(tmp_path, *made: Scene):
    outline = shapely.box(9.01, 47.82, 9.04, 47.84)
    return [[s.baseline for s in one.scenes] for one in acquisitions(scenes(tmp_path, *made), outline, "EPSG:32632")]


def test_parts_of_a_tile_are_laid_side_by_side_whenever_they_were_processed(tmp_path):
    west, east = half(SPRING, False, baseline="05.09"), half(SPRING, True, baseline="05.10")
    assert sorted(joined(tmp_path, west, east)[0]) == ["05.09", "05.10"]


@pytest.mark.parametrize("seconds", [0, 1, 30])
def test_of_one_outline_the_newest_processing_counts(tmp_path, seconds):
    """Also where the processing moved the time by seconds, or the outline by a pixel."""
    when = f"2021-03-18 10:10:{seconds:02}"
    newer = at(SPRING, baseline="05.10", when=moment(when), shifted_m=20.0)
    assert joined(tmp_path, SPRING, newer) == [["05.10"]]
    assert joined(tmp_path, newer, SPRING) == [["05.10"]]


def test_the_time_of_making_tells_versions_of_one_baseline(tmp_path):
    sensor = sensors.get(S2)
    found = []
    for name, made in (("b", "2021-04-01T00:00:00Z"), ("a", "2022-04-01T00:00:00Z")):
        item = world.write(at(SPRING, bands=("B02",)), tmp_path, "http://x")
        item["properties"]["s2:generation_time"] = made
        found.append(scene_of(item | {"id": name}, sensor, ("B02",), sensor.assets["earth-search"]))
    (one,) = acquisitions(found, shapely.box(9.01, 47.82, 9.04, 47.84), "EPSG:32632")
    assert [scene.id for scene in one.scenes] == ["a"]


def test_decimals_of_another_scale_are_brought_to_the_corpus():
    power = np.array([[0.5, np.nan]], np.float32)
    result = rescaled(power, np.isnan(power), Scaling(2.0, 0.1), Scaling(1.0, 0.0))
    np.testing.assert_allclose(result, [[1.1, np.nan]], rtol=1e-6)
    assert result.dtype == np.float32
