"""Landsat's product levels side by side: TOA from level 1, SR from level 2, the same scenes of both, 8-bit tables."""

import numpy as np
import pytest

from swath.corpus import SensorLayout
from swath.corpus.sources.stac import _section as sections
from tests.corpus.sources.stac import landsat
from tests.corpus.sources.stac.conftest import World
from tests.corpus.sources.stac.landsat import Landsat, counts, truth
from tests.corpus.sources.stac.test_place import reasons
from tests.corpus.sources.stac.world import at, moment

TOA, SR = "landsat-oli-toa", "landsat-oli-sr"
EARLY, MIDDLE, LATE = (moment(f"2021-03-{day} 10:02:00") for day in ("04", "20", "25"))
PX = 16
WIDE = {"name": "seasons", "year": 2021, "years": 1, "dates": ["03-20"], "days": 30}
SERIES = {"name": "every", "start": "2021-03-01", "end": "2021-03-31"}


def level(scene: Landsat, number: int) -> Landsat:
    return at(scene, level=number)


def both(*scenes: Landsat) -> list[Landsat]:
    return [level(scene, number) for scene in scenes for number in (1, 2)]


def take(served: World, products: list[dict], **changes):
    return served.take(products=products, chip_px=PX, gsd_m=30.0, **changes)


def centres(location) -> tuple[np.ndarray, np.ndarray]:
    west, north = location.transform[2], location.transform[5]
    return west + 30 * np.arange(PX) + 15, north - 30 * np.arange(PX) - 15


# -- physical values ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("craft", "sensor", "bands"),
    [
        ("LC08", TOA, ["B1", "B5", "B8", "B9", "B10", "B11"]),
        ("LE07", "landsat-etm-toa", ["B1", "B5", "B6_VCID_1", "B6_VCID_2", "B7", "B8"]),
        ("LT05", "landsat-tm-toa", ["B1", "B5", "B6", "B7"]),
    ],
)
@pytest.mark.parametrize("elevation", [21.0, 63.5])
def test_reflectance_is_corrected_for_the_sun_once_and_thermal_bands_are_kelvin(other, craft, sensor, bands, elevation):
    scene = Landsat(MIDDLE, craft=craft, elevation=elevation)
    served = other(scene)
    outcome = take(served, [served.usgs(sensor, bands=bands)])
    (chip,) = outcome.chips
    x, y = centres(outcome.location)
    assert chip.pixels.dtype == np.float32
    for band, pixels in zip(bands, chip.pixels, strict=True):
        np.testing.assert_allclose(pixels, truth(scene, band, x, y), rtol=2e-6, err_msg=band)
    assert (chip.source, chip.cloud, chip.datetime.date()) == (scene.id, 0.0, MIDDLE.date())


def test_by_default_all_bands_of_a_level_are_taken(other):
    served = other(*both(Landsat(MIDDLE)))
    section = served.section(products=[served.usgs(TOA), served.usgs(SR)])
    layouts = sections.layouts(section)
    assert layouts[TOA].bands == tuple(f"B{number}" for number in range(1, 12))
    assert layouts[SR].bands == tuple(
        f"SR_B{number}" for number in range(1, 8)
    )  # temperature is not in landsat-c2l2-sr
    assert (layouts[TOA].dtype, layouts[TOA].scale[0], layouts[TOA].offset[0]) == ("float32", 1.0, 0.0)


def test_fill_is_no_reflectance(other):
    """Beyond the scene's edge there is nothing, and the pixels that are there keep their values."""
    scene = Landsat(MIDDLE)
    probe = other(scene)
    location = probe.location(probe.section(products=[probe.usgs(TOA)], chip_px=PX, gsd_m=30.0))
    short = at(scene, side_m=location.transform[2] + 240 - scene.west)
    served = other(short)
    outcome = take(served, [served.usgs(TOA, bands=["B4"], min_valid=0.1)])
    (chip,) = outcome.chips
    assert chip.valid[:, :8].any()
    assert not chip.valid[:, 8:].any()
    x, y = centres(outcome.location)
    np.testing.assert_allclose(chip.pixels[0][chip.valid], truth(short, "B4", x, y)[chip.valid], rtol=2e-6)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"elevation": -3.2}, "the sun is below the horizon"),
        ({"without": ("MTL.txt",)}, "has no MTL.txt"),
        ({"without": ("nir08",)}, "has no nir08"),
    ],
)
def test_a_scene_that_cannot_be_calibrated_is_passed_over(other, change, reason):
    broken, whole = Landsat(EARLY, cloud=0.0), Landsat(LATE)
    broken = at(broken, **change)
    served = other(broken, whole)
    outcome = take(served, [served.usgs(TOA, bands=["B5"])], when=WIDE)
    assert outcome.chips[0].source == whole.id
    alone = other(broken)
    outcome = take(alone, [alone.usgs(TOA, bands=["B5"])], when=WIDE)
    assert outcome.location is None
    assert reason in reasons(outcome)


def test_a_metadata_file_that_is_cut_off_is_a_reason_and_a_host_that_fails_another(other):
    scene = Landsat(MIDDLE)
    served = other(scene)
    products = [served.usgs(TOA, bands=["B5"])]
    served.files.fail(always={"MTL.txt": "500"})
    outcome = take(served, products)
    assert outcome.transient
    assert "MTL.txt" in reasons(outcome)
    served.files.fail()
    (path,) = served.folder.glob(f"{scene.file}-{abs(hash(scene)):x}/*_MTL.txt")
    path.write_text(path.read_text()[:300])
    outcome = take(served, products)
    assert not outcome.transient
    assert f"{scene.id}: {scene.file}_MTL.txt is cut off" in reasons(outcome)
    landsat.Landsat.write(scene, served.folder, served.files.base)


# -- parallel levels ---------------------------------------------------------------------------------------------------


def test_both_levels_of_a_scene_are_taken_or_none(other):
    """The clearest scene has one level only, so the next is taken, whichever level is missing."""
    lonely, paired = Landsat(EARLY, cloud=0.0), Landsat(LATE, cloud=5.0)
    for missing in (1, 2):
        served = other(level(lonely, 3 - missing), *both(paired))
        products = [served.usgs(SR, bands=["SR_B4"]), served.usgs(TOA, bands=["B4"], same_dates_as=SR)]
        outcome = take(served, products, when=WIDE)
        assert [(c.sensor, c.source) for c in outcome.chips] == [(SR, level(paired, 2).id), (TOA, paired.id)]
        x, y = centres(outcome.location)
        np.testing.assert_array_equal(outcome.chips[0].pixels[0], counts(level(paired, 2), "SR_B4", x, y))
        np.testing.assert_allclose(outcome.chips[1].pixels[0], truth(paired, "B4", x, y), rtol=2e-6)


def test_a_season_without_both_levels_costs_the_location(other):
    served = other(level(Landsat(EARLY), 2), level(Landsat(LATE), 1))
    products = [served.usgs(SR), served.usgs(TOA, same_dates_as=SR)]
    outcome = take(served, products, when=WIDE)
    assert outcome.location is None
    assert reasons(outcome) == "none of 1 acquisitions has its twin of landsat-oli-toa"
    assert not outcome.transient


def test_a_level_that_cannot_be_read_takes_its_twin_with_it(other):
    broken, whole = Landsat(EARLY, cloud=0.0), Landsat(LATE)
    served = other(level(broken, 2), at(broken, without=("red",)), *both(whole))
    products = [served.usgs(SR, bands=["SR_B4"]), served.usgs(TOA, bands=["B4"], same_dates_as=SR)]
    outcome = take(served, products, when=WIDE)
    assert {chip.datetime.date() for chip in outcome.chips} == {LATE.date()}
    series = take(served, products, when=SERIES, require="any")
    assert [(chip.sensor, chip.datetime.date()) for chip in series.chips] == [(SR, LATE.date()), (TOA, LATE.date())]
    assert f"{broken.id} has no red" in reasons(series)


def test_twins_are_made_of_the_same_rows(other):
    """Two rows of a pass overlap here; level 2 lacks the one that lies better, so neither level takes it."""
    full = Landsat(MIDDLE, row="026")
    part = at(full, row="027", north=full.north - 300, when=moment("2021-03-20 10:02:24"))
    served = other(full, *both(part))
    products = [served.usgs(SR, bands=["SR_B4"]), served.usgs(TOA, bands=["B4"], same_dates_as=SR)]
    outcome = take(served, products)
    assert [chip.source for chip in outcome.chips] == [level(part, 2).id, part.id]
    alone = take(served, [served.usgs(TOA, bands=["B4"])])
    assert alone.chips[0].source == full.id


def test_levels_from_two_catalogues_match(other):
    """Planetary Computer writes `landsat-8` where USGS writes `LANDSAT_8`."""
    from tests.corpus.sources.stac.conftest import LANDSAT

    toa = Landsat(LANDSAT.when)
    served = other(LANDSAT, toa)
    products = [served.landsat(bands=["SR_B2"]), served.usgs(TOA, bands=["B2"], same_dates_as=SR)]
    outcome = take(served, products)
    assert [chip.source for chip in outcome.chips] == [LANDSAT.id, toa.id]


def test_only_items_of_one_tier(other):
    first, second = Landsat(EARLY, category="T2", cloud=0.0), Landsat(LATE)
    served = other(first, second)
    products = [served.usgs(TOA, bands=["B4"], only={"landsat:collection_category": "T1"})]
    assert take(served, products, when=WIDE).chips[0].source == second.id
    alone = other(first)
    products = [alone.usgs(TOA, bands=["B4"], only={"landsat:collection_category": "T1"})]
    wanted = "none of 1 scene has cloud <= 20 % and landsat:collection_category = T1"
    assert wanted in reasons(take(alone, products, when=WIDE))


# -- 8-bit tables ------------------------------------------------------------------------------------------------------


def published(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """SSL4EO-L's compress_dataset.py, applied to physical values."""
    return np.clip(255 * (values - low) / (high - low), 0, 255).astype(np.uint8)


def test_bytes_are_the_papers_and_mean_what_was_seen(other):
    scene = Landsat(MIDDLE, elevation=50.0)
    served = other(*both(scene))
    products = [
        served.usgs(SR, bands=["SR_B2", "SR_B5"], uint8=True),
        served.usgs(TOA, bands=["B2", "B10"], uint8=True, same_dates_as=SR),
    ]
    section = served.section(products=products, chip_px=PX, gsd_m=30.0)
    outcome = take(served, products)
    x, y = centres(outcome.location)
    raw = counts(level(scene, 2), "SR_B2", x, y).astype(float)
    sr, toa = (chip.pixels for chip in outcome.chips)
    np.testing.assert_array_equal(sr[0], published(raw, (0 + 0.2) / 2.75e-5, (0.3 + 0.2) / 2.75e-5))
    for position, (band, low, high) in enumerate([("B2", 0.0, 0.4), ("B10", 248.15, 318.15)]):
        seen = truth(scene, band, x, y)
        wanted = published(seen, low, high)
        assert (np.abs(toa[position].astype(int) - wanted) <= 1).all()  # float32 before the table
        assert (toa[position] == wanted).mean() > 0.99
        lost = np.clip(seen, low, high) - layouts(section)[TOA].physical(toa[position], position)
        assert lost.min() / (high - low) > -1e-4
        assert lost.max() < 1.001 * (high - low) / 255
    assert {one.dtype for one in layouts(section).values()} == {"uint8"}


def layouts(section) -> dict[str, SensorLayout]:
    return sections.layouts(section)


def test_missing_pixels_stay_missing_as_bytes(other):
    scene = level(Landsat(MIDDLE), 2)
    probe = other(scene)
    location = probe.location(probe.section(products=[probe.usgs(SR)], chip_px=PX, gsd_m=30.0))
    short = at(scene, side_m=location.transform[2] + 240 - scene.west)
    served = other(short)
    chip = take(served, [served.usgs(SR, bands=["SR_B4"], uint8=True, min_valid=0.1)]).chips[0]
    assert chip.valid[:, :8].any()
    assert not chip.valid[:, 8:].any()
    assert chip.pixels[0][chip.valid].min() > 0


# -- addresses ---------------------------------------------------------------------------------------------------------


def test_a_bucket_is_read_where_the_recipe_says_so(other, monkeypatch):
    """GDAL and TensorStore both take a server of ours for S3: pixels and metadata come from s3://usgs-landsat."""
    scene = Landsat(MIDDLE)
    served = other(scene)
    bucket = served.folder / "usgs-landsat"
    bucket.mkdir(exist_ok=True)
    for path in served.folder.glob(f"{scene.file}-*"):
        if not (bucket / path.name).exists():
            (bucket / path.name).symlink_to(path)
    for name, value in {
        "AWS_S3_ENDPOINT": served.files.base.removeprefix("http://"),
        "AWS_HTTPS": "NO",
        "AWS_VIRTUAL_HOSTING": "FALSE",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REQUEST_PAYER": "requester",
    }.items():
        monkeypatch.setenv(name, value)
    served.files.fail()
    outcome = take(served, [served.usgs(TOA, bands=["B4"], catalogue={"alternate": "s3"})])
    assert outcome.failures == ()
    x, y = centres(outcome.location)
    np.testing.assert_allclose(outcome.chips[0].pixels[0], truth(scene, "B4", x, y), rtol=2e-6)
    assert all(path.startswith("/usgs-landsat/") for path in served.files.seen)


def test_an_address_that_the_items_lack_is_a_reason(other):
    served = other(Landsat(MIDDLE))
    outcome = take(served, [served.usgs(TOA, bands=["B4"], catalogue={"alternate": "gs"})])
    assert "has no red, MTL.txt" in reasons(outcome)
