"""Files of one location are where it is, or an error says how far off they are; whatever way up they are stored."""

import warnings

import numpy as np
import pandas as pd
import pytest
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint

from tests.corpus.sources.folder.test_folder import PX, S2, counts, log, made, stored, write
from tests.corpus.sources.folder.test_folder_bad_input import MASK, refused

CRS = "EPSG:32632"
UP = Affine(10, 0, 500_000, 0, -10, 5_600_000)
DOWN = Affine(10, 0, 500_000, 0, 10, 5_600_000 - 10 * PX)
"""The same ground, rows from south to north."""
SENSOR = "sentinel-2-l2a"
LABELS = [MASK | {"files": "masks/*.tif"}]
SCL = [{"sensor": SENSOR, "files": "scl/*.tif", "id": r"(?P<id>\w+)\.tif$"}]
BANDS = {"files": "images/*.tif", "id": r"(?P<id>a)_(?P<band>B\d+)\.tif$", "sensor": SENSOR, "bands": ["B04", "B08"]}


def shifted(east: float = 0, north: float = 0, size: float = 10) -> Affine:
    return Affine(size, 0, 500_000 + east, 0, -size, 5_600_000 + north)


ELSEWHERE = [
    (CRS, shifted(100_000, -100_000), "m apart"),
    ("EPSG:32633", UP, "(EPSG:32633 and EPSG:32632)"),
    (CRS, shifted(0, 80), "80.0 m apart"),
    (CRS, shifted(5, 0), "5.0 m apart"),
    (CRS, Affine(20, 0, 500_000, 0, -20, 5_600_000), "apart"),
    ("EPSG:4326", Affine(1e-4, 0, 9, 0, -1e-4, 50), "apart"),
]


def mask() -> np.ndarray:
    return (np.arange(PX * PX).reshape(1, PX, PX) % 3 == 0).astype(np.uint8)


@pytest.mark.parametrize(("crs", "place", "said"), ELSEWHERE)
def test_a_mask_that_lies_elsewhere(tmp_path, crs, place, said):
    write(tmp_path / "images/a.tif", counts(1), CRS, UP)
    write(tmp_path / "masks/a.tif", mask(), crs, place)
    refused(tmp_path, tmp_path / "c", "masks/a.tif does not lie where images/a.tif does", said, labels=LABELS)


@pytest.mark.parametrize(("crs", "place", "said"), ELSEWHERE)
def test_a_cloud_layer_a_band_and_another_date_that_lie_elsewhere(tmp_path, crs, place, said):
    write(tmp_path / "one/images/a.tif", counts(1), CRS, UP)
    write(tmp_path / "one/scl/a.tif", counts(2, 1, dtype="uint8"), crs, place)
    refused(tmp_path / "one", tmp_path / "c", "scl/a.tif does not lie where", said, quality=SCL)
    write(tmp_path / "two/images/a_B04.tif", counts(1, 1), CRS, UP)
    write(tmp_path / "two/images/a_B08.tif", counts(2, 1), crs, place)
    refused(tmp_path / "two", tmp_path / "c", "a_B08.tif does not lie where images/a_B04.tif", said, images=[BANDS])
    write(tmp_path / "three/images/a_20200101.tif", counts(1), CRS, UP)
    write(tmp_path / "three/images/a_20200102.tif", counts(2), crs, place)
    # pixels of 20 m, and others on the ground, are told by their size already
    said = "" if place.a != 10 else said
    refused(tmp_path / "three", tmp_path / "c", "a_20200102.tif", said)


def test_a_coarse_band_that_covers_other_ground(tmp_path):
    write(tmp_path / "images/a_B04.tif", counts(1, 1), CRS, UP)
    write(tmp_path / "images/a_B08.tif", counts(2, 1, PX // 2), CRS, shifted(0, 320, 20))
    refused(tmp_path, tmp_path / "c", "a_B08.tif does not lie", "320 m apart", images=[BANDS])
    write(tmp_path / "images/a_B08.tif", counts(2, 1, PX // 2), CRS, shifted(size=20))
    assert len(made(tmp_path, tmp_path / "d", images=[BANDS])) == 1


def test_what_lies_elsewhere_is_left_out_if_asked(tmp_path):
    for name, east in (("a", 0), ("b", 80)):
        write(tmp_path / f"images/{name}.tif", counts(1), CRS, UP)
        write(tmp_path / f"masks/{name}.tif", mask(), CRS, shifted(east))
    corpus = made(tmp_path, tmp_path / "c", labels=LABELS, on_bad_file="skip")
    assert list(corpus.locations["uid"]) == ["a"]
    assert "masks/b.tif does not lie where images/b.tif does" in log(corpus)[0]["what"]


def test_files_that_say_no_position_are_where_their_image_is(tmp_path):
    write(tmp_path / "images/a.tif", counts(1), CRS, UP)
    write(tmp_path / "masks/a.tif", codes := mask())
    np.testing.assert_array_equal(made(tmp_path, tmp_path / "c", labels=LABELS).labels("m", [0])[0], codes[0])


def test_a_world_file_without_a_reference_system_is_compared(tmp_path):
    write(tmp_path / "images/a.tif", counts(1), CRS, UP)
    write(tmp_path / "masks/a.tif", mask(), transform=None)
    (tmp_path / "masks/a.tfw").write_text("10\n0\n0\n-10\n500085\n5599995\n")
    refused(tmp_path, tmp_path / "c", "masks/a.tif does not lie", "8.0 pixels apart", labels=LABELS)


@pytest.mark.parametrize("down", ["image", "mask", "scl", "all"])
def test_images_stored_from_south_to_north_are_turned(tmp_path, down):
    pixels, codes, clouds = counts(1), mask(), np.where(mask() == 1, 9, 4).astype(np.uint8)
    for name, what, values in (("images", "image", pixels), ("masks", "mask", codes), ("scl", "scl", clouds)):
        south = down in (what, "all")
        write(tmp_path / f"{name}/a.tif", values[:, :: -1 if south else 1], CRS, DOWN if south else UP)
    corpus = made(tmp_path, tmp_path / "c", labels=LABELS, quality=SCL)
    np.testing.assert_array_equal(stored(corpus, SENSOR)["a", None, None], pixels)
    np.testing.assert_array_equal(corpus.labels("m", [0])[0], codes[0])
    assert corpus.chips["cloud"][0] == pytest.approx((codes == 1).mean())
    assert list(corpus.locations["transform"][0]) == list(UP)[:6]


def test_images_stored_from_east_to_west_and_mirrored_ones_are_turned(tmp_path):
    pixels = counts(1)
    west = Affine(-10, 0, 500_000 + 10 * PX, 0, -10, 5_600_000)
    write(tmp_path / "images/a.tif", pixels[:, :, ::-1], CRS, west)
    # rows and columns along other axes, mirrored: turned so that pixel and ground still agree
    write(tmp_path / "images/b.tif", pixels, CRS, Affine(6, 8, 500_000, 8, -6, 5_600_000))
    write(tmp_path / "images/c.tif", pixels[:, ::-1], CRS, mirrored := Affine(6, -8, 500_000, 8, 6, 5_600_000))
    corpus = made(tmp_path, tmp_path / "c")
    for name in "abc":
        np.testing.assert_array_equal(stored(corpus, SENSOR)[name, None, None], pixels)
    assert list(corpus.locations["transform"][0]) == list(UP)[:6]
    assert list(corpus.locations["transform"][1]) == [6, 8, 500_000, 8, -6, 5_600_000]
    found = Affine(*corpus.locations["transform"][2])
    assert found @ (3, 5) == pytest.approx(mirrored @ (3, PX - 5))


def test_chips_of_south_up_images_lie_where_rasterio_says(tmp_path):
    write(tmp_path / "images/a.tif", pixels := counts(1, size=2 * PX), CRS, Affine(10, 0, 5e5, 0, 10, 5.6e6))
    corpus = made(tmp_path, tmp_path / "c")
    with rasterio.open(tmp_path / "images/a.tif") as file:
        for uid, transform in zip(corpus.locations["uid"], corpus.locations["transform"], strict=True):
            x, y = Affine(*transform) @ (0.5, 0.5)
            row, column = file.index(x, y)
            np.testing.assert_array_equal(stored(corpus, SENSOR)[uid, None, None][:, 0, 0], pixels[:, row, column])


def test_the_pixel_size_is_that_on_the_ground(tmp_path):
    mercator = Affine(20, 0, 1e6, 0, -20, 8.4e6)  # at 60 degrees north
    for name, crs, place, gsd in (
        ("turned", CRS, Affine(6, 8, 5e5, 8, -6, 5.6e6), 10),
        ("mercator", "EPSG:3857", mercator, 10.0),
        ("feet", "EPSG:2263", Affine(98.425, 0, 9.8e5, 0, -98.425, 2e5), 30),
    ):
        write(tmp_path / name / "images/a.tif", counts(1), crs, place)
        corpus = made(tmp_path / name, tmp_path / f"{name}-c")
        assert corpus.info.sensors[SENSOR].gsd_m == pytest.approx(gsd, rel=0.02)


def test_pixels_that_are_not_square_have_to_be_given_a_size(tmp_path):
    for name, crs, place, said in (
        ("oblong", CRS, Affine(10, 0, 5e5, 0, -20, 5.6e6), "10 m wide and 20 m high"),
        ("degrees", "EPSG:4326", Affine(0.00027, 0, 9, 0, -0.00027, 50), "19.36 m wide and 30.03 m high"),
    ):
        write(tmp_path / name / "images/a.tif", counts(1), crs, place)
        refused(tmp_path / name, tmp_path / f"{name}-c", said, "images.0.gsd_m", "say one size: gsd_m:")
        corpus = made(tmp_path / name, tmp_path / f"{name}-d", images=[S2 | {"bands": ["B04", "B08"], "gsd_m": 15}])
        assert corpus.info.sensors[SENSOR].gsd_m == 15
        assert "on the ground, not 15" in log(corpus)[0]["what"]


def test_images_of_two_pixel_sizes_are_not_one_sensor(tmp_path):
    write(tmp_path / "images/a.tif", counts(1), CRS, UP)
    write(tmp_path / "images/b.tif", counts(2), CRS, shifted(size=20))
    refused(tmp_path, tmp_path / "c", "images/b.tif has pixels of 20 x 20 m", "have 10", "gsd_m")
    assert list(made(tmp_path, tmp_path / "d", on_bad_file="skip").locations["uid"]) == ["a"]


def test_a_reference_system_without_a_position_is_none(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        write(tmp_path / "images/a.tif", pixels := counts(1), CRS, Affine.identity())
    corpus = made(tmp_path, tmp_path / "c", images=[S2 | {"bands": ["B04", "B08"], "gsd_m": 10}])
    np.testing.assert_array_equal(stored(corpus, SENSOR)["a", None, None], pixels)
    assert pd.isna(corpus.locations["crs"][0])


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("way", [DOWN, Affine(-10, 0, 500_000 + 10 * PX, 0, -10, 5_600_000), Affine(1, 0, 64, 0, 1, 8)])
def test_files_without_a_position_are_turned_as_the_image_beside_them(tmp_path, way):
    pixels, codes, clouds = counts(1), mask(), np.where(mask() == 1, 9, 4).astype(np.uint8)
    hidden = np.where(np.arange(PX * PX).reshape(1, PX, PX) % 7 == 0, 0, 255).astype(np.uint8)
    write(tmp_path / "images/a_B04.tif", pixels[:1], CRS, way)
    write(tmp_path / "images/a_B08.tif", pixels[1:])
    with rasterio.open(tmp_path / "images/a_B08.tif", "r+") as file:
        file.write_mask(hidden[0])
    write(tmp_path / "masks/a.png", codes)
    write(tmp_path / "scl/a.tif", clouds)
    corpus = made(tmp_path, tmp_path / "c", images=[BANDS], labels=[MASK], quality=SCL)
    found = stored(corpus, SENSOR)["a", None, None]
    rows, columns = (-1 if way.e > 0 else 1), (-1 if way.a < 0 else 1)
    np.testing.assert_array_equal(found, pixels[:, ::rows, ::columns])
    np.testing.assert_array_equal(corpus.labels("m", [0])[0], codes[0, ::rows, ::columns])
    seen = (codes != 1) & (hidden > 0)
    array = corpus.valid_array(SENSOR)
    assert array is not None
    np.testing.assert_array_equal(array.read().result()[0], seen[0, ::rows, ::columns])


def test_which_way_up_a_file_without_a_position_is_has_to_be_known(tmp_path):
    write(tmp_path / "images/a_20200101.tif", counts(1), CRS, UP)
    write(tmp_path / "images/a_20200102.tif", counts(2), CRS, DOWN)
    write(tmp_path / "masks/a.tif", mask())
    refused(tmp_path, tmp_path / "c", "masks/a.tif says no position", "stored in several ways", labels=LABELS)
    write(tmp_path / "masks/a.tif", codes := mask(), CRS, UP)
    np.testing.assert_array_equal(made(tmp_path, tmp_path / "d", labels=LABELS).labels("m", [0])[0], codes[0])


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_ground_control_points_are_not_read_and_said_to_be(tmp_path):
    write(tmp_path / "images/a.tif", counts(1))
    corners = [GroundControlPoint(row, column, 10 + column, 50 - row) for row, column in ((0, 0), (0, 9), (9, 0))]
    with rasterio.open(tmp_path / "images/a.tif", "r+") as file:
        file.gcps = (corners, rasterio.CRS.from_epsg(4326))
    corpus = made(tmp_path, tmp_path / "c", images=[S2 | {"bands": ["B04", "B08"], "gsd_m": 10}])
    assert [(one["event"], one["where"]) for one in log(corpus)] == [("position not read", "images/a.tif")]
