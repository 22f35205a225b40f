"""A folder that has changed since its corpus was made: what is new is added, what is gone or changed is named."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import google_crc32c
import numpy as np
import pyarrow.parquet as pq
import pytest
import rasterio
from affine import Affine

from swath import config, pipeline
from swath.corpus import Corpus
from swath.corpus.sources import _growth, build, new_files
from swath.corpus.sources._growth import Source, Stock, below
from swath.corpus.sources.folder import Config
from swath.corpus.sources.published import eurosat as eurosat_source
from swath.corpus.sources.published import ssl4eo_l
from swath.errors import CorpusError, RecipeError
from tests.corpus.sources import image_layouts as layouts

PX = 8


def tif(folder, name, seed):
    folder.mkdir(exist_ok=True)
    pixels = np.random.default_rng(seed).integers(1, 4000, (3, PX, PX)).astype("uint16") * (seed is not None)
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


# -- corpora of an earlier swath ---------------------------------------------------------------------------------------


def of_an_earlier_swath(target):
    """The same corpus without the note of its files."""
    (target / "files.parquet").unlink()
    return target


@pytest.mark.parametrize("new", [AFTER, BETWEEN, DATE])
def test_new_images_are_found_without_a_note_of_the_files(new, data, tmp_path, capsys):
    target = of_an_earlier_swath(tmp_path / "corpus")
    for number, name in enumerate(new):
        tif(data, name, 10 + number)
    assert new_files(source(), target, data) == {f"{name}.tif" for name in new}
    assert "did not note its files" in " ".join(capsys.readouterr().err.split())
    build(source(), target, data)
    build(source(), tmp_path / "whole", data)
    assert Corpus.open(target).content_hash == Corpus.open(tmp_path / "whole").content_hash
    assert new_files(source(), target, data) == set()


def test_an_image_that_is_gone_is_named_without_a_note_of_the_files(data, tmp_path):
    target = of_an_earlier_swath(tmp_path / "corpus")
    (data / "p3_20210101.tif").unlink()
    for attempt in (build, new_files):
        with pytest.raises(CorpusError, match=r"1 gone: p3_20210101.tif"):
            attempt(source(), target, data)


def test_an_image_that_was_left_out_is_not_new_without_a_note_of_the_files(data, tmp_path):
    """Because it cannot be read, or has no valid pixel."""
    (data / "p2_20210101.tif").write_bytes(b"II*\0 cut off")
    tif(data, DATE[0], None)
    skip = source(on_bad_file="skip")
    build(skip, tmp_path / "whole", data)
    assert len(Corpus.open(tmp_path / "whole").chips) == 2
    target = of_an_earlier_swath(tmp_path / "whole")
    assert new_files(skip, target, data) == set()
    assert "did not note its files" in (target / "log.jsonl").read_text()


# -- published formats -------------------------------------------------------------------------------------------------

CLASSES = eurosat_source.CLASSES


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A published format with one image of each class, its corpus, and the folder with a second image of a class."""
    root = tmp_path_factory.mktemp("published")
    layouts.eurosat(root / "more", CLASSES[:1])
    shutil.copytree(root / "more", root / "data")
    nested = next(path.parent for path in (root / "data").rglob("*.tif"))
    (nested / f"{CLASSES[0]}_2.tif").unlink()
    eurosat = eurosat_source.Config(classes=CLASSES[:1], split="none")
    build(eurosat, root / "corpus", root / "data")
    return root, eurosat


@pytest.fixture
def eurosat(published, tmp_path):
    root, settings = published
    for name in ("data", "corpus", "more"):
        shutil.copytree(root / name, tmp_path / name)
    return settings


@pytest.mark.parametrize("noted", [True, False])
def test_new_files_of_a_published_format(noted, eurosat, tmp_path):
    target = tmp_path / "corpus" if noted else of_an_earlier_swath(tmp_path / "corpus")
    assert Corpus.open(target).locations["uid"].tolist() == [f"{CLASSES[0]}_1", f"{CLASSES[0]}_3"]
    found = new_files(eurosat, target, tmp_path / "more")
    assert {path.rpartition("/")[2] for path in found} == {f"{CLASSES[0]}_2.tif"} if noted else found is None
    build(eurosat, target, tmp_path / "more")
    build(eurosat, tmp_path / "whole", tmp_path / "more")
    assert Corpus.open(target).locations["uid"].tolist() == [f"{CLASSES[0]}_{n}" for n in (1, 2, 3)]
    assert Corpus.open(target).content_hash == Corpus.open(tmp_path / "whole").content_hash
    assert new_files(eurosat, target, tmp_path / "more") == set()


@pytest.mark.parametrize("noted", [True, False])
def test_files_of_a_published_format_that_are_gone(noted, eurosat, tmp_path):
    target = tmp_path / "corpus" if noted else of_an_earlier_swath(tmp_path / "corpus")
    next((tmp_path / "data").rglob(f"{CLASSES[0]}_3.tif")).unlink()
    with pytest.raises(CorpusError, match=rf"{CLASSES[0]}_3"):
        build(eurosat, target, tmp_path / "data")


def test_files_of_a_published_format_by_size_time_and_then_by_what_is_in_them(eurosat, tmp_path):
    target, data = tmp_path / "again", tmp_path / "data"
    build(eurosat, target, data)
    one = next(data.rglob(f"{CLASSES[0]}_3.tif"))
    table = pq.read_table(target / "files.parquet").to_pandas().set_index("name")
    crc = google_crc32c.Checksum(one.read_bytes()).hexdigest().decode()
    assert table.loc[one.relative_to(data).as_posix(), "checksum"] == crc
    os.utime(one, ns=(1, 1))  # a copy of the data set
    assert new_files(eurosat, target, data) == set()
    build(eurosat, target, data)
    one.write_bytes(one.read_bytes()[::-1])
    with pytest.raises(CorpusError, match=rf"1 changed: .*{CLASSES[0]}_3\.tif"):
        build(eurosat, target, data)


def test_why_a_published_format_is_made_anew_is_said(eurosat, tmp_path, capsys):
    build(eurosat, tmp_path / "corpus", tmp_path / "more")
    said = capsys.readouterr().err
    assert "1 new files (" in said
    assert f"{CLASSES[0]}_2.tif) may be of locations that are stored" in said


def test_the_log_that_is_named_is_that_of_the_corpus(eurosat, tmp_path, capsys):
    target, new = tmp_path / "corpus", next((tmp_path / "more").rglob("*.tif"))
    new.with_name("stranger.txt").write_bytes(b"")
    build(eurosat, target, tmp_path / "more")
    assert f"1 notes on what was left out or found: {target / 'log.jsonl'}" in capsys.readouterr().err
    assert (target / "log.jsonl").exists()
    build(eurosat, target, tmp_path / "more")
    assert "notes" not in capsys.readouterr().err


def test_a_file_that_changes_while_it_is_read_has_no_checksum(tmp_path):
    (tmp_path / "corpus").mkdir()
    (tmp_path / "a.tif").write_bytes(b"before")
    stock = Stock(tmp_path / "corpus", {"a.tif": Source(tmp_path / "a.tif")})
    (tmp_path / "a.tif").write_bytes(b"after!")
    os.utime(tmp_path / "a.tif", ns=(1, 1))
    with ThreadPoolExecutor(1) as pool:
        stock.record(pool)
    with pytest.raises(CorpusError, match=r"1 changed: a\.tif"):
        Stock(tmp_path / "corpus", {"a.tif": Source(tmp_path / "a.tif")})


def test_a_run_in_the_data_folder_is_no_data(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.tif").touch()
    (tmp_path / "run" / "corpus").mkdir(parents=True)
    (tmp_path / "run" / "recipe.yaml").touch()
    assert set(below(tmp_path, tmp_path / "run" / "corpus")) == {"images/a.tif"}
    assert set(below(tmp_path, tmp_path.parent / "elsewhere")) == {"images/a.tif", "run/recipe.yaml"}


def test_a_new_date_of_a_stored_location_of_a_published_format(tmp_path):
    settings = ssl4eo_l.Config(splits=("oli_sr",))
    layouts.ssl4eo_l(tmp_path / "data", "oli_sr", 1, px=264)
    kept = max((tmp_path / "data").rglob("all_bands.tif")).parent
    shutil.move(kept, tmp_path / "kept")
    build(settings, tmp_path / "corpus", tmp_path / "data")
    assert len(Corpus.open(tmp_path / "corpus").chips) == 3
    shutil.move(tmp_path / "kept", kept)
    build(settings, tmp_path / "corpus", tmp_path / "data")
    assert len(Corpus.open(tmp_path / "corpus").chips) == 4


# -- runs --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def run(data, tmp_path):
    """Settings of a run on the folder, whose folder looks as if it had trained."""
    recipe = config.load("hls-landcover", [f"data={data}"])
    section = recipe.corpus.model_copy(update={"source": source()})
    recipe = recipe.model_copy(update={"corpus": section})
    folder = tmp_path / "run"
    corpus = pipeline.build_corpus(recipe, folder)
    (folder / "pretrain/arm/seed-0").mkdir(parents=True)
    (folder / "pretrain/arm/seed-0/last.ckpt").touch()
    assert pipeline.build_corpus(recipe, folder).content_hash == corpus.content_hash
    return recipe, folder


def test_a_run_that_has_trained_refuses_new_files(run, data):
    recipe, folder = run
    before = Corpus.open(folder / "corpus").content_hash
    tif(data, AFTER[0], 10)
    with pytest.raises(RecipeError, match=r"1 new files, such as p5_20210101.tif") as error:
        pipeline.build_corpus(recipe, folder)
    assert "--out" in error.value.remedy
    assert Corpus.open(folder / "corpus").content_hash == before
    without = recipe.model_copy(update={"data": None})
    assert pipeline.build_corpus(without, folder).content_hash == before
    shutil.rmtree(folder / "pretrain")
    assert len(pipeline.build_corpus(recipe, folder)) == 3


def test_a_run_that_has_trained_refuses_another_corpus(run, data, tmp_path):
    recipe, folder = run
    tif(data, AFTER[0], 10)
    build(source(), folder / "corpus", data)
    with pytest.raises(RecipeError, match="another than the one that this run has trained on"):
        pipeline.build_corpus(recipe, folder)


def test_a_run_that_has_trained_says_what_cannot_be_told_of_an_earlier_corpus(eurosat, tmp_path, capsys):
    recipe = config.load("hls-landcover", [f"data={tmp_path / 'data'}"])
    recipe = recipe.model_copy(update={"corpus": recipe.corpus.model_copy(update={"source": eurosat})})
    folder = tmp_path / "run"
    folder.mkdir()
    of_an_earlier_swath(tmp_path / "corpus").rename(folder / "corpus")
    (folder / "pretrain/arm/seed-0").mkdir(parents=True)
    (folder / "pretrain/arm/seed-0/last.ckpt").touch()
    assert len(pipeline.build_corpus(recipe, folder)) == 2
    assert "whether others are there now cannot be told" in " ".join(capsys.readouterr().err.split())
    shutil.rmtree(folder / "pretrain")
    shutil.copytree(tmp_path / "more", tmp_path / "data", dirs_exist_ok=True)
    assert len(pipeline.build_corpus(recipe, folder)) == 3
