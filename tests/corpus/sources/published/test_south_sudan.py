"""South Sudan: archives with time last and newest first."""

import json

import numpy as np
import pytest

from swath.corpus import Corpus, check
from swath.corpus.sources import build
from swath.corpus.sources.published.south_sudan import Config
from swath.errors import CorpusError
from tests.corpus.sources.published.formats import south_sudan as files
from tests.corpus.sources.reading import labels, log, stored, valid

OPTICAL, RADAR = "sentinel-2-l1c", "sentinel-1-grd"


def made(data, target, **settings) -> Corpus:
    build(Config(**settings), target, data)
    return Corpus.open(target)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("southsudan")
    return files.write(root), made(root, root / "corpus")


def test_every_pixel_has_its_date(written):
    folder, corpus = written
    optical, radar = stored(corpus, OPTICAL), stored(corpus, RADAR)
    for number in files.IDS:
        uid = f"{number:06d}"
        images = np.load(folder / "npy" / f"southsudan_{uid}.npz")
        for k, date in enumerate(files.DATES["s2"]):
            np.testing.assert_array_equal(optical[uid, date], images["s2"][:10, :, :, k])
        for k, date in enumerate(files.DATES["s1"]):
            np.testing.assert_array_equal(radar[uid, date], images["s1"][:2, :, :, k].astype("float32"))
    assert not valid(corpus, OPTICAL)["000001", "2017-06-02"][:2, :2].any()
    for _, series in corpus.chips.groupby(["uid", "sensor"]):
        assert series["datetime"].is_monotonic_increasing


def test_four_crops_are_judged_and_the_split_is_given(written):
    folder, corpus = written
    truth = np.load(folder / "truth" / "southsudan_000017.npz")["truth"]
    np.testing.assert_array_equal(labels(corpus, "crop")["000017"], np.where(truth > 4, 0, truth))
    assert corpus.label_layers["crop"].classes == {1: "Sorghum", 2: "Maize", 3: "Rice", 4: "Groundnut"}
    assert corpus.locations["split"].tolist() == ["train", "val", "test"]
    assert [finding for finding in check(corpus) if finding.level == "error"] == []


def test_the_level_can_be_said(written, tmp_path):
    folder, _ = written
    assert "sentinel-2-l2a" in made(folder, tmp_path / "c", level="l2a").info.sensors


def _damaged(folder):
    path = folder / "npy" / "southsudan_000017.npz"
    content = bytearray(path.read_bytes())
    content[2000:2400] = bytes(400)
    path.write_bytes(content)


def _no_truth(folder):
    (folder / "truth" / "southsudan_000017.npz").unlink()


def _fewer_dates(folder):
    path = folder / "s2" / "s2_southsudan_000017.json"
    path.write_text(json.dumps({"dates": files.DATES["s2"][:1]}))


def _no_dates(folder):
    (folder / "s1" / "s1_southsudan_000017.json").write_text("[]")


def _fractions(folder):
    path = folder / "npy" / "southsudan_000017.npz"
    with np.load(path) as images:
        arrays = dict(images)
    np.savez(path, **arrays | {"s2": arrays["s2"] / 1e4})


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_damaged, "that can be read"),
        (_no_truth, "is missing"),
        (_fewer_dates, "has 2 images in s2, but s2_southsudan_000017.json lists 1 dates"),
        (_no_dates, "says dates that cannot be understood"),
        (_fractions, "no whole numbers"),
    ],
)
def test_a_bad_file_stops_or_is_named_in_the_log(tmp_path, spoil, said):
    folder = files.write(tmp_path)
    spoil(folder)
    with pytest.raises(CorpusError, match=said):
        made(tmp_path, tmp_path / "c")
    corpus = made(tmp_path, tmp_path / "c", on_bad_file="skip")
    assert corpus.locations["uid"].tolist() == ["000001", "000230"]
    assert [entry["id"] for entry in log(corpus)] == ["000017"]


def test_a_folder_without_the_list(tmp_path):
    with pytest.raises(CorpusError, match="the list of the split cannot be read"):
        made(tmp_path, tmp_path / "c")
