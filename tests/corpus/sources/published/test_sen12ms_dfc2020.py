"""SEN12MS and DFC2020: pixels against rasterio, land cover, lists and what is to be dropped."""

import numpy as np
import pytest
import rasterio

from swath.corpus import Corpus, check
from swath.corpus.sources import build
from swath.corpus.sources.published import dfc2020, sen12ms
from swath.errors import CorpusError
from tests.corpus.sources.image_layouts import read, tif
from tests.corpus.sources.published.formats import sen12 as files
from tests.corpus.sources.reading import labels, log, stored, valid

OPTICAL, RADAR = "sentinel-2-l1c", "sentinel-1-grd"


def made(config, data, target) -> Corpus:
    build(config, target, data)
    return Corpus.open(target)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("sen12ms")
    files.sen12ms(root)
    return root, made(sen12ms.Config(), root, root / "corpus")


def path(root, season, kind, scene, patch):
    return root / season / f"{kind}_{scene}" / f"{season}_{kind}_{scene}_p{patch}.tif"


def test_pixels_equal_rasterios(written):
    root, corpus = written
    assert corpus.info.sensors[OPTICAL].bands[7:11] == ("B08", "B8A", "B09", "B10")
    for season, scene, patch in files.PATCHES[:2]:
        uid = f"{season}_{scene}_p{patch}"
        np.testing.assert_array_equal(stored(corpus, OPTICAL)[uid, None], read(path(root, season, "s2", scene, patch)))
        np.testing.assert_array_equal(stored(corpus, RADAR)[uid, None], read(path(root, season, "s1", scene, patch)))
    good = valid(corpus, OPTICAL)["ROIs1158_spring_1_p30", None]
    assert not good[1, :3].any()
    assert good.sum() == 256 * 256 - 3  # a single band of 0 is data
    assert not valid(corpus, RADAR)["ROIs1158_spring_1_p30", None][4, 5]


def test_land_cover_in_two_legends(written):
    root, corpus = written
    igbp = read(path(root, "ROIs1158_spring", "lc", "1", "30"))[0]
    stored_igbp = labels(corpus, "igbp")["ROIs1158_spring_1_p30"]
    np.testing.assert_array_equal(stored_igbp, np.where(igbp == 255, 0, igbp))
    table = dict(enumerate([0, 1, 1, 1, 1, 1, 2, 2, 3, 3, 4, 5, 6, 7, 6, 8, 9, 10]))
    wanted = np.vectorize(table.get)(stored_igbp)
    np.testing.assert_array_equal(labels(corpus, "dfc")["ROIs1158_spring_1_p30"], wanted)
    row = corpus.locations.set_index("uid").loc["ROIs1158_spring_1_p30"]
    assert (row["igbp"], row["dfc"], row["season"]) == ("Croplands", "Croplands", "spring")
    assert row["group"] == "ROIs1158_spring_1"
    assert corpus.label_layers["dfc"].colours[10] == "#1c0dff"


def test_the_split_is_that_of_the_lists_and_the_bad_patch_is_dropped(written):
    _, corpus = written
    assert corpus.locations.set_index("uid")["split"].to_dict() == {
        "ROIs1158_spring_1_p30": "train",
        "ROIs1158_spring_1_p31": "test",
    }
    assert [entry["id"] for entry in log(corpus) if entry["event"] == "left out"] == ["ROIs1868_summer_146_p202"]
    assert [finding for finding in check(corpus) if finding.level == "error"] == []


def test_missing_files_and_lists_are_named(tmp_path):
    files.sen12ms(tmp_path / "data", files.PATCHES[:2])
    (tmp_path / "data" / "train_list.txt").unlink()
    with pytest.raises(CorpusError, match=r"train_list\.txt of the split is missing") as error:
        made(sen12ms.Config(), tmp_path / "data", tmp_path / "c")
    assert "split=none" in str(error.value)
    gone = path(tmp_path / "data", "ROIs1158_spring", "s1", "1", "31")
    gone.unlink()
    with pytest.raises(CorpusError, match=rf"{gone.name} is missing"):
        made(sen12ms.Config(split="none"), tmp_path / "data", tmp_path / "c")
    corpus = made(sen12ms.Config(split="none", on_bad_file="skip"), tmp_path / "data", tmp_path / "c")
    assert corpus.locations["uid"].tolist() == ["ROIs1158_spring_1_p30"]
    assert corpus.locations["split"].isna().all()


def test_a_stated_part_of_the_seasons(tmp_path):
    root = tmp_path / "data"
    fall = ("ROIs1970_fall", "7", "30")
    files.sen12ms(root, (files.PATCHES[0], fall))
    path(root, "ROIs1158_spring", "s1", "1", "30").unlink()  # of a season that is not wanted
    corpus = made(sen12ms.Config(seasons=("fall",)), root, tmp_path / "c")
    assert corpus.locations["uid"].tolist() == ["ROIs1970_fall_7_p30"]
    assert corpus.info.provenance[0]["settings"]["seasons"] == ["fall"]
    wanted = read(path(root, "ROIs1970_fall", "s1", "7", "30"))
    np.testing.assert_array_equal(stored(corpus, RADAR)["ROIs1970_fall_7_p30", None], wanted)
    with pytest.raises(CorpusError, match="no patch of winter is here"):
        made(sen12ms.Config(seasons=("fall", "winter")), root, tmp_path / "d")


@pytest.mark.parametrize(
    ("kind", "change", "said"),
    [
        ("s2", lambda pixels: pixels[:12], "bands: 12, where this format has 13"),
        ("s1", lambda pixels: pixels[:, :128], "rows and columns"),
        ("lc", lambda pixels: pixels + 30, "holds the code"),
    ],
)
def test_a_bad_file_stops_or_is_left_out(tmp_path, kind, change, said):
    root = tmp_path / "data"
    files.sen12ms(root, files.PATCHES[:2])
    bad = path(root, "ROIs1158_spring", kind, "1", "31")
    pixels = change(read(bad))
    bad.unlink()
    tif(bad, pixels, None)
    with pytest.raises(CorpusError, match=said):
        made(sen12ms.Config(), root, tmp_path / "c")
    corpus = made(sen12ms.Config(on_bad_file="skip"), root, tmp_path / "c")
    assert corpus.locations["uid"].tolist() == ["ROIs1158_spring_1_p30"]


def test_dfc2020_has_classes_of_ten_metres(tmp_path):
    root = tmp_path / "data"
    files.dfc2020(root)
    corpus = made(dfc2020.Config(), root, tmp_path / "c")
    assert corpus.locations.set_index("uid")["split"].to_dict() == {
        "ROIs0000_test_0_p1": "test",
        "ROIs0000_validation_0_p0": "train",
    }
    folder = root / "ROIs0000_test"
    for sensor, kind in ((OPTICAL, "s2"), (RADAR, "s1")):
        with rasterio.open(folder / f"{kind}_0" / f"ROIs0000_test_{kind}_0_p1.tif") as file:
            np.testing.assert_array_equal(stored(corpus, sensor)["ROIs0000_test_0_p1", None], file.read())
    codes = read(folder / "dfc_0" / "ROIs0000_test_dfc_0_p1.tif")[0]
    np.testing.assert_array_equal(labels(corpus, "dfc")["ROIs0000_test_0_p1"], codes)
    assert log(corpus) == []
    turned = made(dfc2020.Config(validation_as="val"), root, tmp_path / "d")
    assert set(turned.locations["split"]) == {"val", "test"}
