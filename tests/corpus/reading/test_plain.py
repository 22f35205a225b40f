from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from swath.corpus.reading._plain import ENTRY_BYTES, PlainArray, stretches
from swath.corpus.store import arrays as _arrays
from swath.errors import CorpusError

ROWS, WRITTEN, FILE = 3500, 2300, 1024
"""With so many rows a file: two whole ones, one with absent rows at its end, and one that is not there."""
ROW = (4, 3, 2)
OPEN_FILES = Path("/proc/self/fd")
DIMS = ("chip", "band", "y", "x")


def create(folder, dtype="int16", **options):
    array = _arrays.create(folder, "pixels", (ROWS, *ROW), dtype, DIMS, {}, **options)
    array[:WRITTEN].write(values(dtype)).result()
    return _arrays.open_array(folder, "pixels")


def values(dtype="int16"):
    result = np.random.default_rng(0).integers(0, 100, (WRITTEN, *ROW)).astype(dtype)
    result[5:9] = 0
    return result


@pytest.fixture(scope="module")
def array(tmp_path_factory):
    return create(tmp_path_factory.mktemp("plain"), compression="none")


@pytest.fixture(scope="module")
def old_array(tmp_path_factory):
    """As version 1 of the format has it: without checksums, and rows of zeros are not stored."""
    folder = tmp_path_factory.mktemp("old")
    group = zarr.open_group(folder, mode="w")
    made = group.create_array(
        "pixels", shape=(ROWS, *ROW), chunks=(1, *ROW), shards=(FILE, *ROW), dtype="int16", compressors=None
    )
    made[:WRITTEN] = values()
    return _arrays.open_array(folder, "pixels")


def plain(array) -> PlainArray:
    found = PlainArray.of(array)
    assert found is not None
    return found


def read(array, rows, bands=None, most=5, found=None):
    rows = np.asarray(rows)
    count = ROW[0] if bands is None else len(bands)
    result = np.full((len(rows), count, *ROW[1:]), 111, array.dtype.numpy_dtype)
    for part, piece in (found or plain(array)).pieces(rows, bands, most):
        assert len(piece) <= most
        result[part] = piece
    return result


def rows_below(end):
    return st.lists(st.integers(0, end - 1) | st.integers(1000, 1050) | st.integers(0, 12), max_size=30)


BANDS = st.none() | st.lists(st.integers(0, ROW[0] - 1), min_size=1, max_size=5)


def agrees(array, found, rows, bands, most):
    rows = np.array(rows, np.int64)
    bands = None if bands is None else np.array(bands)
    wanted = array[rows] if bands is None else array.oindex[rows, bands]
    return np.array_equal(read(array, rows, bands, most, found), wanted.read().result())


@given(rows=rows_below(WRITTEN), bands=BANDS, most=st.integers(1, 40))
def test_rows_are_those_that_tensorstore_reads(array, rows, bands, most):
    found = plain(array)
    assert agrees(array, found, rows, bands, most)
    assert agrees(array, found, rows, bands, most)  # checksums are not compared again


@given(rows=rows_below(ROWS), bands=BANDS, most=st.integers(1, 40))
def test_rows_without_checksums_and_rows_that_are_not_there(old_array, rows, bands, most):
    assert agrees(old_array, plain(old_array), rows, bands, most)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float16", "float32"])
def test_types(dtype, tmp_path):
    array = create(tmp_path, dtype, compression="none")
    rows = np.array([7, 2000, 8])
    assert np.array_equal(read(array, rows), array[rows].read().result())


def test_what_has_to_be_decoded_is_left_to_tensorstore(tmp_path):
    assert PlainArray.of(create(tmp_path / "fast")) is None
    assert PlainArray.of(create(tmp_path / "small", "uint8", compression="small")) is None
    assert PlainArray.of(create(tmp_path / "bytes", "uint8")) is not None


def test_a_file_that_grows_while_it_is_read(tmp_path):
    array = create(tmp_path, compression="none")
    before = array[np.arange(2040, 2060)].read().result()
    pieces = plain(array).pieces(np.arange(2040, 2060), None, 4)
    first = next(pieces)[1].copy()
    array[WRITTEN : WRITTEN + 100].write(np.ones((100, *ROW), np.int16)).result()
    rest = [piece.copy() for _, piece in pieces]
    assert np.array_equal(np.concatenate([first, *rest]), before)
    assert (read(array, [WRITTEN + 5]) == 1).all()


def test_every_row_is_stored_and_one_that_is_missing_is_named(tmp_path):
    array = create(tmp_path, compression="none")
    assert (read(array, [5, 6]) == 0).all()
    for rows, bands, file in (([3, WRITTEN], None, 2), ([3, WRITTEN], np.array([1]), 2), ([3100], None, 3)):
        why = "it is not there" if file == 3 else "a row is missing"
        with pytest.raises(CorpusError, match=rf"{why} \(row {rows[-1]}\)") as error:
            read(array, rows, bands)
        assert error.value.where == str(_arrays.file_of(array, file))


@pytest.mark.parametrize("bands", [None, np.array([2])])
@pytest.mark.parametrize("compression", ["none", "fast", "small"])
def test_a_flipped_bit_anywhere_in_a_row_is_seen(bands, compression, tmp_path):
    """Also in a band that was not asked for, the first time that a row is read."""
    array = create(tmp_path, compression=compression)
    file = _arrays.file_of(array, 1)
    raw = bytearray(file.read_bytes())
    start, size = np.frombuffer(raw[-FILE * ENTRY_BYTES - 4 : -4], "<u8").reshape(-1, 2)[7].tolist()
    raw[start + size // 2] ^= 4
    file.write_bytes(raw)
    rows = np.array([FILE + 6, FILE + 7])
    if compression == "none":
        assert read(array, rows[:1], bands).any()
        with pytest.raises(CorpusError, match=rf"the checksum is wrong \(row {FILE + 7}\)") as error:
            read(array, rows, bands)
    else:
        with pytest.raises(CorpusError, match=rf"\(row {FILE + 7}\)") as error:
            _arrays.read(array, rows, bands)
    assert error.value.where == str(file)


def cut(raw: bytes) -> bytes:
    return raw[: len(raw) // 2]


def empty(_: bytes) -> bytes:
    return b""


def lengths_of_another_array(raw: bytes) -> bytes:
    end = len(raw) - FILE * ENTRY_BYTES - 4
    index = np.frombuffer(raw[end:-4], "<u8").reshape(-1, 2).copy()
    index[:, 1] += 1
    return raw[:end] + index.tobytes() + raw[-4:]


def beyond_the_end(raw: bytes) -> bytes:
    end = len(raw) - FILE * ENTRY_BYTES - 4
    index = np.frombuffer(raw[end:-4], "<u8").reshape(-1, 2).copy()
    index[:, 0] += end
    return raw[:end] + index.tobytes() + raw[-4:]


@pytest.mark.parametrize("damage", [cut, empty, lengths_of_another_array, beyond_the_end])
def test_a_damaged_file_is_named(damage, tmp_path):
    array = create(tmp_path, compression="none")
    file = _arrays.file_of(array, 1)
    file.write_bytes(damage(file.read_bytes()))
    assert read(array, [0, 2050]).any()
    with pytest.raises(CorpusError, match="a file of the corpus is damaged") as error:
        read(array, [0, 1024])
    assert error.value.where == str(file)


@pytest.mark.skipif(not OPEN_FILES.is_dir(), reason="the system does not list the open files of a process")
def test_files_are_closed(tmp_path):
    array = create(tmp_path, compression="none")
    rows = np.tile([0, 1500, 2200], 40)
    before = len(list(OPEN_FILES.iterdir()))
    pieces = plain(array).pieces(rows, None, 2)
    next(pieces)
    pieces.close()
    read(array, rows)
    assert len(list(OPEN_FILES.iterdir())) <= before  # other tests' files may be closed meanwhile


def test_other_layouts_are_left_to_tensorstore(tmp_path):
    group = zarr.open_group(tmp_path, mode="w")
    whole = group.create_array("pixels", shape=(8, *ROW), chunks=(1, *ROW), dtype="int16", compressors=None)
    whole[:] = 3
    assert PlainArray.of(_arrays.open_array(tmp_path, "pixels")) is None


@given(st.lists(st.integers(-3, 9), max_size=20), st.integers(-1, 2))
def test_stretches_are_whole_and_cover_everything(values, step):
    found = list(stretches(np.array(values, np.int64), step))
    assert [index for first, end in found for index in range(first, end)] == list(range(len(values)))
    for first, end in found:
        assert all(values[i + 1] - values[i] == step for i in range(first, end - 1))
        assert end == len(values) or values[end] - values[end - 1] != step


@pytest.mark.parametrize("bands", [None, [2], [3, 0, 1]])
def test_rows_are_gathered_to_their_places_the_first_time_and_the_second(array, bands):
    """The first time by way of a comparison of checksums, the second straight into place."""
    rows, places = np.array([0, 6, 7, 1023, 1024, 2299]), np.array([5, 0, 7, 2, 3, 1])
    chosen = None if bands is None else np.array(bands)
    wanted = (array[rows] if chosen is None else array.oindex[rows, chosen]).read().result()
    found = plain(array)
    for _ in range(2):
        into = np.full((8, *wanted.shape[1:]), 111, "int16")
        found.gather(rows, chosen, places, into)
        assert np.array_equal(into[places], wanted)
        assert (into[[4, 6]] == 111).all()


def test_a_file_that_was_written_anew_is_looked_at_anew(tmp_path):
    array = create(tmp_path, compression="none")
    found, into = plain(array), np.empty((1, *ROW), "int16")
    found.gather(np.array([3]), None, np.array([0]), into)
    array[1000:1003].write(np.full((3, *ROW), 42, "int16")).result()
    found.gather(np.array([1001]), None, np.array([0]), into)
    assert (into == 42).all()


def test_gathering_from_a_damaged_file_names_the_row(tmp_path):
    array = create(tmp_path, compression="none")
    file = _arrays.file_of(array, 0)
    content = bytearray(file.read_bytes())
    offset = int(np.frombuffer(content[-ENTRY_BYTES * FILE - 4 : -4], "<i8").reshape(-1, 2)[4, 0])
    content[offset] ^= 1
    file.write_bytes(content)
    with pytest.raises(CorpusError, match=r"checksum is wrong \(row 4\)"):
        plain(array).gather(np.array([3, 4]), None, np.array([0, 1]), np.empty((2, *ROW), "int16"))
