"""SSL4EO-L: bytes as stored, units by the published tables, dates of parallel corpora."""

import shutil
from datetime import datetime

import numpy as np
import pytest
from affine import Affine
from torchgeo.datasets import SSL4EOL

from swath import sensors
from swath.corpus import Reader, Selection
from swath.corpus.sources.published.ssl4eo_l import SENSORS, layout, season
from swath.errors import CorpusError, RecipeError
from tests.corpus.sources.image_layouts import SSL4EO_L_BANDS, SSL4EO_L_DATES, noise, read, ssl4eo_l, tif
from tests.corpus.sources.reading import log, made, valid
from tests.corpus.sources.reading import stored as counts

# https://arxiv.org/abs/2306.09424, compress_dataset.py: what 0 and 255 stand for
TOA, SURFACE, KELVIN = (0.0, 0.4), (0.0, 0.3), (248.15, 318.15)


def day(date: str) -> str:
    return f"{date[:4]}-{date[4:6]}-{date[6:]}"


THERMAL = {"tm_toa": [5], "etm_toa": [5, 6], "etm_sr": [], "oli_tirs_toa": [9, 10], "oli_sr": []}


@pytest.mark.parametrize("split", SSL4EO_L_BANDS)
def test_bytes_are_the_files_and_units_are_the_tables(tmp_path, split):
    ssl4eo_l(tmp_path, split, locations=1)
    corpus = made("ssl4eo-l", tmp_path, tmp_path / "c")
    sensor = SENSORS[split]
    stored = counts(corpus, sensor)
    files = {day(path.parent.name[-8:]): read(path) for path in tmp_path.glob("ssl4eo_l_*/*/*/all_bands.tif")}
    assert set(stored) == {("0000000", day(date)) for date in SSL4EO_L_DATES}
    for (_, date), pixels in stored.items():
        np.testing.assert_array_equal(pixels, files[date])
    ends = [KELVIN if k in THERMAL[split] else SURFACE if split.endswith("sr") else TOA for k in range(len(pixels))]
    image = Reader(corpus, {sensor: corpus.info.sensors[sensor].bands}).batch(np.array([0]), Selection(dates="all"))
    first = image.images[sensor].pixels[0, 0].numpy()
    low, high = (np.array(e)[:, None, None] for e in zip(*ends, strict=True))
    expected = low + files[day(SSL4EO_L_DATES[0])] / 255 * (high - low)
    np.testing.assert_allclose(first[:, 5:], expected[:, 5:], rtol=1e-5)


@pytest.mark.parametrize("split", SSL4EO_L_BANDS)
def test_bands_are_torchgeos(split):
    names = [name.removeprefix("SR_").partition("_")[0] for name in layout(split).bands]
    assert names == SSL4EOL.metadata[split]["all_bands"]
    rgb = [layout(split).bands[k] for k in SSL4EOL.metadata[split]["rgb_bands"]]
    assert tuple(rgb) == sensors.get(SENSORS[split]).rgb


def test_pixels_are_torchgeos(tmp_path):
    ssl4eo_l(tmp_path, "etm_toa")
    corpus = made("ssl4eo-l", tmp_path, tmp_path / "c")
    stored = counts(corpus, "landsat-etm-toa")
    peer = SSL4EOL(tmp_path, split="etm_toa", seasons=4)
    for number in range(2):
        sample = peer[number]
        images = sample["image"].reshape(4, 9, 264, 264).numpy()[np.argsort(sample["t"].numpy())]
        for date, image in zip(SSL4EO_L_DATES, images, strict=True):
            np.testing.assert_array_equal(stored[f"{number:07d}", day(date)], image)


def test_places_dates_and_seasons(tmp_path):
    ssl4eo_l(tmp_path, "tm_toa", locations=1)
    corpus = made("ssl4eo-l", tmp_path, tmp_path / "c")
    place = corpus.locations.iloc[0]
    assert place["crs"] == "EPSG:4326"
    assert place["lon"] == pytest.approx(7.0 + 132 * 30 / 111_190)
    assert list(corpus.chips["tag"]) == ["march", "june", "september", "december"]
    assert corpus.info.licences == ("CC0-1.0",)


def test_a_pixel_is_missing_where_all_bands_are_0(tmp_path):
    ssl4eo_l(tmp_path, "oli_sr", locations=1, dates=("20210306",))
    mask = valid(made("ssl4eo-l", tmp_path, tmp_path / "c"), "landsat-oli-sr")["0000000", "2021-03-06"]
    assert not mask[:2, :3].any()
    assert mask.sum() == 264 * 264 - 6


@pytest.mark.parametrize(
    ("date", "name"),
    [
        ("2021-02-19", "march"),
        ("2021-05-22", "june"),
        ("2020-12-31", "december"),
        ("2021-01-20", "december"),
        ("2021-10-23", "september"),
    ],
)
def test_the_season_is_the_nearest_equinox_or_solstice(date, name):
    assert season(datetime.fromisoformat(date)) == name


def test_both_levels_are_kept_where_their_dates_are_the_same(tmp_path):
    for split in ("oli_tirs_toa", "oli_sr"):
        ssl4eo_l(tmp_path, split, locations=3)
    folder = tmp_path / "ssl4eo_l_oli_sr" / "0000001"
    next(folder.glob("*20210306")).rename(folder / "LC08_172001_20210322")
    shutil.rmtree(tmp_path / "ssl4eo_l_oli_sr" / "0000002")
    corpus = made("ssl4eo-l", tmp_path, tmp_path / "c")
    assert list(corpus.locations["uid"]) == ["0000000"]
    assert {e["id"] for e in log(corpus)} == {"0000001", "0000002"}
    everything = made("ssl4eo-l", tmp_path, tmp_path / "all", parallel=False)
    assert (len(everything.locations), len(everything.chips)) == (3, 20)


def test_splits_can_be_chosen(tmp_path):
    for split in ("tm_toa", "oli_sr"):
        ssl4eo_l(tmp_path, split, locations=1)
    corpus = made("ssl4eo-l", tmp_path, tmp_path / "c", splits=["oli_sr"])
    assert set(corpus.info.sensors) == {"landsat-oli-sr"}
    with pytest.raises(CorpusError, match="ssl4eo_l_etm_sr"):
        made("ssl4eo-l", tmp_path, tmp_path / "d", splits=["etm_sr"])


def test_no_data(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match="no folder ssl4eo_l_<split>"):
        made("ssl4eo-l", tmp_path / "empty", tmp_path / "c")
    with pytest.raises(RecipeError, match="no folder is given"):
        made("ssl4eo-l", None, tmp_path / "c")


def _break(scene, how):
    file = scene / "all_bands.tif"
    if how == "six bands":
        tif(file, noise(0, (6, 264, 264)))
    elif how == "small":
        tif(file, noise(0, (7, 224, 224)))
    elif how == "name":
        scene.rename(scene.with_name("scene"))


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("six bands", "bands: 6"),
        ("small", "rows and columns"),
        ("name", "its date is unknown"),
    ],
)
def test_a_bad_file_is_an_error_or_left_out(tmp_path, how, words):
    ssl4eo_l(tmp_path, "tm_toa", dates=SSL4EO_L_DATES[:2])
    _break(min((tmp_path / "ssl4eo_l_tm_toa" / "0000000").iterdir()), how)
    with pytest.raises(CorpusError, match=words):
        made("ssl4eo-l", tmp_path, tmp_path / "c")
    corpus = made("ssl4eo-l", tmp_path, tmp_path / "d", on_bad_file="skip")
    assert list(corpus.locations["uid"]) == ["0000001"]
    assert [e["event"] for e in log(corpus)] == ["bad file"]
    assert words in log(corpus)[0]["what"]


def test_images_of_one_location_must_show_the_same_ground(tmp_path):
    ssl4eo_l(tmp_path, "tm_toa", locations=1, dates=SSL4EO_L_DATES[:1])
    elsewhere = tmp_path / "ssl4eo_l_tm_toa/0000000/LT05_172000_20210627/all_bands.tif"
    tif(elsewhere, noise(0, (7, 264, 264)), "EPSG:4326")
    with pytest.raises(CorpusError, match="pixels away"):
        made("ssl4eo-l", tmp_path, tmp_path / "c")


def test_a_location_without_scenes_and_an_extra_file(tmp_path):
    ssl4eo_l(tmp_path, "tm_toa", locations=1, dates=SSL4EO_L_DATES[:1])
    (tmp_path / "ssl4eo_l_tm_toa" / "readme.txt").touch()
    corpus = made("ssl4eo-l", tmp_path, tmp_path / "c")
    assert [e["event"] for e in log(corpus)] == ["extra file"]
    (tmp_path / "ssl4eo_l_tm_toa" / "0000009").mkdir()
    with pytest.raises(CorpusError, match="0000009 has no scene"):
        made("ssl4eo-l", tmp_path, tmp_path / "d")


def test_small_corpora_hold_the_same(tmp_path):
    root = tmp_path / "ssl4eo_l_oli_sr" / "0000000" / "LC08_172000_20210306"
    smooth = np.add.outer(np.arange(264), np.arange(264)) // 4 % 250 + noise(0, (7, 264, 264), 0, 3)
    tif(root / "all_bands.tif", smooth.astype(np.uint8), "EPSG:4326", Affine(0.0003, 0, 10, 0, -0.0003, 50))
    fast = made("ssl4eo-l", tmp_path, tmp_path / "fast")
    small = made("ssl4eo-l", tmp_path, tmp_path / "small", compression="small")
    none = made("ssl4eo-l", tmp_path, tmp_path / "none", compression="none")
    assert fast.content_hash == small.content_hash == none.content_hash
    one, other = (stored_bytes(corpus.path / "pixels") for corpus in (fast, small))
    assert other < 0.6 * one
    np.testing.assert_array_equal(*(next(iter(counts(c, "landsat-oli-sr").values())) for c in (fast, small)))


def stored_bytes(folder) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
