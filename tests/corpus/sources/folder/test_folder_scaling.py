"""Counts of every file mean what the recipe, its name or its own tags say, in one scaling."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from pydantic import ValidationError

from swath.corpus import Corpus, Reader, Selection
from swath.corpus.sources.folder import Config
from tests.corpus.sources.folder.test_folder import PX, S2, counts, from_origin, log, made, stored, write
from tests.corpus.sources.folder.test_folder_bad_input import refused

SENSOR = "sentinel-2-l2a"
ENTRY = S2 | {"bands": ["B04", "B08"]}
OLD, NEW = {"scale": 1e-4, "offset": 0.0}, {"scale": 1e-4, "offset": -0.1}
BY_NAME = ENTRY | {"id": r"(?P<id>\w+?)_(?P<date>\d{8})_(?P<baseline>N\d{4})\.tif$"}


def tagged(path: Path, pixels: np.ndarray, scale: float | None, offset: float = 0.0, **profile) -> np.ndarray:
    write(path, pixels, "EPSG:32632", from_origin(500_000, 5_600_000, 10, 10), **profile)
    if scale is not None:
        with rasterio.open(path, "r+") as file:
            file.scales, file.offsets = (scale,) * file.count, (offset,) * file.count
    return pixels


def physical(corpus: Corpus) -> np.ndarray:
    """Values of the first location's dates as a reader hands them on."""
    image = Reader(corpus, {SENSOR: ("B04", "B08")}).batch(np.arange(1), Selection(dates="all")).images[SENSOR]
    return image.pixels[0].numpy()


def both_baselines(folder: Path, old: str = "a_20210615", new: str = "a_20230615", tags: bool = True) -> np.ndarray:
    """The same ground before and after baseline 04.00; returns its reflectance."""
    pixels = counts(1)
    tagged(folder / f"images/{old}.tif", pixels, 1e-4 if tags else None)
    tagged(folder / f"images/{new}.tif", pixels + 1000, 1e-4 if tags else None, -0.1)
    return pixels * 1e-4


def test_tags_that_contradict_the_sensor_are_an_error(tmp_path):
    tagged(tmp_path / "images/a.tif", counts(1), 1e-4, -0.1)
    refused(tmp_path, tmp_path / "c", "images/a.tif says of B04 scale 0.0001 and offset -0.1", "scaling: tags")
    refused(tmp_path, tmp_path / "d", "the recipe says 0.001 and 0", images=[ENTRY | {"scaling": {"scale": 1e-3}}])


def test_tags_that_contradict_can_be_overruled_and_such_that_agree_are_no_matter(tmp_path):
    pixels = tagged(tmp_path / "images/a.tif", counts(1), 1e-4, -0.1)
    wrong = made(tmp_path, tmp_path / "c", images=[ENTRY | {"scaling": OLD | {"against_tags": True}}])
    np.testing.assert_allclose(physical(wrong)[0], pixels * 1e-4, atol=1e-7)
    said = made(tmp_path, tmp_path / "d", images=[ENTRY | {"scaling": NEW}])
    np.testing.assert_allclose(physical(said)[0], pixels * 1e-4 - 0.1, atol=1e-7)


def test_tags_of_each_file_make_one_scaling(tmp_path):
    reflectance = both_baselines(tmp_path)
    refused(tmp_path, tmp_path / "c", "a_20230615.tif says of B04", "scaling: tags")
    corpus = made(tmp_path, tmp_path / "d", images=[ENTRY | {"scaling": "tags"}])
    layout = corpus.info.sensors[SENSOR]
    assert (layout.scale, layout.offset) == ((1e-4, 1e-4), (-0.1, -0.1))
    np.testing.assert_allclose(physical(corpus), [reflectance] * 2, atol=1e-7)
    # files of the lower offset are stored as they are
    with rasterio.open(tmp_path / "images/a_20230615.tif") as file:
        np.testing.assert_array_equal(stored(corpus, SENSOR)["a", "2023-06-15", None], file.read())


def test_the_baseline_in_the_name_makes_one_scaling(tmp_path):
    reflectance = both_baselines(tmp_path, "a_20210615_N0300", "a_20230615_N0509", tags=False)
    corpus = made(tmp_path, tmp_path / "c", images=[BY_NAME | {"scaling": {"group": "baseline"}}])
    np.testing.assert_allclose(physical(corpus), [reflectance] * 2, atol=1e-7)
    assert "baseline" not in corpus.locations
    values = {"N0300": OLD, "N0509": NEW}
    listed = made(tmp_path, tmp_path / "d", images=[BY_NAME | {"scaling": {"group": "baseline", "values": values}}])
    assert listed.content_hash == corpus.content_hash
    values = {"group": "baseline", "values": {"N0300": OLD}}
    refused(tmp_path, tmp_path / "e", "'N0509' as baseline", "N0300", images=[BY_NAME | {"scaling": values}])


def test_a_name_that_says_no_baseline(tmp_path):
    both_baselines(tmp_path, "a_20210615_x", "a_20230615_y", tags=False)
    entry = ENTRY | {"id": r"(?P<id>\w+?)_(?P<date>\d{8})_(?P<version>\w)\.tif$", "scaling": {"group": "version"}}
    refused(tmp_path, tmp_path / "c", "a_20210615_x.tif", "'x' is no Sentinel-2 processing baseline", images=[entry])


def test_two_entries_of_one_sensor_with_scalings_of_their_own(tmp_path):
    reflectance = both_baselines(tmp_path)
    entries = [
        ENTRY | {"files": "images/*_2021*.tif"},
        ENTRY | {"files": "images/*_2023*.tif", "scaling": NEW},
    ]
    np.testing.assert_allclose(physical(made(tmp_path, tmp_path / "c", images=entries)), [reflectance] * 2, atol=1e-7)


def test_missing_and_saturated_pixels_stay_what_they_are(tmp_path):
    pixels = counts(1)
    pixels[:, 0, 0], pixels[:, 0, 1] = 0, 65535
    tagged(tmp_path / "images/a_20210615.tif", pixels, 1e-4)
    tagged(tmp_path / "images/a_20230615.tif", counts(2) + 1000, 1e-4, -0.1)
    corpus = made(tmp_path, tmp_path / "c", images=[ENTRY | {"scaling": "tags"}])
    found = stored(corpus, SENSOR)["a", "2021-06-15", None]
    expected = np.where((pixels == 0) | (pixels == 65535), pixels, pixels + 1000)
    np.testing.assert_array_equal(found, expected)


def test_counts_that_the_common_scaling_cannot_hold(tmp_path):
    pixels = counts(1)
    pixels[0, 3, 3] = 64_999
    tagged(tmp_path / "images/a_20210615.tif", pixels, 1e-4)
    tagged(tmp_path / "images/a_20230615.tif", counts(2) + 1000, 1e-4, -0.1)
    entry = ENTRY | {"scaling": "tags"}
    refused(tmp_path, tmp_path / "c", "a_20210615.tif holds the count 64999", "uint16", images=[entry])


def test_scales_that_differ_and_floats(tmp_path):
    entry = ENTRY | {"dtype": "float32", "scaling": "tags"}
    pixels = counts(1, dtype="float32") / 1000
    tagged(tmp_path / "images/a_20210615.tif", pixels, None)
    tagged(tmp_path / "images/a_20230615.tif", pixels * 100 + 5, 0.01, -0.05)
    corpus = made(tmp_path, tmp_path / "c", images=[entry])
    np.testing.assert_allclose(physical(corpus), [pixels] * 2, rtol=1e-5, atol=1e-5)


def test_integers_without_tags_where_tags_are_asked_for(tmp_path):
    tagged(tmp_path / "images/a.tif", counts(1), None)
    refused(tmp_path, tmp_path / "c", "images/a.tif says no scale and offset", images=[ENTRY | {"scaling": "tags"}])


def test_a_file_that_contradicts_is_left_out_if_asked(tmp_path):
    both_baselines(tmp_path)
    corpus = made(tmp_path, tmp_path / "c", on_bad_file="skip")
    assert len(corpus.chips) == 1
    assert "a_20230615.tif says of B04" in log(corpus)[0]["what"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"scaling": {"scale": 0.0}}, "a scale of 0"),
        ({"scaling": {"group": "version"}}, "no group"),
        ({"scaling": {"group": "date"}}, "no group"),
        ({"scaling": "tag"}, "tags"),
        ({"dtype": "complex64", "scaling": {"scale": 1.0}}, "intensity in decibels"),
        ({"dtype": "unsigned", "scaling": {"scale": 1.0}}, "no NumPy type"),
        ({"dtype": "str", "scaling": {"scale": 1.0}}, "no type of pixels"),
    ],
)
def test_scalings_that_cannot_be(change, said):
    with pytest.raises(ValidationError, match=said):
        Config.model_validate({"chip_px": PX, "images": [ENTRY | change]})


def test_radar_is_not_both_power_and_decibels():
    entry = {"files": "*.tif", "id": r"(?P<id>\d+)", "sensor": "sentinel-1-rtc", "bands": ["VV"]}
    entries = [entry, entry | {"scaling": {"scale": 1.0}, "tag": "x"}]
    with pytest.raises(ValidationError, match="linear power in one entry"):
        Config.model_validate({"chip_px": PX, "images": entries})
