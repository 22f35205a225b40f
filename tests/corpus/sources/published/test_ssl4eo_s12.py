"""SSL4EO-S12: three modalities of one location on one grid of 10 m."""

import shutil

import numpy as np
import pytest
import rasterio
from torchgeo.datasets import SSL4EOS12

from swath.corpus.sources.published.ssl4eo_s12 import SENSORS
from swath.errors import CorpusError
from tests.corpus.sources.image_layouts import S12_SCENES, S12_SIZES, noise, ssl4eo_s12, tif
from tests.corpus.sources.reading import log, made
from tests.corpus.sources.reading import stored as counts


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("s12")
    ssl4eo_s12(folder)
    return folder


def test_pixels_are_rasterios_resampled_to_the_nearest(data, tmp_path):
    corpus = made("ssl4eo-s12", data, tmp_path / "c")
    assert set(corpus.info.sensors) == set(SENSORS.values())
    for modality, sensor in SENSORS.items():
        for (uid, date), pixels in counts(corpus, sensor).items():
            assert date.replace("-", "") in S12_SCENES[modality]
            for name, one in zip(SSL4EOS12.metadata[modality]["bands"], pixels, strict=True):
                with rasterio.open(data / modality / uid / S12_SCENES[modality] / f"{name}.tif") as file:
                    assert file.width == (264 if modality == "s1" else S12_SIZES.get(name, 264))
                    np.testing.assert_array_equal(one, file.read(1, out_shape=(264, 264)))


@pytest.mark.parametrize("modality", SENSORS)
def test_pixels_are_torchgeos(data, tmp_path, modality):
    corpus = made("ssl4eo-s12", data, tmp_path / "c", modalities=[modality])
    stored = [pixels for _, pixels in sorted(counts(corpus, SENSORS[modality]).items())]
    peer = SSL4EOS12(data, split=modality)
    for index, pixels in enumerate(stored):
        np.testing.assert_array_equal(pixels, peer[index]["image"].numpy())


def test_times_places_and_nodata(data, tmp_path):
    corpus = made("ssl4eo-s12", data, tmp_path / "c")
    assert corpus.chips_of("sentinel-1-grd")["datetime"].iloc[0].isoformat() == "2020-06-07T16:56:14+00:00"
    assert corpus.locations["lon"].iloc[0] == pytest.approx(7.0 + 132 * 30 / 111_190)
    assert corpus.info.sensors["sentinel-2-l1c"].nodata is None


def _break(scene, how):
    band = scene / "B8.tif"
    if how == "20 m":
        tif(band, noise(0, (1, 132, 132), dtype="uint16"))
    else:
        scene.rename(scene.with_name("T43RCP"))


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("20 m", "rows and columns"),
        ("name", "holds no time"),
    ],
)
def test_a_bad_file_is_an_error_or_left_out(data, tmp_path, how, words):
    shutil.copytree(data / "s2a", tmp_path / "in" / "s2a")
    _break(next((tmp_path / "in/s2a/0000001").iterdir()), how)
    with pytest.raises(CorpusError, match=words):
        made("ssl4eo-s12", tmp_path / "in", tmp_path / "c")
    corpus = made("ssl4eo-s12", tmp_path / "in", tmp_path / "d", on_bad_file="skip")
    assert list(corpus.locations["uid"]) == ["0000000"]
    assert words in log(corpus)[0]["what"]


def test_no_modality_an_empty_location_and_a_stranger(data, tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(CorpusError, match="no folder s1, s2c or s2a"):
        made("ssl4eo-s12", tmp_path / "in", tmp_path / "c")
    shutil.copytree(data / "s1", tmp_path / "in" / "s1")
    with pytest.raises(CorpusError, match="no folder s2a"):
        made("ssl4eo-s12", tmp_path / "in", tmp_path / "c", modalities=["s1", "s2a"])
    (tmp_path / "in/s1/checked.csv").touch()
    assert [e["id"] for e in log(made("ssl4eo-s12", tmp_path / "in", tmp_path / "c"))] == ["checked.csv"]
    (tmp_path / "in/s1/0000007").mkdir()
    with pytest.raises(CorpusError, match="0000007 has no scene"):
        made("ssl4eo-s12", tmp_path / "in", tmp_path / "d")
