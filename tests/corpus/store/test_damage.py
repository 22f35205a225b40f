"""Nothing that was changed on the disk after a corpus was made is taken for what was written."""

import json
import shutil
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import zarr
from typer.testing import CliRunner

from swath.cli import app
from swath.corpus import Corpus, CorpusWriter, Location, Part, Reader, Selection, check
from swath.corpus.store import arrays as _arrays
from swath.errors import CorpusError
from tests.corpus.fakes import COVER, LAYOUTS, OPTICAL, PX, RADAR, as_format_1, location, make, part, writer

LABELS, CHIPS, LOCATIONS = "labels/cover.zarr/labels", "chips.parquet", "locations.parquet"
COUNT = 5
"""The fourth location has nodata on its first date, the fifth a missing number in its radar images."""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make(tmp_path_factory.mktemp("damage") / "corpus", count=COUNT, step=2).path


@pytest.fixture
def path(made, tmp_path):
    return shutil.copytree(made, tmp_path / "corpus")


def only_file(path, array):
    (file,) = [one for one in (path / array / "c").rglob("*") if one.is_file()]
    return file


def errors(path, locations=None):
    return [str(finding) for finding in check(Corpus.open(path), locations) if finding.level == "error"]


def pixels(sensor):
    return f"pixels/{sensor}.zarr/pixels"


def row_bytes(path, array, row):
    """Where a row lies in the only file of an array, from the index at its end."""
    raw = only_file(path, array).read_bytes()
    rows = json.loads((path / array / "zarr.json").read_text())["chunk_grid"]["configuration"]["chunk_shape"][0]
    start, size = np.frombuffer(raw[-16 * rows - 4 : -4], "<u8").reshape(-1, 2)[row].tolist()
    return start, size


def flip_in_row(path, array, row):
    start, size = row_bytes(path, array, row)
    file = only_file(path, array)
    raw = bytearray(file.read_bytes())
    raw[start + size // 2] ^= 2
    file.write_bytes(raw)
    return file


@pytest.mark.parametrize("compression", ["none", "fast", "small"])
def test_a_flipped_bit_of_a_chip_is_an_error_that_names_file_row_and_location(compression, tmp_path):
    with CorpusWriter(tmp_path, LAYOUTS, PX, {"cover": COVER}, compression=compression) as w:
        w.append(part(range(3), dates=2))
        w.finish()
    file = flip_in_row(tmp_path, pixels(OPTICAL), 3)
    for bands in (("B02", "B03", "B04", "B08"), ("B08", "B02")):
        reader = Reader(Corpus.open(tmp_path), {OPTICAL: bands})
        assert reader.batch(np.array([0, 2]), Selection(dates="all")).images[OPTICAL].valid.any()
        with pytest.raises(CorpusError, match=r"damaged: .*\(row 3, location 'l0001'\)") as error:
            reader.batch(np.array([0, 1]), Selection(dates="all"))
        assert error.value.where == str(file)
        with pytest.raises(CorpusError, match=r"damaged: .*\(row 3, location 'l0001'\)"):
            reader.counts(reader.sampler(Selection(dates="all")).choose(np.array([1])))
    (found,) = errors(tmp_path)
    assert "row 3, location 'l0001'" in found
    assert str(file) in found


def test_a_flipped_bit_of_a_mask(path):
    file = flip_in_row(path, f"valid/{OPTICAL}.zarr/valid", 9)
    with pytest.raises(CorpusError, match="row 9, location 'l0003'") as error:
        Reader(Corpus.open(path), {OPTICAL: ("B02",)}).batch(np.array([3]), Selection(dates="all"))
    assert error.value.where == str(file)
    assert "row 9, location 'l0003'" in errors(path)[0]


def test_a_flipped_bit_of_a_label(path):
    file = flip_in_row(path, LABELS, 2)
    with pytest.raises(CorpusError, match=r"\(row 2, location 'l0002'\)") as error:
        Corpus.open(path).labels("cover", [1, 2])
    assert error.value.where == str(file)
    assert len(errors(path)) == 1


@pytest.mark.parametrize("array", [LABELS, pixels(OPTICAL), pixels(RADAR)])
def test_a_lost_file_is_no_class_and_no_zeros(path, array):
    file = only_file(path, array)
    file.unlink()
    corpus = Corpus.open(path)
    reader = Reader(corpus, {sensor: layout.bands for sensor, layout in LAYOUTS.items()})
    with pytest.raises(CorpusError, match="it is not there") as error:
        reader.batch(np.arange(2), labels=["cover"])
    assert error.value.where == str(file)
    assert str(file) in errors(path)[0]


def test_lost_masks_do_not_make_pixels_valid(path):
    shutil.rmtree(path / "valid")
    with pytest.raises(CorpusError, match="the array that says which is missing"):
        Reader(Corpus.open(path), {OPTICAL: ("B02",)})
    assert "the array of valid is missing" in errors(path)[0]


def shuffled(table):
    return table.sample(frac=1, random_state=1).reset_index(drop=True)


def shifted(table):
    return table.assign(row=np.roll(table["row"].to_numpy(), 1))


def exchanged(table):
    """Two locations' chips under each other's id."""
    return table.assign(uid=table["uid"].replace({"l0000": "l0001", "l0001": "l0000"}))


@pytest.mark.parametrize(
    ("file", "change"), [(LOCATIONS, shuffled), (CHIPS, shuffled), (CHIPS, shifted), (CHIPS, exchanged)]
)
def test_a_changed_index_is_refused_at_opening_and_of_an_old_corpus_found_by_check(file, change, path):
    read = gpd.read_parquet if file == LOCATIONS else pd.read_parquet
    change(read(path / file)).to_parquet(path / file, index=False)
    with pytest.raises(CorpusError, match="its checksum is another") as error:
        Corpus.open(path)
    assert error.value.where == str(path / file)
    assert errors(as_format_1(path))


def test_a_truncated_index_of_a_part_is_refused(tmp_path):
    with writer(tmp_path) as w:
        w.append(part(range(2)))
    file = tmp_path / "index" / "part-000000" / CHIPS
    raw = bytearray(file.read_bytes())
    start = raw.index(b"l0001")
    raw[start + 3] ^= 1
    file.write_bytes(raw)
    with pytest.raises(CorpusError, match="the index cannot be read"):
        Corpus.open(tmp_path)


def test_wherever_the_bit_of_a_packed_row_is(path):
    """TensorStore raises errors of two types, by what the length and the bytes of the row then say."""
    folder = f"valid/{OPTICAL}.zarr/valid"
    file, (start, size) = only_file(path, folder), row_bytes(path, folder, 9)
    raw = file.read_bytes()
    array = Corpus.open(path).valid_array(OPTICAL)
    assert array is not None
    for place in range(start, start + size):
        file.write_bytes(raw[:place] + bytes([raw[place] ^ 2]) + raw[place + 1 :])
        with pytest.raises(_arrays.DamagedError, match="row 9"):
            _arrays.read(array, np.array([9]))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": 0}, "format"),
        ({"format": -1}, "format"),
        ({"format": "two"}, "format"),
        ({"chip_px": 0}, "chip_px"),
        ({"locations": COUNT + 1}, "names 6 locations"),
        ({"chips": 3}, "names 3 chips"),
    ],
)
def test_an_impossible_corpus_json_is_refused(change, says, path):
    edit(path, change)
    with pytest.raises(CorpusError, match=says):
        Corpus.open(path)


def edit(path, change):
    """Say other things in a corpus.json without a digest, as an earlier swath wrote it."""
    content = json.loads((path / "corpus.json").read_text())
    content.pop("digest", None)
    (path / "corpus.json").write_text(json.dumps(content | change))


@pytest.mark.parametrize("way", ["statistics.sentinel-2-l2a.B03.max", "licences", "provenance", "complete", "chip_px"])
def test_a_corpus_json_that_was_edited_is_refused_at_opening(way, path):
    content = json.loads((path / "corpus.json").read_text())
    *outer, last = way.split(".")
    inside = content
    for key in outer:
        inside = inside[key]
    inside[last] = {"max": 2.0, "licences": ["CC-BY-4.0"], "provenance": [], "complete": False, "chip_px": 8}[last]
    (path / "corpus.json").write_text(json.dumps(content))
    with pytest.raises(CorpusError, match="its digest is another"):
        Corpus.open(path)


def test_a_corpus_json_in_another_notation_or_with_other_colours_is_the_same(path):
    content = json.loads((path / "corpus.json").read_text())
    content["labels"]["cover"]["colours"] = {"1": "#123456"}
    (path / "corpus.json").write_text(json.dumps(content, sort_keys=True))
    assert len(Corpus.open(path)) == COUNT


def test_a_chip_size_or_a_type_that_the_arrays_have_not(path):
    sensors = json.loads((path / "corpus.json").read_text())["sensors"]
    for change, says in (
        ({"chip_px": PX // 2}, r"shape \(16, 16\), corpus.json says bool of shape \(8, 8\)"),
        ({"chip_px": PX, "sensors": {**sensors, OPTICAL: {**sensors[OPTICAL], "dtype": "int16"}}}, "int16"),
    ):
        edit(path, change)
        with pytest.raises(CorpusError, match=says):
            Reader(Corpus.open(path), {OPTICAL: ("B02",)})
        assert errors(path)


def test_a_layer_whose_name_is_encoded_is_compared_too(path):
    """The array's folder has another name than the layer."""
    (path / "labels/cover.zarr").rename(path / "labels/land%2Fcover.zarr")
    content = json.loads((path / "corpus.json").read_text())
    edit(path, {"labels": {"land/cover": {**content["labels"]["cover"], "classes": {"1": "forest", "2": "water"}}}})
    assert any("corpus.json says classes" in one for one in errors(path))


def test_a_scale_or_class_that_was_edited_is_found(path):
    content = json.loads((path / "corpus.json").read_text())
    sensor = {**content["sensors"][OPTICAL], "scale": [1.0] * 4}
    cover = {**content["labels"]["cover"], "classes": {"1": "forest", "2": "water"}}
    edit(path, {"sensors": {**content["sensors"], OPTICAL: sensor}, "labels": {"cover": cover}})
    found = errors(path)
    assert any("corpus.json says scale [1.0" in one for one in found)
    assert any("corpus.json says classes" in one for one in found)


def test_changed_pixels_with_right_checksums_are_not_those_of_the_index(path):
    """What another program wrote carries its checksum: only the digests know."""
    pixels: Any = zarr.open_group(path / f"pixels/{OPTICAL}.zarr")["pixels"]
    codes: Any = zarr.open_group(path / "labels/cover.zarr")["labels"]
    pixels[7, 0, 0, 0], codes[4] = 1, 2
    found = errors(path)
    assert len(found) == 2
    assert "1 chips of sentinel-2-l2a hold other pixels than the index says: l0002; first: row 7" in found[0]
    assert "the labels of 1 locations are others than the index says: l0004" in found[1]


def test_the_content_hash_is_compared_where_all_is_read(path):
    edit(path, {"content_hash": "0" * 64})
    assert errors(path, locations=3) == []
    (found,) = errors(path)
    assert "the content hash is" in found
    result = CliRunner().invoke(app, ["corpus", "check", str(path), "--all"])
    assert result.exit_code == 1
    assert "the content hash is" in result.output


def test_a_corpus_of_the_first_version_is_read_as_before_and_grows(made, path):
    now, old = Corpus.open(made), Corpus.open(as_format_1(path))
    assert old.info.format == 1
    assert _arrays.has_checksums(now.pixel_array(OPTICAL))
    assert not _arrays.has_checksums(old.pixel_array(OPTICAL))
    assert check(old) == []
    assert old.content_hash == now.content_hash
    rows, everything = np.arange(COUNT), Selection(dates="all")
    ours, theirs = (Reader(one, {OPTICAL: ("B03", "B02")}).batch(rows, everything, ["cover"]) for one in (now, old))
    assert ours.images[OPTICAL].pixels.equal(theirs.images[OPTICAL].pixels)
    assert ours.images[OPTICAL].valid.equal(theirs.images[OPTICAL].valid)
    assert ours.targets["cover"].equal(theirs.targets["cover"])
    with writer(path) as w:
        w.append(part(range(COUNT, COUNT + 1)))
        grown = w.finish()
    assert grown.info.format == 2
    assert check(grown) == []
    assert grown.content_hash == make(path.with_name("anew"), count=COUNT + 1, step=3).content_hash


def test_a_lost_file_of_labels_of_an_old_corpus_is_found_by_the_digests(path):
    as_format_1(path)
    only_file(path, LABELS).unlink()
    assert (Corpus.open(path).labels("cover", [0]) == 0).all()
    assert "the labels of 5 locations" in errors(path)[0]


def test_a_layer_that_an_old_build_gave_no_maps_for_is_no_change(tmp_path):
    place, chips, _ = location(0)
    with writer(tmp_path) as w:
        w.append(Part([Location("l0000")], chips))
        corpus = w.finish()
    assert (corpus.labels("cover", [0]) == 0).all()
    assert check(corpus) == []
    assert place.uid == "l0000"
