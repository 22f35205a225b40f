"""Small arrays are read once, row by row, and give what the files hold."""

import numpy as np
import pytest

from swath.corpus.reading import _kept
from swath.corpus.reading._kept import KeptArray, is_small
from swath.corpus.store import arrays as _arrays
from swath.errors import CorpusError

VALUES = np.random.default_rng(0).integers(-99, 99, (40, 3, 1, 2)).astype("int16")


@pytest.fixture
def array(tmp_path):
    made = _arrays.create(tmp_path, "pixels", VALUES.shape, "int16", ("chip", "band", "y", "x"), {})
    made[:30].write(VALUES[:30]).result()
    return _arrays.open_array(tmp_path, "pixels")


def test_each_row_is_decoded_once(array, monkeypatch):
    asked, read = [], _arrays.read
    monkeypatch.setattr(_arrays, "read", lambda array, rows: asked.append(rows.tolist()) or read(array, rows))
    kept = KeptArray.of(array)
    np.testing.assert_array_equal(kept.read(np.array([7, 2, 2])), VALUES[[7, 2, 2]])
    np.testing.assert_array_equal(kept.read(np.array([2, 9, 7]), np.array([2, 0])), VALUES[[2, 9, 7]][:, [2, 0]])
    np.testing.assert_array_equal(kept.read(np.array([], int)), VALUES[:0])
    assert asked == [[7, 2, 2], [9]]


def test_what_is_handed_out_is_a_copy(array):
    kept = KeptArray.of(array)
    kept.read(np.array([1]))[:] = 0
    np.testing.assert_array_equal(kept.read(np.array([1])), VALUES[[1]])


def test_a_row_that_is_not_there_is_said_and_the_others_stay(array):
    kept = KeptArray.of(array)
    with pytest.raises(CorpusError, match="row 35"):
        kept.read(np.array([3, 35]))
    np.testing.assert_array_equal(kept.read(np.array([3])), VALUES[[3]])


@pytest.mark.parametrize(("limit", "value"), [("ROW_BYTES", 11), ("ARRAY_BYTES", 479)])
def test_large_rows_and_large_arrays_are_not_kept(array, monkeypatch, limit, value):
    assert is_small(array)
    monkeypatch.setattr(_kept, limit, value)
    assert not is_small(array)
