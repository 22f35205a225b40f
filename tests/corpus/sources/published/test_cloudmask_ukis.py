"""The cloud masks of ukis-csmask, from files in their layout and from the real ones."""

import numpy as np
import pytest

from swath import sensors
from swath.corpus.sources.published import cloudmask_ukis as source
from swath.errors import CorpusError, RecipeError
from tests.corpus.sources.image_layouts import cloudmask_ukis
from tests.corpus.sources.reading import log, made
from tests.corpus.sources.reading import stored as counts


def test_chips_are_windows_of_the_arrays(tmp_path):
    cloudmask_ukis(tmp_path)
    corpus = made("cloudmask-ukis", tmp_path, tmp_path / "c", chip_px=16)
    assert len(corpus) == 4 * 4
    rows = {uid: row for row, uid in enumerate(corpus.locations["uid"])}
    for name, (sensor, bands) in source.BANDS.items():
        arrays = np.load(tmp_path / f"{name}.npz")
        assert corpus.info.sensors[sensor].bands == bands
        stored = counts(corpus, sensor)
        for row in range(2):
            for column in range(2):
                part = (slice(16 * row, 16 * row + 16), slice(16 * column, 16 * column + 16))
                uid = f"{name}_{row}_{column}"
                np.testing.assert_array_equal(stored[uid, None], arrays["img"][part].transpose(2, 0, 1))
                np.testing.assert_array_equal(corpus.labels("cloud", [rows[uid]])[0], arrays["msk"][part][..., 0])
                chip = corpus.chips.set_index("uid").loc[uid]
                assert chip["cloud"] == pytest.approx((arrays["msk"][part] == 4).mean())
    assert corpus.locations.groupby("group").size().to_dict() == dict.fromkeys(source.BANDS, 4)


def test_one_sensor_of_six_bands_takes_all_images(tmp_path):
    cloudmask_ukis(tmp_path)
    bands = [
        {"name": name, "unit": "reflectance", "centre_um": 0.4 + 0.2 * k, "width_um": 0.1, "gsd_m": 30}
        for k, name in enumerate("uvwxyz")
    ]
    sensors.declare({"six-of-all": {"kind": "optical", "dtype": "float32", "bands": bands}})
    corpus = made("cloudmask-ukis", tmp_path, tmp_path / "c", chip_px=16, sensor="six-of-all")
    assert list(corpus.info.sensors) == ["six-of-all"]
    assert corpus.info.sensors["six-of-all"].bands == tuple("uvwxyz")
    stored = counts(corpus, "six-of-all")
    for name in source.BANDS:
        image = np.load(tmp_path / f"{name}.npz")["img"]
        np.testing.assert_array_equal(stored[f"{name}_0_0", None], image[:16, :16].transpose(2, 0, 1))
    with pytest.raises(RecipeError, match="not six of reflectance"):
        made("cloudmask-ukis", tmp_path, tmp_path / "d", chip_px=16, sensor="sentinel-2-l2a")
    sensors.forget("six-of-all")


def test_the_real_files(shared_data, tmp_path):
    folder = shared_data / "cloudmask_ukis"
    corpus = made("cloudmask-ukis", folder, tmp_path / "c")
    assert len(corpus) == 12
    assert set(corpus.info.sensors) == {"landsat-tm-toa", "landsat-etm-toa", "sentinel-2-l1c"}
    found = np.bincount(corpus.labels("cloud", range(4)).ravel(), minlength=5)
    assert found.tolist() == [60488, 2698, 0, 113029, 85929]  # of landsat5, by the data's own description
    image = np.load(folder / "landsat7.npz")["img"]
    stored = counts(corpus, "landsat-etm-toa")["landsat7_1_0", None]
    np.testing.assert_array_equal(stored, image[256:, :256].transpose(2, 0, 1))


def test_no_file_and_an_extra_one(tmp_path):
    with pytest.raises(CorpusError, match="none of the files landsat5"):
        made("cloudmask-ukis", tmp_path, tmp_path / "c")
    cloudmask_ukis(tmp_path)
    np.savez(tmp_path / "modis.npz", img=0)
    assert [e["id"] for e in log(made("cloudmask-ukis", tmp_path, tmp_path / "d", chip_px=16))] == ["modis.npz"]


IMAGE, MASK = np.zeros((32, 32, 6), np.float32), np.zeros((32, 32, 1), np.uint8)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"img": IMAGE}, "holds no msk that can be read"),
        ({"img": IMAGE[..., :5], "msk": MASK}, "has the shape 32 x 32 x 5 in img, not any x any x 6"),
        ({"img": IMAGE, "msk": MASK[:16]}, "has the shape 16 x 32 x 1 in msk, not 32 x 32 x 1"),
        ({"img": IMAGE, "msk": MASK + np.uint8(9)}, "the code 9 at 1024 pixels"),
    ],
)
def test_a_bad_file_is_an_error_or_left_out(tmp_path, arrays, words):
    cloudmask_ukis(tmp_path)
    path = tmp_path / "landsat7.npz"
    np.savez(path, **arrays)
    with pytest.raises(CorpusError, match=words):
        made("cloudmask-ukis", tmp_path, tmp_path / "c", chip_px=16)
    corpus = made("cloudmask-ukis", tmp_path, tmp_path / "d", chip_px=16, on_bad_file="skip")
    assert len(corpus) == 12
    assert log(corpus)[0]["id"] == "landsat7"
