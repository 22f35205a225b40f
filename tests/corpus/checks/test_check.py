import datetime as dt
import json
import shutil

import numpy as np
import pandas as pd
import pytest
import zarr

from swath.corpus import Chip, Corpus, CorpusWriter, Location, Part, Reader, SensorLayout, check, info
from swath.corpus.checks import Sample, copies, dates, values
from swath.errors import CorpusError
from tests.corpus.fakes import LAYOUTS, OPTICAL, PX, RADAR, make, resealed


@pytest.fixture(scope="module")
def undamaged(tmp_path_factory):
    return make(tmp_path_factory.mktemp("undamaged") / "corpus").path


@pytest.fixture
def corpus(undamaged, tmp_path):
    return Corpus.open(shutil.copytree(undamaged, tmp_path / "corpus"))


def messages(corpus: Corpus, level: str) -> str:
    return "\n".join(str(finding) for finding in check(corpus) if finding.level == level)


def array(corpus: Corpus, *where: str) -> zarr.Array:
    return zarr.open_group(corpus.path.joinpath(*where[:-1]))[where[-1]]


def test_a_good_corpus_has_no_findings(corpus):
    assert check(corpus) == []


def test_missing_arrays(corpus):
    for folder in ("pixels", "labels", "valid"):
        shutil.rmtree(corpus.path / folder)
    found = messages(corpus, "error")
    for name in (f"pixels/{OPTICAL}", f"pixels/{RADAR}", f"valid/{OPTICAL}", "labels/cover"):
        assert name in found


def test_index_rows_beyond_the_array(corpus):
    array(corpus, "pixels", f"{RADAR}.zarr", "pixels").resize((30, 2, PX, PX))
    assert "36 rows of pixels, 30 are there" in messages(corpus, "error")


@pytest.mark.parametrize("damage", [lambda raw: raw[: len(raw) // 2], lambda raw: raw[:-3] + b"abc", lambda _: b""])
def test_damaged_files_are_named_and_no_reader_falls_over_them(corpus, damage):
    file = next(path for path in (corpus.path / "pixels" / f"{RADAR}.zarr").rglob("c/**/*") if path.is_file())
    file.write_bytes(damage(file.read_bytes()))
    found = [finding for finding in check(corpus) if finding.level == "error"]
    assert [finding.where for finding in found] == [str(file)]
    reader = Reader(corpus, {RADAR: ("VV", "VH")})
    with pytest.raises(CorpusError, match="a file of the corpus is damaged") as error:
        reader.batch(np.arange(2))
    assert error.value.where == str(file)


def test_a_missing_file_is_named(corpus):
    file = next(path for path in (corpus.path / "pixels" / f"{OPTICAL}.zarr").rglob("c/**/*") if path.is_file())
    file.unlink()
    named = [finding for finding in check(corpus) if finding.where == str(file)]
    assert [finding.level for finding in named] == ["error"]
    assert "it is not there" in named[0].what


def test_duplicate_ids_and_chips_of_nowhere(corpus):
    chips = corpus.chips.copy()
    chips.loc[0, "location"] = 99
    locations = corpus.locations.copy()
    locations.loc[1, "uid"] = "l0000"
    found = messages(Corpus(corpus.path, corpus.info, locations, chips), "error")
    assert "two locations have the id 'l0000'" in found
    assert "1 chips belong to no location" in found


def test_unmarked_nan_and_nodata(corpus):
    array(corpus, "pixels", f"{RADAR}.zarr", "pixels")[3, 1, 4, 4] = np.nan
    array(corpus, "pixels", f"{OPTICAL}.zarr", "pixels")[5, 1, 4, 4] = 0
    found = messages(resealed(corpus.path), "error")
    assert f"{RADAR}: l0001" in found
    assert f"{OPTICAL}: l0001" in found
    assert found.count("not marked as invalid") == 2


def test_copies_of_places_are_told_from_steps_of_a_series(tmp_path):
    """A composite that repeats where nothing new was seen is no copy of a file."""
    rng = np.random.default_rng(0)
    counts = {name: rng.integers(1, 4000, (4, PX, PX)).astype(np.uint16) for name in "abc"}

    def chip(uid, pixels, day, source):
        return Chip(uid, OPTICAL, counts[pixels], datetime=dt.datetime(2021, 6, day), source=source)

    steps = [chip("a", "a", 1, "a1"), chip("a", "a", 11, "a2"), chip("b", "b", 1, "b1"), chip("c", "c", 1, "c1")]

    def found(name, *more):
        with CorpusWriter(tmp_path / name, LAYOUTS, PX) as w:
            w.append(Part([Location(uid) for uid in "abc"], [*steps, *more]))
            section = copies.inspect(Sample(w.finish(), None, 0))
        return [finding.what for finding in section.findings]

    repeated = "2 chips have the same pixels as another date of their own series"
    assert found("series") == [repeated]
    assert found("place", chip("c", "b", 1, "copy")) == ["2 chips have the same pixels as another", repeated]
    twice = "2 chips have the same pixels as another"
    assert found("file", chip("b", "b", 1, "again")) == [twice, repeated]


def test_undeclared_codes(corpus):
    array(corpus, "labels", "cover.zarr", "labels")[4, 0, 0] = 9
    assert "not declared: 9" in messages(resealed(corpus.path), "error")
    with pytest.raises(CorpusError, match=r"the code 9 at 1 pixels, which is not declared(.|\n)*cover.zarr.*l0004"):
        corpus.labels("cover", range(6))


def test_stale_statistics(corpus):
    array(corpus, "pixels", f"{OPTICAL}.zarr", "pixels")[2, 3] = 1234
    found = messages(resealed(corpus.path), "error")
    assert f"{OPTICAL}/B08" in found
    assert f"{OPTICAL}/B02" not in found


def test_a_band_that_is_the_same_everywhere_is_said_although_its_deviation_is_not_0(tmp_path):
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 4000, (7, 4, PX, PX)).astype(np.uint16)
    counts[:, 0] = 1
    chips = [Chip(f"l{i}", OPTICAL, one) for i, one in enumerate(counts)]
    with CorpusWriter(tmp_path / "c", {OPTICAL: LAYOUTS[OPTICAL]}, PX) as writer:
        writer.append(Part([Location(chip.uid) for chip in chips], chips))
        corpus = writer.finish()
    assert 0 < corpus.statistics[OPTICAL]["B02"].std < 1e-15
    found = [finding for finding in check(corpus, locations=2) if "everywhere" in finding.what]
    assert [(f.level, f.where) for f in found] == [("warning", f"{OPTICAL}/B02")]
    assert "0.0001 everywhere" in found[0].what
    assert [row["std"] == "0 (constant)" for row in info(corpus)["bands"]] == [True, False, False, False]


def test_an_empty_chip_copies_and_implausible_values_are_warnings(tmp_path):
    layout = SensorLayout(bands=("VV", "VH"), gsd_m=10, dtype="float32")
    rng = np.random.default_rng(0)
    good = rng.normal(-12, 2, (2, PX, PX)).astype(np.float32)
    linear = np.stack([good[0], 10 ** (good[1] / 10) * 1e4])
    chips = [
        Chip("a", RADAR, good, source="one.tif"),
        Chip("b", RADAR, good, source="copy.tif"),
        Chip("c", RADAR, np.full_like(good, np.nan), source="empty.tif"),
        Chip("d", RADAR, linear, source="linear.tif"),
    ]
    with CorpusWriter(tmp_path / "c", {RADAR: layout}, PX) as writer:
        writer.append(Part([Location(uid) for uid in "abcde"], chips))
        corpus = writer.finish()
    found = messages(corpus, "warning")
    assert "1 of 4 chips have no usable pixel" in found
    assert "empty.tif" in found
    assert "2 chips have the same pixels" in found
    assert "copy.tif" in found
    assert "1 locations have no chip" in found
    assert f"{RADAR}/VH" in found
    assert f"{RADAR}/VV" not in found
    assert messages(corpus, "error") == ""


@pytest.mark.parametrize(("px", "levels"), [(1, set()), (16, {"error", "warning"})])
def test_a_single_pixel_may_be_bright_on_one_date_and_dark_on_the_next(tmp_path, px, levels):
    with CorpusWriter(tmp_path / "corpus", LAYOUTS, px) as w:
        chips = []
        for day, (counts, power) in enumerate([(2, -14.0), (9000, 3.0)], start=1):
            when = dt.datetime(2021, 1, day, tzinfo=dt.UTC)
            chips.append(Chip("one", OPTICAL, np.full((4, px, px), counts, np.uint16), datetime=when))
            chips.append(Chip("one", RADAR, np.full((2, px, px), power, np.float32), datetime=when))
        w.append(Part([Location("one")], chips))
        corpus = w.finish()
    section = dates.inspect(Sample(corpus))
    assert {finding.level for finding in section.findings} == levels
    assert ("nothing to compare" in section.idle) == (px == 1)


def test_a_series_stands_once_among_the_copies(tmp_path):
    with CorpusWriter(tmp_path / "corpus", LAYOUTS, 1) as w:
        for uid in ("one", "two"):
            days = [dt.datetime(2021, 1, day, tzinfo=dt.UTC) for day in (1, 2)]
            chips = [
                Chip(uid, OPTICAL, np.full((4, 1, 1), 500, np.uint16), datetime=day, source="a.parquet") for day in days
            ]
            w.append(Part([Location(uid)], chips))
        corpus = w.finish()
    (found,) = copies.inspect(Sample(corpus)).findings
    assert found.what == "4 chips have the same pixels as another"
    assert found.where == f"one {OPTICAL} a.parquet, two {OPTICAL} a.parquet"


def test_an_unfinished_corpus_is_a_warning(corpus):
    content = json.loads((corpus.path / "corpus.json").read_text())
    half = Corpus(corpus.path, corpus.info.model_copy(update={"complete": False}), corpus.locations, corpus.chips)
    assert "not finished" in messages(half, "warning")
    assert content["complete"]


def test_info_tells_what_is_there(corpus):
    tables = info(corpus)
    assert tables["corpus"]["locations"] == 12
    assert tables["corpus"]["content hash"] == corpus.content_hash
    assert [row["sensor"] for row in tables["sensors"]] == [OPTICAL, RADAR]
    assert tables["sensors"][0]["dates"] == "2021-01-01 … 2021-07-01"
    assert len(tables["bands"]) == 6
    assert tables["bands"][0]["unit"] == "reflectance"
    assert tables["labels"] == [{"layer": "cover", "classes": "water, forest", "void": "0"}]
    assert all(len({*row}) == len(row) for row in tables["bands"])


def test_info_of_a_corpus_without_dates_places_and_statistics(tmp_path):
    layout = SensorLayout(bands=("VV", "VH"), gsd_m=10, dtype="float32")
    with CorpusWriter(tmp_path / "c", {RADAR: layout}, PX) as writer:
        writer.append(Part([Location("a", split="train")], [Chip("a", RADAR, np.ones((2, PX, PX), np.float32))]))
        tables = info(Corpus.open(tmp_path / "c"))
    assert tables["corpus"]["where"] == "unknown"
    assert tables["corpus"]["given split"] == "train 1"
    assert tables["sensors"][0]["dates"] == "unknown"
    assert tables["bands"][0]["mean"] == "-"
    assert "labels" not in tables
    assert isinstance(pd.DataFrame(tables["bands"]), pd.DataFrame)


def test_half_precision_has_no_filler_that_it_cannot_hold():
    counts = np.zeros((1, 2, 4, 4), np.float16)
    counts[0, 1, 0] = -32768
    shares = values._filled(counts, np.ones((1, 4, 4), bool))
    assert dict(zip(values.FILLERS, shares[1].tolist(), strict=True)) == {
        value: {0: 12.0, -32768: 4.0}.get(value, 0.0) for value in values.FILLERS
    }
