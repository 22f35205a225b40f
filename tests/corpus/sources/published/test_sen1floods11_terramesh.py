"""Sen1Floods11 and TerraMesh: pixels against rasterio, in the true layouts and in real samples."""

import numpy as np
import pytest
import rasterio

from swath.corpus import Corpus, check
from swath.corpus.sources import build
from swath.corpus.sources.published import sen1floods11, terramesh
from tests.corpus.sources.image_layouts import read
from tests.corpus.sources.published.formats import floods_and_mesh as files
from tests.corpus.sources.reading import labels, stored, valid


def made(config, data, target) -> Corpus:
    build(config, target, data)
    return Corpus.open(target)


@pytest.fixture(scope="module")
def floods(tmp_path_factory):
    root = tmp_path_factory.mktemp("floods")
    return files.sen1floods11(root), made(sen1floods11.Config(), root, root / "corpus")


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    root = tmp_path_factory.mktemp("mesh")
    files.terramesh(root)
    return root, made(terramesh.Config(), root, root / "corpus")


def errors(corpus: Corpus) -> list:
    return [finding for finding in check(corpus) if finding.level == "error"]


def test_floods_are_cut_and_equal_rasterios(floods):
    hand, corpus = floods
    assert len(corpus.locations) == 8
    date = "2019-09-18"
    optical = read(hand / "S2Hand" / "Spain_7370579_S2Hand.tif")[:, 256:, :256]
    np.testing.assert_array_equal(stored(corpus, "sentinel-2-l1c")["Spain_7370579_1_0", date], optical)
    radar = read(hand / "S1Hand" / "Spain_7370579_S1Hand.tif")[:, 256:, :256]
    np.testing.assert_array_equal(stored(corpus, "sentinel-1-grd")["Spain_7370579_1_0", "2019-09-17"], radar)
    water = read(hand / "LabelHand" / "Spain_7370579_LabelHand.tif")[0, :256, 256:]
    np.testing.assert_array_equal(labels(corpus, "water")["Spain_7370579_0_1"], water)
    assert not valid(corpus, "sentinel-1-grd")["Ghana_103272_0_0", None][:3, :3].any()


def test_floods_have_dates_splits_and_places(floods):
    _, corpus = floods
    rows = corpus.locations.set_index("uid")
    assert set(rows["split"]) == {"train", "test"}
    assert rows.loc["Ghana_103272_0_0", "split"] == "train"
    assert rows.loc["Spain_7370579_0_1", "group"] == "Spain_7370579"
    a, _, west, _, e, north = rows.loc["Spain_7370579_1_1", "transform"]
    assert (west, north) == pytest.approx((files.DEGREES.c + 256 * a, files.DEGREES.f + 256 * e), abs=1e-12)
    chips = corpus.chips[(corpus.chips["uid"] == "Spain_7370579_0_0") & (corpus.chips["sensor"] == "sentinel-1-grd")]
    assert chips["orbit"].tolist() == ["descending"]
    assert corpus.label_layers["water"].void == -1
    assert errors(corpus) == []


def test_the_mesh_equals_rasterios(mesh):
    root, corpus = mesh
    for patch in files.PATCHES:
        for sensor, product in (("sentinel-2-l2a", "S2L2A"), ("sentinel-1-rtc", "S1RTC")):
            np.testing.assert_array_equal(stored(corpus, sensor)[patch, None], read(root / product / f"{patch}.tif"))
        np.testing.assert_array_equal(labels(corpus, "landcover")[patch], read(root / "LULC" / f"{patch}.tif")[0])
    assert not valid(corpus, "sentinel-2-l2a")[files.PATCHES[0], None][0, 0]
    assert corpus.info.sensors["sentinel-1-rtc"].decibel is False  # it is in dB already
    assert corpus.locations["group"].tolist() == ["282D_485L", "637U_59R"]
    assert errors(corpus) == []


def test_the_real_flood(tmp_path, shared_data):
    root = shared_data / "sen1floods11_sample"
    if not root.is_dir():
        pytest.skip(f"no Sen1Floods11 sample in {shared_data}")
    corpus = made(sen1floods11.Config(), root, tmp_path / "c")
    water = np.stack(list(labels(corpus, "water").values()))
    assert [(water == code).sum() for code in (-1, 0, 1)] == [99, 192010, 70035]
    with rasterio.open(root / "Spain_7370579_S2Hand.tif") as file:
        counts = file.read()[:, :256, 256:]
    found = next(v for (uid, _), v in stored(corpus, "sentinel-2-l1c").items() if uid == "Spain_7370579_0_1")
    np.testing.assert_array_equal(found, counts)
    assert errors(corpus) == []


def test_the_real_mesh(tmp_path, shared_data):
    root = shared_data / "terramesh_examples"
    if not root.is_dir():
        pytest.skip(f"no TerraMesh examples in {shared_data}")
    corpus = made(terramesh.Config(), root, tmp_path / "c")
    for (uid, _), counts in stored(corpus, "sentinel-1-rtc").items():
        with rasterio.open(root / "S1RTC" / f"{uid}.tif") as file:
            np.testing.assert_array_equal(counts, file.read())
    assert len(corpus.locations) == 5
    assert errors(corpus) == []
