"""BigEarthNet-MM: bands of three resolutions on one grid, pairs by what the metadata say, multi-labels twice."""

import json

import numpy as np
import pytest
import rasterio

from swath.corpus import Corpus, check
from swath.corpus.sources import build
from swath.corpus.sources.published.bigearthnet_mm import DROPPED, NINETEEN, TO_NINETEEN, Config
from swath.errors import CorpusError
from tests.corpus.sources.image_layouts import read, tif
from tests.corpus.sources.published.formats import bigearthnet_mm as files
from tests.corpus.sources.reading import log, stored

OPTICAL, RADAR = "sentinel-2-l2a", "sentinel-1-grd"
FIRST, SECOND = files.PAIRS


def made(data, target, **settings) -> Corpus:
    build(Config(**settings), target, data)
    return Corpus.open(target)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("bigearthnet")
    files.write(root)
    return root, made(root, root / "corpus")


def test_pixels_equal_rasterios_with_coarse_bands_repeated(written):
    root, corpus = written
    assert corpus.info.sensors[OPTICAL].bands == files.BANDS
    for optical, radar in files.PAIRS.items():
        counts = next(pixels for (uid, _), pixels in stored(corpus, OPTICAL).items() if uid == optical)
        for k, band in enumerate(files.BANDS):
            factor = files.FACTORS.get(band, 1)
            raw = read(root / "BigEarthNet-v1.0" / optical / f"{optical}_{band}.tif")[0]
            np.testing.assert_array_equal(counts[k], raw.repeat(factor, 0).repeat(factor, 1))
        power = next(pixels for (uid, _), pixels in stored(corpus, RADAR).items() if uid == optical)
        for k, band in enumerate(("VV", "VH")):
            raw = read(root / "BigEarthNet-S1-v1.0" / radar / f"{radar}_{band}.tif")[0]
            np.testing.assert_array_equal(power[k], raw)


def test_labels_dates_tiles_and_split_come_along(written):
    _, corpus = written
    row = corpus.locations.set_index("uid").loc[FIRST]
    assert row["labels"] == "Non-irrigated arable land; Rice fields; Airports"
    assert row["labels_19"] == "Arable land"
    assert (row["group"], row["split"]) == ("33UUP", "train")
    assert corpus.locations.set_index("uid").loc[SECOND, "split"] == "test"
    radar = corpus.chips[(corpus.chips["uid"] == FIRST) & (corpus.chips["sensor"] == RADAR)].iloc[0]
    assert str(radar["datetime"]) == "2017-06-13 16:50:43+00:00"
    assert [finding for finding in check(corpus) if finding.level == "error"] == []


def test_the_nomenclatures_are_torchgeos():
    theirs = pytest.importorskip("torchgeo.datasets").BigEarthNet
    assert list(NINETEEN) == theirs.class_sets[19]
    assert {*TO_NINETEEN, *DROPPED} == set(theirs.class_sets[43])
    wanted = {theirs.class_sets[43][old]: theirs.class_sets[19][new] for old, new in theirs.label_converter.items()}
    assert wanted == TO_NINETEEN


def _no_radar(root):
    (root / "BigEarthNet-S1-v1.0" / files.PAIRS[SECOND]).rename(root / "elsewhere")


def _odd_size(root):
    path = root / "BigEarthNet-v1.0" / SECOND / f"{SECOND}_B07.tif"
    path.unlink()
    tif(path, np.ones((1, 50, 50), "uint16"))


def _new_label(root):
    path = root / "BigEarthNet-v1.0" / SECOND / f"{SECOND}_labels_metadata.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"labels": ["Moon"]}))


def _no_json(root):
    (root / "BigEarthNet-S1-v1.0" / files.PAIRS[SECOND] / f"{files.PAIRS[SECOND]}_labels_metadata.json").unlink()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_no_radar, "has no Sentinel-1 patch"),
        (_odd_size, "rows and columns"),
        (_new_label, "has the unknown label 'Moon'"),
        (_no_json, "cannot be read"),
    ],
)
def test_a_bad_patch_stops_or_is_named_in_the_log(tmp_path, spoil, said):
    files.write(tmp_path / "data")
    spoil(tmp_path / "data")
    with pytest.raises(CorpusError, match=said):
        made(tmp_path / "data", tmp_path / "c")
    corpus = made(tmp_path / "data", tmp_path / "c", on_bad_file="skip")
    assert corpus.locations["uid"].tolist() == [FIRST]
    assert any(said in entry["what"] for entry in log(corpus))


def test_the_real_pairs(tmp_path, shared_data):
    root = shared_data / "bigearthnet_mm_examples"
    if not root.is_dir():
        pytest.skip(f"no BigEarthNet examples in {shared_data}")
    corpus = made(root, tmp_path / "c")
    assert len(corpus.locations) == 6
    assert corpus.locations["labels_19"].str.len().min() > 0
    for (uid, _), counts in stored(corpus, OPTICAL).items():
        for band, factor in (("B02", 1), ("B12", 2), ("B01", 6)):
            with rasterio.open(root / "BigEarthNet-S2-Example" / uid / f"{uid}_{band}.tif") as file:
                raw = file.read(1).repeat(factor, 0).repeat(factor, 1)
            np.testing.assert_array_equal(counts[corpus.info.sensors[OPTICAL].bands.index(band)], raw)
    assert [finding for finding in check(corpus) if finding.level == "error"] == []
