"""What a location gets: pixels that are computed apart, the right scenes, and a reason for whatever is missing."""

import numpy as np
import pytest

from swath.corpus.sources.stac import _section as sections
from tests.corpus.sources.stac import world
from tests.corpus.sources.stac.conftest import AUTUMN, DULL, LANDSAT, RADAR, SPRING, SUMMER, WINTER
from tests.corpus.sources.stac.world import S1, S2, Scene, at, moment, stored_counts


def expected(scene: Scene, location, bands, px=30, gsd=10.0) -> np.ndarray:
    west, north = location.transform[2], location.transform[5]
    return np.stack([stored_counts(scene, band, west, north, px, gsd) for band in bands])


def reasons(outcome) -> str:
    return " | ".join(failure.reason for failure in outcome.failures)


# -- pixels ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("when", "scene"), [("03-18", SPRING), ("06-21", SUMMER), ("09-23", AUTUMN)])
def test_every_baseline_ends_in_the_same_scaling(served, when, scene):
    """Offset in the file and in raster:bands; before it existed; removed by the catalogue, which still names it."""
    outcome = served.take(when={"name": "seasons", "year": 2021, "years": 1, "dates": [when], "days": 3})
    (chip,) = outcome.chips
    np.testing.assert_array_equal(chip.pixels, expected(scene, outcome.location, ["B02", "B05", "B01"]))
    layout = sections.layouts(served.section())[S2]
    seen = world.counts(S2, "B02", 10.0, *_centres(outcome.location), scene.when)
    np.testing.assert_allclose(layout.physical(chip.pixels[0], 0), seen / 10_000, atol=1e-9)
    assert (chip.datetime, chip.source) == (scene.when, scene.id)


def _centres(location):
    return location.transform[2] + 5 + 10 * np.arange(30), location.transform[5] - 5 - 10 * np.arange(30)


def test_radar_keeps_its_linear_power_and_the_layout_says_decibel(served):
    outcome = served.take(products=[served.radar()])
    (chip,) = outcome.chips
    np.testing.assert_array_equal(chip.pixels, expected(RADAR[1], outcome.location, ["VV", "VH"]))
    assert sections.layouts(served.section(products=[served.radar()]))[S1].decibel
    assert chip.orbit == "descending"


def test_landsat_is_on_its_own_grid_and_stored_as_shipped(served):
    outcome = served.take(products=[served.landsat()], chip_px=16)
    (chip,) = outcome.chips
    assert outcome.location.transform[2] % 30 == 15
    np.testing.assert_array_equal(chip.pixels, expected(LANDSAT, outcome.location, ["SR_B2", "SR_B5"], 16, 30.0))
    layout = sections.layouts(served.section(products=[served.landsat()]))["landsat-oli-sr"]
    assert (layout.scale[0], layout.offset[0], layout.gsd_m) == (2.75e-5, -0.2, 30.0)


def test_chips_start_on_the_coarsest_grid(served):
    """60 m bands share their edges with the chip, so repeating their pixels is all the resampling there is."""
    outcome = served.take()
    assert outcome.location.transform[2] % 60 == 0
    assert outcome.location.transform[5] % 60 == 0


def test_bilinear_resampling_is_another(served):
    nearest = served.take().chips[0].pixels
    bilinear = served.take(products=[served.optical(resampling="bilinear")]).chips[0].pixels
    np.testing.assert_array_equal(nearest[0], bilinear[0])  # already on the grid
    assert (nearest[1] != bilinear[1]).mean() > 0.5


def test_a_scene_of_the_neighbouring_zone_is_brought_to_the_locations_zone(other):
    """The same ground in zone 33: the chip stays in 32, and every pixel is one within 1.5 pixels of the truth."""
    from pyproj import Transformer

    section_world = other(SPRING)
    location = section_world.location(section_world.section())
    x, y = Transformer.from_crs(32632, 32633, always_xy=True).transform(
        location.transform[2] + 150, location.transform[5] - 150
    )
    neighbour = at(SPRING, epsg=32633, west=60 * round((x - 2400) / 60), north=60 * round((y + 2400) / 60), tile="33T")
    outcome = other(neighbour).take()
    (chip,) = outcome.chips
    to_33 = Transformer.from_crs(32632, 32633, always_xy=True)
    u, v = to_33.transform(*(a.ravel() for a in np.meshgrid(*_centres(outcome.location))))
    near = [
        np.array([world.counts(S2, "B02", 10.0, np.array([a]), np.array([b]), SPRING.when)[0, 0] for a, b in
                  zip(u + dx, v + dy, strict=True)]) + 1000
        for dx in (-10, 0, 10) for dy in (-10, 0, 10)
    ]  # fmt: skip
    assert np.any([chip.pixels[0].ravel() == one for one in near], axis=0).mean() > 0.99


# -- choice ------------------------------------------------------------------------------------------------------------


def test_cloud_over_the_chip_decides_not_cloud_over_the_tile(served):
    """DULL has 4 % cloud as a tile, but all of it here; SPRING has 12 %, none of it here."""
    outcome = served.take()
    assert outcome.chips[0].source == SPRING.id
    assert outcome.chips[0].cloud == 0.0


def test_looking_at_one_scene_only_trusts_the_tile(served):
    outcome = served.take(products=[served.optical(look=1)])
    assert (outcome.chips[0].source, outcome.chips[0].cloud) == (DULL.id, 1.0)


def test_series_hold_every_acquisition_with_its_cloud(served):
    every = {"name": "every", "start": "2021-01-01", "end": "2021-10-31"}
    outcome = served.take(when=every, products=[served.optical(), served.radar()], chip_px=60)
    taken = [(chip.sensor, chip.source) for chip in outcome.chips]
    assert taken == [(S2, s.id) for s in (SPRING, DULL, SUMMER, AUTUMN)] + [(S1, s.id) for s in RADAR]
    assert [chip.cloud for chip in outcome.chips[:4]] == [0.0, 1.0, 0.0, 0.0]
    assert outcome.failures == ()


def test_only_one_pass_of_the_radar(served):
    every = {"name": "every", "start": "2021-01-01", "end": "2021-10-31"}
    outcome = served.take(when=every, products=[served.radar(orbit="ascending")])
    assert {chip.orbit for chip in outcome.chips} == {"ascending"}


def test_radar_follows_the_optical_date(served):
    outcome = served.take(products=[served.optical(), served.radar()])
    assert outcome.chips[1].datetime == RADAR[1].when  # a day from SPRING


def test_the_newest_version_of_a_scene_is_taken(other):
    outcome = other(SPRING, at(SPRING, baseline="05.10"), at(SPRING, baseline="02.14")).take()
    assert outcome.chips[0].source.endswith("0510")


def test_two_tiles_of_one_pass_are_one_chip(other):
    """Each covers half of the location; their baselines differ, and both halves end in one scaling."""
    first = at(SPRING, tile="A")
    section_world = other(first)
    west = section_world.location(section_world.section()).transform[2]
    middle = 60 * round((west + 150) / 60)
    left = at(first, west=middle - 4800, tile="A", baseline="03.00")
    right = at(first, west=middle, tile="B", baseline="05.09", when=moment("2021-03-18 10:10:12"))
    outcome = other(left, right).take()
    (chip,) = outcome.chips
    np.testing.assert_array_equal(chip.pixels, expected(SPRING, outcome.location, ["B02", "B05", "B01"]))
    assert chip.source == f"{left.id} {right.id}" or chip.source == f"{right.id} {left.id}"


# -- what is missing ---------------------------------------------------------------------------------------------------


def test_an_empty_search_is_a_reason(served):
    outcome = served.take(when={"name": "monthly", "start": "2030-01", "months": 2})
    assert outcome.location is None
    assert [f.window for f in outcome.failures] == ["2030-01", "2030-02"]
    assert reasons(outcome) == "no scene at all | no scene at all"


def test_a_season_without_a_clear_scene_costs_the_location_or_not(served):
    when = {"name": "seasons", "year": 2021, "years": 1, "dates": ["03-20", "12-21"]}
    strict = served.take(when=when)
    assert strict.location is None
    assert [(f.window, f.transient) for f in strict.failures] == [("12-21", False)]
    assert reasons(strict) == "none of 1 scene has cloud <= 20 %"
    lenient = served.take(when=when, require="any")
    assert [chip.tag for chip in lenient.chips] == ["03-20"]
    assert len(lenient.failures) == 1
    assert served.take(when=when, products=[served.optical(max_cloud=None)]).chips[1].source == WINTER.id


def test_a_missing_band_leaves_the_scene_out(other):
    broken = at(SPRING, without=("rededge1",), cloud=1.0)
    whole = at(SPRING, when=moment("2021-03-25 10:10:00"))
    assert other(broken, whole).take().chips[0].source == whole.id
    outcome = other(broken).take()
    assert f"{broken.id} has no rededge1" in reasons(outcome)


def test_an_item_that_lies_elsewhere_is_passed_over(other):
    """Its outline covers the location, its pixels do not."""
    astray = at(SPRING, west=SPRING.west - 40_000, shifted_m=40_000.0, cloud=0.0)
    whole = at(SPRING, when=moment("2021-03-25 10:10:00"))
    assert other(astray, whole).take().chips[0].source == whole.id
    assert "0% of the chip has data" in reasons(other(astray).take())


def test_a_missing_file_is_a_reason(other):
    lost = at(SPRING, when=moment("2021-03-26 10:10:00"))
    there = other(lost)
    (there.folder / lost.folder / "B05.tif").unlink()
    outcome = there.take()
    assert "B05.tif" in reasons(outcome)
    assert not outcome.transient


def test_clouds_can_be_masked_or_refused(served):
    some = [served.optical(look=1, mask_clouds=True)]
    assert "all of the chip is cloud" in reasons(served.take(products=some, when=_dull()))
    none = [served.optical(max_chip_cloud=0.3)]
    assert "100% of the chip is cloud" in reasons(served.take(products=none, when=_dull()))


def _dull() -> dict:
    return {"name": "every", "start": "2021-03-22", "end": "2021-03-24"}


# -- hosts -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["500", "503", "429", "timeout", "truncate"])
def test_a_host_that_recovers_costs_nothing(served, fault):
    undisturbed = served.take()
    served.files.fail({"B05.tif": [fault] * (1 if fault == "timeout" else 2)})
    disturbed = served.take()
    np.testing.assert_array_equal(disturbed.chips[0].pixels, undisturbed.chips[0].pixels)
    assert disturbed.failures == ()


@pytest.mark.parametrize("fault", ["500", "truncate"])
def test_a_host_that_stays_down_is_a_passing_failure(served, fault):
    served.files.fail(always={"B05.tif": fault})
    outcome = served.take()
    assert outcome.location is None
    assert outcome.transient
    assert "B05.tif" in reasons(outcome)


def test_a_host_that_does_not_give_the_mask_is_a_passing_failure(served):
    served.files.fail(always={"mask.tif": "500"})
    outcome = served.take()
    assert outcome.transient
    assert "mask.tif" in reasons(outcome)


def test_an_expired_signature_is_renewed(other):
    signed = other(SPRING, base="/signed")
    catalogue = {"name": "earth-search", "url": signed.api, "token_url": f"{signed.files.base}/token/{{collection}}"}
    signed.files.fail({"B05.tif": ["expire"]})
    outcome = signed.take(catalogue=catalogue)
    assert outcome.failures == ()
    assert outcome.chips[0].source == SPRING.id
    assert signed.files.tokens >= 2


def test_a_refused_signature_is_a_passing_failure_that_hides_the_signature(other):
    signed = other(SPRING, base="/signed")
    catalogue = {"name": "earth-search", "url": signed.api, "token_url": f"{signed.files.base}/token/{{collection}}"}
    signed.files.fail(always={"B05.tif": "403"})
    outcome = signed.take(catalogue=catalogue, retries=1)
    assert outcome.transient
    assert "sig=" not in reasons(outcome)


def test_an_api_that_is_down_is_a_passing_failure(served):
    outcome = served.take(catalogue={"name": "earth-search", "url": "http://127.0.0.1:9"}, retries=1)
    assert outcome.location is None
    assert outcome.transient
    assert reasons(outcome) == "search: http://127.0.0.1:9: Connection refused"


def test_a_page_that_asks_for_a_login_is_no_image(other):
    """What USGS answers to those who have no account: 200, and HTML."""
    lost = at(SPRING, when=moment("2021-03-27 10:10:00"))
    there = other(lost)
    (there.folder / lost.folder / "B05.tif").write_text("<!DOCTYPE html><html><body>Sign in</body></html>" * 9)
    outcome = there.take(retries=0)
    assert "B05.tif: the host sent something else than an image, such as a page that asks for a login" in reasons(
        outcome
    )


# -- parts and masks ---------------------------------------------------------------------------------------------------


def test_the_two_parts_of_a_tile_are_one_whole_chip(other):
    """One tile, one time, two items; the provider cut the tile where one strip of data ends."""
    section_world = other(SPRING)
    west = section_world.location(section_world.section()).transform[2]
    middle = 60 * round((west + 150) / 60)
    left, right = at(SPRING, west=middle - 4800, baseline="05.09"), at(SPRING, west=middle, baseline="05.10")
    outcome = other(left, right).take()
    (chip,) = outcome.chips
    np.testing.assert_array_equal(chip.pixels, expected(SPRING, outcome.location, ["B02", "B05", "B01"]))
    assert chip.valid.all()
    assert sorted(chip.source.split()) == sorted([left.id, right.id])


@pytest.mark.parametrize("asked", [{"mask_clouds": True}, {"max_chip_cloud": 0.5}])
def test_a_scene_without_its_mask_is_left_out_where_clouds_matter(other, asked):
    bare = at(SPRING, without=("scl",), cloud=0.0)
    masked = at(SPRING, when=moment("2021-03-25 10:10:00"))
    there = other(bare, masked)
    assert there.take(products=[there.optical(**asked)]).chips[0].source == masked.id
    there = other(bare)
    outcome = there.take(products=[there.optical(**asked)])
    assert (outcome.location, reasons(outcome)) == (None, f"{bare.id} has no mask that says what is cloud")
    (chip,) = there.take().chips
    assert (chip.cloud, chip.valid.all()) == (None, True)


def test_pixels_of_which_the_mask_says_nothing_are_not_valid(other):
    """A mask without data (SCL 0) over a part of the chip, whose pixels are all there."""
    import rasterio

    scene = at(SPRING, when=moment("2021-03-28 10:10:00"))
    there = other(scene)
    corner = there.location(there.section()).transform
    with rasterio.open(there.folder / scene.folder / "mask.tif", "r+", IGNORE_COG_LAYOUT_BREAK="YES") as file:
        layer = file.read(1)
        row, column = (round((file.transform.f - corner[5]) / 20), round((corner[2] - file.transform.c) / 20))
        layer[row : row + 5] = 0
        layer[row + 5, column] = world.SCL_CLOUD
        file.write(layer, 1)
    (chip,) = there.take(products=[there.optical(mask_clouds=True)]).chips
    valid = np.ones((30, 30), bool)
    valid[:10] = valid[10:12, :2] = False
    np.testing.assert_array_equal(chip.valid, valid)
    assert chip.cloud == pytest.approx(4 / 900)
