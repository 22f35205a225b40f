"""SSL4EO-L Benchmark: torchgeo's split, classes and colours, on files in its layout."""

import shutil

import numpy as np
import pytest
from torchgeo.datasets import CDL, NLCD, SSL4EOLBenchmark

from swath.corpus.sources.published import ssl4eo_l_benchmark as source
from swath.errors import CorpusError
from tests.corpus.sources.image_layouts import noise, read, ssl4eo_l_benchmark, tif
from tests.corpus.sources.reading import log, made
from tests.corpus.sources.reading import stored as counts


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark")
    ssl4eo_l_benchmark(folder, "oli_sr", 21)
    return folder


def test_split_pixels_and_masks_are_torchgeos(data, tmp_path):
    corpus = made("ssl4eo-l-benchmark", data, tmp_path / "c", sensor="oli_sr")
    stored = counts(corpus, "landsat-oli-sr")
    date = corpus.chips["datetime"].dt.strftime("%Y-%m-%d").iloc[0]
    rows = {uid: row for row, uid in enumerate(corpus.locations["uid"])}
    for product in ("nlcd", "cdl"):
        kept = [0, *source.FREQUENT[product]]
        layer = corpus.label_layers[product]
        for part, size in (("train", 14), ("val", 3), ("test", 4)):
            peer = SSL4EOLBenchmark(data, sensor="oli_sr", product=product, split=part, classes=kept)
            uids = [path.split("/")[-3] for path, _ in peer.sample_collection]
            assert len(uids) == size
            assert set(corpus.locations["uid"][corpus.locations["split"] == part]) == set(uids)
            for index, uid in enumerate(uids[:3]):
                np.testing.assert_array_equal(stored[uid, date], peer[index]["image"].numpy())
                codes = corpus.labels(product, [rows[uid]])[0]
                np.testing.assert_array_equal(np.array(kept)[peer[index]["mask"].numpy()], codes)
        assert list(layer.classes) == kept[1:]
        assert layer.void == 0


@pytest.mark.parametrize(("product", "peer"), [("nlcd", NLCD), ("cdl", CDL)])
def test_all_classes_have_torchgeos_codes_and_colours(product, peer):
    layer = source.LEGENDS[product]
    expected = {code: "#{:02x}{:02x}{:02x}".format(*colour[:3]) for code, colour in peer.cmap.items() if code != 0}
    assert layer.colours == expected
    assert set(layer.classes) == set(expected)
    assert len(set(layer.classes.values())) == len(layer.classes)
    assert SSL4EOLBenchmark.year_dict == source.YEARS


@pytest.mark.parametrize("count", [1, 5, 20, 101])
def test_every_image_has_a_part(count):
    parts = source.split(count)
    assert set(parts) <= {"train", "val", "test"}
    assert parts.count("train") == int(0.7 * count)


def test_all_classes_and_one_product(data, tmp_path):
    corpus = made("ssl4eo-l-benchmark", data, tmp_path / "c", sensor="oli_sr", products=["cdl"], classes="all")
    uid = corpus.locations["uid"][0]
    mask = read(next((data / "ssl4eo_l_oli_cdl" / uid).rglob("*.tif")))[0]
    np.testing.assert_array_equal(corpus.labels("cdl", [0])[0], mask)
    assert len(corpus.label_layers["cdl"].classes) == 133
    assert set(corpus.label_layers) == {"cdl"}


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("missing", "is missing"),
        ("code", "holds the code 7"),
    ],
)
def test_a_bad_mask_is_an_error_or_left_out(data, tmp_path, how, words):
    shutil.copytree(data, tmp_path / "in")
    path = next((tmp_path / "in/ssl4eo_l_oli_nlcd/0000003").rglob("*.tif"))
    if how == "missing":
        path.unlink()
    else:
        tif(path, np.full((1, 264, 264), 7, "uint8"), None)
    with pytest.raises(CorpusError, match=words):
        made("ssl4eo-l-benchmark", tmp_path / "in", tmp_path / "c", sensor="oli_sr")
    corpus = made("ssl4eo-l-benchmark", tmp_path / "in", tmp_path / "d", sensor="oli_sr", on_bad_file="skip")
    assert len(corpus) == 20
    assert log(corpus)[0]["id"] == "0000003"


def test_the_wrong_sensor_and_a_second_scene(data, tmp_path):
    with pytest.raises(CorpusError, match="ssl4eo_l_tm_toa_benchmark"):
        made("ssl4eo-l-benchmark", data, tmp_path / "c", sensor="tm_toa")
    shutil.copytree(data, tmp_path / "in")
    tif(tmp_path / "in/ssl4eo_l_oli_sr_benchmark/0000003/LC08_001001_20180101/all_bands.tif", noise(0, (7, 264, 264)))
    with pytest.raises(CorpusError, match="0000003 has two scenes"):
        made("ssl4eo-l-benchmark", tmp_path / "in", tmp_path / "c", sensor="oli_sr")
