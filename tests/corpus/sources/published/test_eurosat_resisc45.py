"""EuroSAT and RESISC45: band order, classes, splits, and what may be wrong with the files."""

import shutil

import numpy as np
import pytest
from torchgeo.datasets import RESISC45, EuroSAT, EuroSAT100, EuroSATSpatial

from swath.corpus.sources.published import eurosat as eurosat_source
from swath.corpus.sources.published import resisc45 as resisc45_source
from swath.errors import CorpusError, RecipeError
from tests.corpus.sources.image_layouts import eurosat, noise, read, resisc45, tif
from tests.corpus.sources.reading import log, made
from tests.corpus.sources.reading import stored as counts

NESTED = "ds/images/remote_sensing/otherDatasets/sentinel_2/tif"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("eurosat")
    eurosat(root, eurosat_source.CLASSES)
    return root, made("eurosat", root, root / "c")


def test_the_eighth_band_a_is_put_where_the_sensor_has_it(written):
    root, corpus = written
    bands = corpus.info.sensors["sentinel-2-l1c"].bands
    assert bands[7:10] == ("B08", "B8A", "B09")
    for (uid, _), pixels in counts(corpus, "sentinel-2-l1c").items():
        file = read(root / NESTED / uid.partition("_")[0] / f"{uid}.tif")
        for band, one in zip(bands, pixels, strict=True):
            np.testing.assert_array_equal(one, file[EuroSAT.all_band_names.index(band)])


def test_eurosats_pixels_and_labels_are_torchgeos(written):
    root, corpus = written
    stored = counts(corpus, "sentinel-2-l1c")
    layout = corpus.info.sensors["sentinel-2-l1c"]
    for part in ("train", "val", "test"):
        peer = EuroSAT(root, split=part, bands=layout.bands)
        assert peer.classes == list(eurosat_source.CLASSES)
        rows = corpus.locations[corpus.locations["split"] == part]
        assert len(rows) == len(peer) == 10
        for k, (path, label) in enumerate(peer.samples):
            uid = path.rpartition("/")[2].removesuffix(".tif")
            assert rows.set_index("uid").loc[uid, "class"] == peer.classes[label]
            np.testing.assert_array_equal(stored[uid, None], peer[k]["image"].numpy())


def test_lists_are_named_as_torchgeo_names_them():
    for peer, name in ((EuroSAT, "eurosat"), (EuroSATSpatial, "eurosat-spatial"), (EuroSAT100, "eurosat-100")):
        assert peer.split_filenames == {part: f"{name}-{part}.txt" for part in ("train", "val", "test")}
        eurosat_source.Config(split=name)
    assert {url.rpartition("/")[2] for url in RESISC45.split_urls.values()} == {
        f"resisc45-{part}.txt" for part in ("train", "val", "test")
    }


def test_eurosat_knows_where_it_is(tmp_path):
    eurosat(tmp_path, ("River",), nested="EuroSAT_MS")
    corpus = made("eurosat", tmp_path, tmp_path / "c", split="none", classes=("River",))
    assert corpus.locations["crs"].unique().tolist() == ["EPSG:32632"]
    assert corpus.locations["split"].isna().all()
    assert corpus.info.sensors["sentinel-2-l1c"].gsd_m == 10


def test_a_cirrus_band_of_0_is_data(tmp_path):
    eurosat(tmp_path, ("River",))
    path = tmp_path / NESTED / "River" / "River_1.tif"
    pixels = read(path)
    pixels[9] = 0
    tif(path, pixels)
    corpus = made("eurosat", tmp_path, tmp_path / "c", classes=("River",))
    assert (corpus.chips["valid"] == 1).all()


def test_resisc45(tmp_path):
    resisc45(tmp_path, resisc45_source.CLASSES)
    corpus = made("resisc45", tmp_path, tmp_path / "c", gsd_m=0.5)
    stored = counts(corpus, "display-optical")
    assert len(stored) == 3 * 45
    for uid, _ in stored:
        file = read(tmp_path / "NWPU-RESISC45" / uid.rpartition("_")[0] / f"{uid}.jpg")
        np.testing.assert_array_equal(stored[uid, None], file)
    for part in ("train", "val", "test"):
        peer = RESISC45(tmp_path, split=part)
        assert peer.classes == list(resisc45_source.CLASSES)
        rows = corpus.locations[corpus.locations["split"] == part].set_index("uid")
        expected = {path.rpartition("/")[2].removesuffix(".jpg"): peer.classes[label] for path, label in peer.samples}
        assert rows["class"].to_dict() == expected
    assert corpus.locations["crs"].isna().all()


def test_missing_lists_images_and_classes(tmp_path):
    eurosat(tmp_path, eurosat_source.CLASSES)
    (tmp_path / NESTED / "River" / "River_2.tif").unlink()
    with pytest.raises(CorpusError, match="1 images that the lists name are missing, such as River_2"):
        made("eurosat", tmp_path, tmp_path / "c")
    (tmp_path / "eurosat-val.txt").unlink()
    with pytest.raises(CorpusError, match=r"eurosat-val.txt of the split is missing") as error:
        made("eurosat", tmp_path, tmp_path / "c")
    assert "split=none" in str(error.value)
    assert len(made("eurosat", tmp_path, tmp_path / "c", split="none")) == 29
    shutil.rmtree(tmp_path / NESTED / "River")
    with pytest.raises(CorpusError, match="no folder of the class River"):
        made("eurosat", tmp_path, tmp_path / "d", split="none")
    with pytest.raises(CorpusError, match="no folder NWPU-RESISC45"):
        made("resisc45", tmp_path, tmp_path / "e")


def test_a_stated_part_of_the_classes(written, tmp_path):
    root, corpus = written
    shutil.copytree(root, tmp_path, ignore=shutil.ignore_patterns("c", "AnnualCrop"), dirs_exist_ok=True)
    whole = corpus.locations.set_index("uid")
    with pytest.raises(CorpusError, match="no folder") as error:
        made("eurosat", tmp_path, tmp_path / "d")
    assert "classes=[...]" in str(error.value)
    part = made("eurosat", tmp_path, tmp_path / "d", classes=("River", "Forest"))
    kept = whole[whole["class"].isin(["River", "Forest"])]
    assert part.locations.set_index("uid")["split"].equals(kept["split"])
    assert part.info.provenance[0]["settings"]["classes"] == ["River", "Forest"]
    with pytest.raises(RecipeError, match=r"no class is called 'Rivers'(.|\n)*did you mean 'River'"):
        made("eurosat", tmp_path, tmp_path / "e", classes=("Rivers",))


def test_a_stated_part_of_resisc45(tmp_path):
    resisc45(tmp_path, ("airport", "beach", "forest"))
    corpus = made("resisc45", tmp_path, tmp_path / "c", classes=("beach", "forest"))
    assert corpus.locations["uid"].tolist() == [f"{name}_{n:03d}" for name in ("beach", "forest") for n in (1, 2, 3)]
    assert corpus.locations["split"].tolist() == ["train", "val", "test"] * 2
    assert set(corpus.locations["class"]) == {"beach", "forest"}
    with pytest.raises(RecipeError, match=r"no class is called 'beech'(.|\n)*did you mean 'beach'"):
        made("resisc45", tmp_path, tmp_path / "d", classes=("beech",))


def test_extra_files_are_named_in_the_log(tmp_path):
    resisc45(tmp_path, resisc45_source.CLASSES)
    (tmp_path / "NWPU-RESISC45" / "zoo").mkdir()
    (tmp_path / "NWPU-RESISC45" / "airport" / "Thumbs.db").touch()
    shutil.copy(tmp_path / "NWPU-RESISC45/airport/airport_001.jpg", tmp_path / "NWPU-RESISC45/airport/airport_007.jpg")
    corpus = made("resisc45", tmp_path, tmp_path / "c")
    assert [(e["event"], e["id"]) for e in log(corpus)] == [
        ("extra file", "zoo"),
        ("extra file", "Thumbs.db"),
        ("left out", "airport_007"),
    ]
    assert len(corpus) == 135


@pytest.mark.parametrize(("shape", "words"), [((12, 64, 64), "bands: 12"), ((13, 32, 64), "rows and columns")])
def test_an_image_of_another_shape_is_an_error(written, tmp_path, shape, words):
    root, _ = written
    shutil.copytree(root, tmp_path / "in", ignore=shutil.ignore_patterns("c"))
    tif(tmp_path / "in" / NESTED / "Forest" / "Forest_1.tif", noise(0, shape, dtype="uint16"))
    with pytest.raises(CorpusError, match=words):
        made("eurosat", tmp_path / "in", tmp_path / "c")
