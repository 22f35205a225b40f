"""Tests of arrays in NumPy's files."""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import numpy as np
import pytest

from swath.corpus.sources._raster import BadFileError
from swath.corpus.sources.published import _numpy as npy


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(3, 4), (0, 4), (1, 4)])
def test_an_array_is_as_numpy_reads_it(tmp_path, order, shape):
    values = np.asarray(np.random.default_rng(0).normal(size=shape), ">f4", order=order)
    np.save(tmp_path / "a.npy", values)
    np.savez_compressed(tmp_path / "a.npz", a=values)
    for found in (
        npy.array(tmp_path / "a.npy", ("float32",), (None, 4), 1.0),
        npy.member(tmp_path / "a.npz", "a", ("float32",), (None, 4), 1.0),
    ):
        np.testing.assert_array_equal(found, np.load(tmp_path / "a.npy"))
        assert found.dtype == values.dtype


def test_an_array_longer_than_a_part_is_read_whole_or_refused(tmp_path):
    values = np.arange(npy.CHUNK // 4, dtype="int64")
    path = tmp_path / "a.npy"
    np.save(path, values)
    np.testing.assert_array_equal(npy.array(path, ("int64",), (None,), 1.0), values)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BadFileError, match=f"its values take {values.nbytes} bytes and it has {values.nbytes - 1}"):
        npy.array(path, ("int64",), (None,), 1.0)


def test_two_threads_never_parse_at_once(tmp_path, monkeypatch):
    """Python before 3.11.8 raises SystemError there (gh-106905), which stopped whole ingests."""
    np.save(tmp_path / "a.npy", np.arange(12, dtype="int16"))
    np.savez(tmp_path / "a.npz", a=np.arange(12, dtype="int16"))
    inside, together, whole = Lock(), [], np.lib.format.read_array_header_1_0

    def watched(stream):
        together.append(not inside.acquire(blocking=False))
        time.sleep(0.002)
        if not together[-1]:
            inside.release()
        return whole(stream)

    monkeypatch.setattr(np.lib.format, "read_array_header_1_0", watched)
    reads = [
        lambda: npy.array(tmp_path / "a.npy", ("int16",), (12,), 1.0),
        lambda: npy.member(tmp_path / "a.npz", "a", ("int16",), (12,), 1.0),
        lambda: npy.type_of(tmp_path / "a.npy"),
    ]
    with ThreadPoolExecutor(6) as pool:
        for future in [pool.submit(read) for read in reads * 4]:
            future.result()
    assert together == [False] * 12
