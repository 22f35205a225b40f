"""A folder that has changed since its corpus was made: what is new is added, what is gone or changed is named."""

import os
import shutil

import numpy as np
import pytest
import rasterio
from affine import Affine

from swath import config
from swath.corpus import Corpus
from swath.corpus.sources import _growth, build, new_files
from swath.corpus.sources.folder import Config
from swath.errors import CorpusError

PX = 8


def tif(folder, name, seed):
    folder.mkdir(exist_ok=True)
    pixels = np.random.default_rng(seed).integers(1, 4000, (3, PX, PX)).astype("uint16")
    place = Affine(10, 0, 5e5 + 1000 * int(name[1]), 0, -10, 5.6e6)
    described = {"width": PX, "height": PX, "count": 3, "dtype": "uint16", "crs": "EPSG:32632", "transform": place}
    with rasterio.open(folder / f"{name}.tif", "w", driver="GTiff", **described) as file:
        file.write(pixels)


def source(**changes):
    section = {
        "name": "folder",
        "chip_px": PX,
        "images": [
            {
                "files": "*.tif",
                "id": r"(?P<id>p\d)_(?P<date>\d{8})",
                "sensor": "sentinel-2-l2a",
                "bands": ["B02", "B03", "B04"],
            }
        ],
    }
    return Config.model_validate({**section, **changes})


FIRST = ("p1_20210101", "p3_20210101")
AFTER = ("p5_20210101", "p4_20210101")
BETWEEN = ("p2_20210101",)
DATE = ("p1_20210601",)


@pytest.fixture
def data(tmp_path):
    for number, name in enumerate(FIRST):
        tif(tmp_path / "data", name, number)
    build(source(), tmp_path / "corpus", tmp_path / "data")
    return tmp_path / "data"


@pytest.mark.parametrize("new", [AFTER, BETWEEN, DATE, AFTER + BETWEEN + DATE])
def test_new_files_give_the_corpus_of_one_ingest_of_all(new, data, tmp_path):
    for number, name in enumerate(new):
        tif(data, name, 10 + number)
    assert len(new_files(source(), tmp_path / "corpus", data)) == len(new)
    build(source(), tmp_path / "corpus", data)
    build(source(), tmp_path / "whole", data)
    grown, whole = Corpus.open(tmp_path / "corpus"), Corpus.open(tmp_path / "whole")
    assert len(grown.chips) == len(FIRST) + len(new)
    assert grown.content_hash == whole.content_hash
    assert grown.chips.equals(whole.chips)
    assert new_files(source(), tmp_path / "corpus", data) == set()
    assert {path.name for path in tmp_path.iterdir()} == {"data", "corpus", "whole"}


def test_what_is_after_all_others_is_appended_and_nothing_is_read_again(data, tmp_path, monkeypatch):
    monkeypatch.setattr(_growth, "anew", None)
    tif(data, AFTER[0], 10)
    build(source(), tmp_path / "corpus", data)
    assert Corpus.open(tmp_path / "corpus").locations["uid"].tolist() == ["p1", "p3", "p5"]
    written = (tmp_path / "corpus" / "corpus.json").stat().st_mtime_ns
    build(source(), tmp_path / "corpus", data)
    assert (tmp_path / "corpus" / "corpus.json").stat().st_mtime_ns == written


def test_a_killed_exchange_ends_with_the_new_corpus(data, tmp_path):
    tif(data, BETWEEN[0], 10)
    target = tmp_path / "corpus"
    build(source(), tmp_path / ".corpus.new", data)
    target.rename(tmp_path / ".corpus.old")
    build(source(), target, data)
    assert Corpus.open(target).locations["uid"].tolist() == ["p1", "p2", "p3"]
    assert {path.name for path in tmp_path.iterdir()} == {"data", "corpus"}


def test_files_that_are_gone_or_changed_are_named(data, tmp_path):
    shutil.copytree(data, tmp_path / "kept")
    (data / "p1_20210101.tif").unlink()
    tif(data, "p3_20210101", 99)
    for attempt in (build, new_files):
        with pytest.raises(CorpusError, match=r"1 gone: p1_20210101.tif; 1 changed: p3_20210101.tif"):
            attempt(source(), tmp_path / "corpus", data)
    shutil.rmtree(data)
    shutil.copytree(tmp_path / "kept", data)  # what is in them is what it was
    os.utime(data / "p1_20210101.tif", (1, 1))
    build(source(), tmp_path / "corpus", data)
    assert len(Corpus.open(tmp_path / "corpus")) == 2


def test_a_folder_that_is_not_there(data, tmp_path):
    with pytest.raises(CorpusError, match="it is not there"):
        build(source(), tmp_path / "corpus", tmp_path / "elsewhere")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"chip_px": 4}, "chip_px: was 8, is 4"),
        ({"compression": "none"}, "compression: was fast, is none"),
        ({"licences": ["CC0-1.0"]}, "licences"),
    ],
)
def test_other_settings_are_an_error_that_names_them(change, says, data, tmp_path):
    with pytest.raises(CorpusError, match=says) as error:
        build(source(**change), tmp_path / "corpus", data)
    assert "another folder" in error.value.remedy
    build(source(on_bad_file="skip"), tmp_path / "corpus", data)


def test_another_source_is_an_error(data, tmp_path):
    with pytest.raises(CorpusError, match="made from folder, not terramesh"):
        build(config.resolve_source("terramesh", []), tmp_path / "corpus", data)


def test_a_mended_file_is_added(data, tmp_path):
    (data / "p2_20210101.tif").write_bytes(b"II*\0 cut off")
    skip = source(on_bad_file="skip")
    build(skip, tmp_path / "corpus", data)
    assert len(Corpus.open(tmp_path / "corpus")) == 2
    (data / "p2_20210101.tif").unlink()
    tif(data, "p2_20210101", 5)
    build(skip, tmp_path / "corpus", data)
    assert Corpus.open(tmp_path / "corpus").locations["uid"].tolist() == ["p1", "p2", "p3"]
