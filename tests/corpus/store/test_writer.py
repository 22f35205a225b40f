import datetime as dt
import json
import os
import random
import shutil
import signal
import time
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from swath.corpus import FORMAT, Chip, Corpus, CorpusWriter, LabelLayer, Location, Part, SensorLayout, check
from swath.corpus.store import arrays as _arrays
from swath.corpus.store import index as _index
from swath.errors import CorpusError, RecipeError
from tests.corpus.fakes import COVER, LAYOUTS, OPTICAL, PX, RADAR, location, make, part, writer

BUILD = """
from pathlib import Path
from tests.corpus import fakes
fakes.make(Path({target!r}), count=24, step=2)
"""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Corpus:
    return make(tmp_path_factory.mktemp("whole") / "corpus", count=24, step=2)


def frames_equal(one: Corpus, other: Corpus) -> bool:
    return one.chips.equals(other.chips) and one.locations.equals(other.locations)


def test_a_build_killed_anywhere_opens_and_continues_to_the_same_corpus(undisturbed, tmp_path, forks):
    """Real `kill -9` at random moments, again and again."""
    target = tmp_path / "corpus"
    chance = random.Random(0)
    kills = 0
    for _ in range(12):
        child = forks.start(BUILD.format(target=str(target)), "tests.corpus.fakes")
        time.sleep(chance.uniform(0.01, 0.3))
        with suppress(ProcessLookupError):  # it may have got to its end
            os.kill(child, signal.SIGKILL)
        kills += forks.wait() == -signal.SIGKILL
        if (target / "corpus.json").exists():
            half = Corpus.open(target)
            if len(half):  # the array of an empty corpus may not be there yet
                half.labels("cover", range(len(half)))
            assert half.locations["uid"].tolist() == undisturbed.locations["uid"].tolist()[: len(half)]
            if half.info.complete:
                shutil.rmtree(target)
    assert kills > 3
    whole = make(target, count=24, step=2)
    assert whole.content_hash == undisturbed.content_hash
    assert frames_equal(whole, undisturbed)
    assert whole.statistics == undisturbed.statistics
    assert whole.info.complete


CUTS = [
    (_arrays, "with_rows"),
    (_index, "commit"),
    (_index, "compact"),
    (_index, "publish"),
]


@pytest.mark.parametrize(("module", "name"), CUTS)
@pytest.mark.parametrize("call", [1, 3])
def test_a_full_disk_leaves_what_is_committed_and_can_be_continued(
    module, name, call, tmp_path, undisturbed, monkeypatch
):
    calls = 0
    original = getattr(module, name)

    def fails(*arguments, **keywords):
        nonlocal calls
        calls += 1
        if calls == call or (name == "compact" and calls == 1):
            raise OSError(28, "No space left on device")
        return original(*arguments, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(module, name, fails)
        with pytest.raises(CorpusError) as caught:
            make(tmp_path / "corpus", count=24, step=4)
    assert "No space left on device" in caught.value.what
    assert caught.value.where == str(tmp_path / "corpus")
    assert "run the same again" in caught.value.remedy
    assert len(Corpus.open(tmp_path / "corpus")) in range(0, 25, 4)
    assert make(tmp_path / "corpus", count=24, step=4).content_hash == undisturbed.content_hash


def test_what_a_killed_process_was_writing_does_not_get_into_the_arrays(undisturbed, tmp_path):
    """TensorStore writes a shard into `<shard>.__lock` first, and over what stands there."""
    make(tmp_path / "corpus", count=8, step=2)
    shards = [path for path in (tmp_path / "corpus").rglob("c/**/*") if path.is_file()]
    assert len(shards) > 4
    for path in shards:
        path.with_name(f"{path.name}.__lock").write_bytes(b"torn" * 100_000)
    grown = make(tmp_path / "corpus", count=24, step=2)
    assert grown.content_hash == undisturbed.content_hash
    assert [finding for finding in check(grown) if finding.level == "error"] == []
    assert not list((tmp_path / "corpus").rglob("*.__lock"))


def test_tensorstore_out_of_space_is_reported_in_the_same_words(tmp_path, undisturbed, forks):
    """The system's own limit on file sizes stands in for the end of the disk: TensorStore's write fails."""
    code = f"""
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from pathlib import Path
from swath.errors import CorpusError
from tests.corpus import fakes
folder = Path({str(tmp_path)!r})
with fakes.writer(folder / "corpus") as w:
    w.append(fakes.part(range(2)))
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, resource.RLIM_INFINITY))
    try:
        w.append(fakes.part(range(2, 24)))
    except CorpusError as error:
        (folder / "said.txt").write_text(error.what)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
"""
    assert forks.run(code, "tests.corpus.fakes") == 0
    said = (tmp_path / "said.txt").read_text()
    assert "cannot write the corpus" in said
    assert len(said) < 400
    assert len(Corpus.open(tmp_path / "corpus")) == 2
    assert make(tmp_path / "corpus", count=24, step=2).content_hash == undisturbed.content_hash


def test_the_corpus_does_not_depend_on_how_it_was_cut_into_parts(undisturbed, tmp_path):
    other = make(tmp_path / "corpus", count=24, step=7)
    assert other.content_hash == undisturbed.content_hash
    assert frames_equal(other, undisturbed)
    assert other.statistics == undisturbed.statistics


def test_a_finished_corpus_can_grow(undisturbed, tmp_path):
    small = make(tmp_path / "corpus", count=8, step=2)
    assert small.content_hash != undisturbed.content_hash
    assert make(tmp_path / "corpus", count=24, step=2).content_hash == undisturbed.content_hash


def test_finishing_twice_changes_nothing(tmp_path):
    make(tmp_path / "corpus")
    before = (tmp_path / "corpus" / "corpus.json").read_bytes()
    make(tmp_path / "corpus")
    assert (tmp_path / "corpus" / "corpus.json").read_bytes() == before
    assert not (tmp_path / "corpus" / "index").exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda place, chips, codes: (replace(place, group="other"), chips, codes),
        lambda place, chips, codes: (replace(place, scalars={**place.scalars, "height": -1.0}), chips, codes),
        lambda place, chips, codes: (place, [replace(chips[0], tag="before"), *chips[1:]], codes),
        lambda place, chips, codes: (place, [replace(chips[0], pixels=chips[0].pixels + 1), *chips[1:]], codes),
        lambda place, chips, codes: (place, chips, np.where(codes == 1, 2, codes)),
    ],
    ids=["group", "scalar", "tag", "pixels", "labels"],
)
def test_the_content_hash_sees_every_change(change, tmp_path):
    hashes = []
    for name, changed in (("a", location(0)), ("b", change(*location(0)))):
        place, chips, codes = changed
        with writer(tmp_path / name) as w:
            w.append(Part([place], chips, {"cover": codes[None]}))
            hashes.append(w.finish().content_hash)
    assert hashes[0] != hashes[1]


def test_what_is_stored_is_what_was_given(tmp_path):
    corpus = make(tmp_path / "corpus")
    place, chips, codes = location(7)
    row = corpus.locations.iloc[7]
    assert (row["uid"], row["group"], row["height"], row["kind"], row["crs"]) == (
        "l0007",
        "g2",
        7.0,
        "odd",
        "EPSG:32632",
    )
    assert list(row["transform"]) == list(place.transform)
    assert np.array_equal(corpus.labels("cover", [7])[0], codes)
    mine = corpus.chips[corpus.chips["uid"] == "l0007"]
    assert mine["location"].unique().tolist() == [7]
    radar = mine[mine["sensor"] == RADAR].iloc[1]
    given = [chip for chip in chips if chip.sensor == RADAR][1]
    assert radar["datetime"] == given.datetime
    assert radar["orbit"] == "ascending"
    array = _arrays.open_array(corpus.path / "pixels" / f"{RADAR}.zarr", "pixels")
    assert np.array_equal(array[int(radar["row"])].read().result(), given.pixels, equal_nan=True)


def test_validity_is_the_sources_mask_and_every_band_being_finite_and_not_nodata(tmp_path):
    counts = np.full((4, PX, PX), 7, np.uint16)
    counts[2, 0, :] = 0
    mask = np.ones((PX, PX), bool)
    mask[:, 0] = False
    with writer(tmp_path / "corpus") as w:
        w.append(Part([Location("a")], [Chip("a", OPTICAL, counts, valid=mask)]))
        corpus = w.finish()
    stored = _arrays.open_array(corpus.path / "valid" / f"{OPTICAL}.zarr", "valid")[0].read().result()
    expected = mask.copy()
    expected[0] = False
    assert np.array_equal(stored, expected)
    assert corpus.chips["valid"][0] == expected.mean()
    assert np.array_equal(corpus.labels("cover", [0]), np.zeros((1, PX, PX)))  # a layer left out is void


def test_no_validity_is_stored_where_all_is_valid(tmp_path):
    with writer(tmp_path / "corpus") as w:
        w.append(Part([Location("a")], [Chip("a", OPTICAL, np.ones((4, PX, PX), np.uint16))]))
        w.finish()
    assert not (tmp_path / "corpus" / "valid").exists()


def test_times_without_a_zone_are_utc_and_others_are_converted(tmp_path):
    east = dt.timezone(dt.timedelta(hours=2))
    counts = np.ones((4, PX, PX), np.uint16)
    whens = [dt.datetime(2020, 6, 1, 12), dt.datetime(2020, 6, 1, 14, tzinfo=east), None]
    with writer(tmp_path / "corpus") as w:
        w.append(Part([Location("a")], [Chip("a", OPTICAL, counts + i, datetime=when) for i, when in enumerate(whens)]))
        stored = w.finish().chips["datetime"]
    assert stored[0] == stored[1] == dt.datetime(2020, 6, 1, 12, tzinfo=dt.UTC)
    assert np.isnat(stored[2].to_datetime64())


def bad_parts():
    place, chips, codes = location(1)
    labels = {"cover": codes[None]}
    first = chips[0]
    reals = Part([place], chips, dict(labels))
    reals.labels["cover"] = codes[None].astype(np.float32)  # types are checked in tests alone
    yield "id twice in a part", Part([place, place], chips, {"cover": np.stack([codes, codes])}), "two locations"
    yield "id already there", part(range(1)), "two locations have the id 'l0000'"
    yield "chip without location", Part([place], [replace(first, uid="x")], labels), "without its location"
    yield "unknown sensor", Part([place], [replace(first, sensor="sentinel-2")], labels), "no sensor"
    yield "band count", Part([place], [replace(first, pixels=first.pixels[:3])], labels), "(3, 16, 16)"
    yield "chip size", Part([place], [replace(first, pixels=first.pixels[:, :8])], labels), "(4, 8, 16)"
    yield "dtype", Part([place], [replace(first, pixels=first.pixels.astype(np.uint8))], labels), "uint8"
    yield "mask size", Part([place], [replace(first, valid=np.ones((8, 8), bool))], labels), "(8, 8)"
    yield "label size", Part([place], chips, {"cover": codes[None, :8]}), "(1, 8, 16)"
    yield "undeclared code", Part([place], chips, {"cover": codes[None] + 5}), "not declared"
    yield "code at one place", Part([place], chips, {"cover": np.where(codes == 1, -1, codes)[None]}), "the code -1 at"
    yield "labels of reals", reals, "the labels are float32"
    yield "unknown layer", Part([place], chips, {"covr": codes[None]}), "'covr'"
    yield "reserved scalar", Part([replace(place, scalars={"uid": 1})], chips, labels), "'uid'"


def test_a_part_that_does_not_fit_is_refused_whole(tmp_path):
    with writer(tmp_path / "corpus") as w:
        w.append(part(range(1)))
        for kind, bad, says in bad_parts():
            with pytest.raises(CorpusError) as caught:
                w.append(bad)
            assert says in str(caught.value), kind
            assert caught.value.where or caught.value.remedy, kind
            assert w.committed == {"l0000"}, kind
        w.append(part(range(2, 3)))
        assert len(w.finish()) == 2
    assert frames_equal(Corpus.open(tmp_path / "corpus"), good_alone(tmp_path / "alone"))


def good_alone(path) -> Corpus:
    """The same without any attempt that was refused."""
    with writer(path) as w:
        w.append(part(range(1)))
        w.append(part(range(2, 3)))
        return w.finish()


def test_codes_beyond_31_bits_are_told_apart(tmp_path):
    layer = LabelLayer(classes={1: "a", 1 + 2**32: "b"})
    hashes = []
    for code in layer.classes:
        place, chips, _ = location(1)
        with CorpusWriter(tmp_path / str(code), LAYOUTS, PX, {"cover": layer}) as w:
            w.append(Part([place], chips, {"cover": np.full((1, PX, PX), code)}))
            corpus = w.finish()
        assert (corpus.labels("cover", [0]) == code).all()
        hashes.append(corpus.content_hash)
    assert hashes[0] != hashes[1]


def test_a_layer_without_void_needs_labels(tmp_path):
    strict = LabelLayer(classes={1: "a"})
    with (
        CorpusWriter(tmp_path / "c", LAYOUTS, PX, {"cover": strict}) as w,
        pytest.raises(CorpusError, match="no void code"),
    ):
        w.append(Part([Location("a")], []))


def test_an_unknown_band_is_refused_with_the_nearest_name(tmp_path):
    layout = SensorLayout(bands=("B8a",), gsd_m=10, dtype="uint16")
    with pytest.raises(RecipeError, match="B8A"):
        CorpusWriter(tmp_path / "corpus", {OPTICAL: layout}, PX)
    assert not (tmp_path / "corpus").exists()


def test_other_settings_do_not_continue_a_corpus(tmp_path):
    make(tmp_path / "corpus")
    with pytest.raises(CorpusError, match="chip_px"):
        CorpusWriter(tmp_path / "corpus", LAYOUTS, 2 * PX, {"cover": COVER})
    other = {**LAYOUTS, OPTICAL: LAYOUTS[OPTICAL].model_copy(update={"gsd_m": 20.0})}
    with pytest.raises(CorpusError, match=r"sensors\.sentinel-2-l2a\.gsd_m: was 10\.0, is 20\.0") as caught:
        CorpusWriter(tmp_path / "corpus", other, PX, {"cover": COVER})
    assert "SensorLayout(" not in str(caught.value)


def test_a_folder_with_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("important")
    with pytest.raises(CorpusError, match=r"thesis\.txt"):
        writer(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir() if not p.name.startswith(".")) == ["thesis.txt"]


def test_two_writers_at_once_are_refused(tmp_path):
    with writer(tmp_path / "corpus"), pytest.raises(CorpusError, match="another process"):
        writer(tmp_path / "corpus")
    writer(tmp_path / "corpus").close()


def test_a_folder_that_cannot_be_made_is_reported(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CorpusError, match="cannot write here"):
        writer(tmp_path / "file" / "corpus")


def test_an_empty_corpus_cannot_be_finished(tmp_path):
    with writer(tmp_path / "corpus") as w, pytest.raises(CorpusError, match="no location"):
        w.finish()
    assert len(Corpus.open(tmp_path / "corpus")) == 0


def test_provenance_is_kept_once_and_outside_the_hash(tmp_path):
    first = make(tmp_path / "corpus", count=4)
    assert first.info.provenance == ({"made": "by a test"},)
    with CorpusWriter(tmp_path / "corpus", LAYOUTS, PX, {"cover": COVER}, provenance={"more": 1}) as w:
        w.append(part(range(4, 6)))
        grown = w.finish()
    assert grown.info.provenance == ({"made": "by a test"}, {"more": 1})
    assert grown.info.licences == ("CC0-1.0",)
    content = json.loads((grown.path / "corpus.json").read_text())
    assert content["format"] == FORMAT
    assert content["complete"] is True


def test_nothing_but_the_documented_files_is_left(tmp_path):
    corpus = make(tmp_path / "corpus")
    names = {p.relative_to(corpus.path).parts[0] for p in corpus.path.rglob("*") if p.is_file()}
    assert names == {"corpus.json", "locations.parquet", "chips.parquet", "pixels", "valid", "labels", ".lock"}
    assert not [p for p in corpus.path.rglob("*") if p.name.endswith((".tmp", ".__lock"))]


def test_a_build_that_stored_nothing_binds_nobody(tmp_path):
    with writer(tmp_path / "corpus"):
        pass
    with CorpusWriter(tmp_path / "corpus", LAYOUTS, PX + 1) as other:
        assert other.info.chip_px == PX + 1


@pytest.mark.parametrize("uid", ["", "a\0b", "caf\udce9", "a\x1b[31mred", "x" * 501], ids=ascii)
def test_an_id_that_is_no_text_is_refused(tmp_path, uid):
    with writer(tmp_path / "corpus") as w, pytest.raises(CorpusError, match="the id of a location cannot be"):
        w.append(Part([Location(uid)], [], {"cover": np.ones((1, PX, PX), np.int64)}))


def test_a_file_name_that_is_no_utf_8_is_refused(tmp_path):
    place, chips, codes = location(0)
    chips = [replace(chips[0], source="caf\udce9.tif")]
    with writer(tmp_path / "corpus") as w, pytest.raises(CorpusError, match=r"no plain text: 'caf\\udce9\.tif"):
        w.append(Part([place], chips, {"cover": codes[None]}))


@pytest.mark.parametrize("name", ["../../labels", "/tmp/elsewhere", "a/b", "x" * 300])
def test_a_label_layer_of_any_name_stays_in_the_corpus(tmp_path, name):
    place, _, codes = location(0)
    folder = tmp_path / "in" / "corpus"
    with CorpusWriter(folder, LAYOUTS, PX, {name: COVER}) as w:
        w.append(Part([place], [], {name: codes[None]}))
        corpus = w.finish()
    np.testing.assert_array_equal(corpus.labels(name, [0])[0], codes)
    assert len(list((folder / "labels").iterdir())) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    assert [path.name for path in folder.parent.iterdir()] == ["corpus"]


def labelled(values) -> list[Location]:
    """Locations with a scalar label; of any type, as whoever runs without a type checker may give it."""
    places = [Location(str(k), scalars={"v": None}) for k in range(len(values))]
    for place, value in zip(places, values, strict=True):
        place.scalars["v"] = value
    return places


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([1, "a"], "is text .'a'., and a number in locations before"),
        (["a", None, 2.5], "is a number .2.5., and text in locations before"),
        ([True, 2], "is a number .2., and true or false in locations before"),
        ([2**53 + 1], "is 9007199254740993, which a column with missing values would round"),
        ([[1, 2]], "is of type list, not text"),
        ([np.ones(2)], "is of type ndarray, not text"),
    ],
)
@pytest.mark.parametrize("parts", [1, 2])
def test_scalar_labels_of_several_types(tmp_path, values, words, parts):
    """They fit into no column: refused when they come, not when the last location is stored."""
    before, last = [[], labelled(values)] if parts == 1 else [labelled(values)[:-1], labelled(values)[-1:]]
    with CorpusWriter(tmp_path, LAYOUTS, PX) as writer:
        writer.append(Part(before, []))
    with (
        CorpusWriter(tmp_path, LAYOUTS, PX) as writer,  # opened anew: what is stored counts
        pytest.raises(CorpusError, match=f"the scalar label 'v' {words}"),
    ):
        writer.append(Part(last, []))


def test_scalar_labels_of_other_libraries_types(tmp_path):
    days = [pd.Timestamp(2021, 5, 31), dt.date(2022, 1, 2), pd.NaT, None]
    with CorpusWriter(tmp_path / "days", LAYOUTS, PX) as writer:
        writer.append(Part(labelled(days), []))
        found = writer.finish().locations["v"]
    assert found.tolist()[:2] == ["2021-05-31T00:00:00", "2022-01-02"]
    assert found.isna().tolist() == [False, False, True, True]
    with CorpusWriter(tmp_path / "numbers", LAYOUTS, PX) as writer:
        writer.append(Part(labelled([np.float32(1.5), np.int64(2), 3, np.nan]), []))
        np.testing.assert_array_equal(writer.finish().locations["v"], [1.5, 2, 3, np.nan])


@pytest.mark.parametrize("what", ["group", "split"])
@pytest.mark.parametrize("value", [float("nan"), 0, 3.0])
def test_a_group_or_split_that_is_no_text(tmp_path, what, value):
    place = Location("a")
    object.__setattr__(place, what, value)
    with (
        CorpusWriter(tmp_path, LAYOUTS, PX) as writer,
        pytest.raises(CorpusError, match=f"the {what} of a location is"),
    ):
        writer.append(Part([place], []))
