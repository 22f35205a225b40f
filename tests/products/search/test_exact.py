"""The exact search finds what a comparison of all vectors in float64 finds, in the same order, whatever the blocks."""

from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest

from swath.products.embeddings import EncoderMark, Header, Quantisation, Stored
from swath.products.search import Asked, Index, find
from swath.products.search import _exact as exact


def index_of(stored, quantisation=None, uids=None, dates="one"):
    """An index in memory."""
    n, d = stored.shape
    header = Header(
        dates=dates,
        encoder=EncoderMark(identity="x", path="x", kind="x"),
        bands=("a",),
        dims=d,
        dtype=str(stored.dtype),
        chip_px=1,
        gsd_m=1,
        corpus="x",
        corpus_path="x",
        quantisation=quantisation,
    )
    table = pd.DataFrame({"uid": uids if uids is not None else [f"{i:07d}" for i in range(n)], "sensor": "s"})
    table["date"], table["valid"] = pd.Series(pd.NaT, table.index, dtype="datetime64[us, UTC]"), 1.0
    held = Stored(stored, quantisation)
    norms = np.linalg.norm(held.decode(slice(None)), axis=1).astype(np.float32)
    geometry = gpd.GeoSeries([None] * n, crs="EPSG:4326")
    return Index(
        Path("x.parquet"),
        header,
        gpd.GeoDataFrame(table, geometry=geometry),
        held,
        norms,
        pd.Index(table["uid"].to_numpy(object), dtype=object),
    )


def brute(index, query, k, excluded=()):
    """All cosines in float64; ties by id."""
    vectors = index.stored.decode(slice(None)).astype(np.float64)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = (vectors / np.where(lengths > 0, lengths, 1) * (query / np.linalg.norm(query))).sum(axis=1)
    rows = np.setdiff1d(np.arange(len(vectors)), excluded)
    order = np.lexsort((index.table["uid"].to_numpy(str)[rows], -cosines[rows]))[:k]
    return rows[order], cosines[rows[order]]


@pytest.fixture(scope="module")
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("kind", ["float32", "linear", "signed-power"])
@pytest.mark.parametrize("count", [1, 100, 9000])
def test_equal_to_brute_force(kind, count, rng, monkeypatch):
    monkeypatch.setattr(exact, "POOL", 16)
    vectors = (rng.normal(0.3, 1, (5000, 17)) * rng.uniform(0.01, 30, 17)).astype(np.float32)
    vectors[7] = 0
    if kind == "float32":
        index = index_of(vectors)
    else:
        quantisation = Quantisation.fitted(kind, [vectors])
        index = index_of(quantisation.encode(vectors), quantisation)
    query, excluded = rng.normal(0.3, 1, 17), np.array([0, 3, 2048, 4999])
    rows, scores = exact.nearest_rows(index, query, count, excluded)
    expected, cosines = brute(index, query, count, excluded)
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_array_equal(scores, cosines)


def test_what_float32_cannot_tell_apart_is_told_apart(rng):
    """Thousands of vectors within a rounding of each other: the order of float32 scores would be chance."""
    vectors = (np.ones((6000, 33)) + 2e-7 * rng.integers(-3, 4, (6000, 33))).astype(np.float32)
    index, query = index_of(vectors), rng.normal(1, 0.1, 33)
    rows, scores = exact.nearest_rows(index, query, 50, np.empty(0, np.int64))
    expected, cosines = brute(index, query, 50)
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_array_equal(scores, cosines)
    vectors = vectors.astype(np.float64)
    lengths = np.linalg.norm(vectors, axis=1).astype(np.float32)
    rounded = vectors.astype(np.float32) @ query.astype(np.float32) / lengths
    assert set(np.argsort(-rounded, kind="stable")[:50]) != set(expected)


def test_ties_stand_in_the_order_of_ids(rng):
    vectors = np.tile(rng.normal(size=(1, 9)).astype(np.float32), (5000, 1))
    uids = [f"{i:05d}" for i in rng.permutation(5000)]
    index = index_of(vectors, uids=uids)
    found = find(index, Asked(like=("00000",)), count=10)
    assert found.table["uid"].tolist() == [f"{i:05d}" for i in range(1, 11)]
    assert found.table["score"].to_numpy() == pytest.approx(1)


def test_a_location_counts_once_by_its_best_date():
    angles = np.radians([0, 1, 2, 40, 3, 50, 4, 60, 5, 70])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    index = index_of(vectors, uids=["q", "a", "a", "a", "a", "b", "q", "b", "c", "c"], dates="each")
    index.table["date"] = pd.date_range("2020-01-01", periods=10, tz="UTC")
    found = find(index, Asked(like=("q@2020-01-01",)), count=3)
    assert found.rows.tolist() == [1, 8, 5]  # the query's other date is no answer either
    assert found.table["uid"].tolist() == ["a", "c", "b"]


def test_the_graph_finds_what_the_exact_search_finds(tmp_path, rng, capsys, monkeypatch):
    pytest.importorskip("usearch", reason="extra search")
    monkeypatch.setattr("swath.products.search._approximate.SAMPLED", 5)
    vectors = rng.normal(size=(400, 16)).astype(np.float32)
    index = index_of(vectors)
    path = tmp_path / "x.parquet"
    path.write_bytes(b"stands for the index")
    index = replace(index, path=path)
    for expected in ("of the 10 nearest are found", ""):  # made once, then read
        found = find(index, Asked(like=("0000005",)), count=20, approximate=True)
        rows, scores = brute(index, index.unit(np.array([5]))[0], 20, [5])
        assert len(set(found.rows) & set(rows)) >= 19
        assert found.table["score"].iloc[0] == scores[0]
        said = " ".join(capsys.readouterr().err.split())
        assert expected in said
        assert bool(said) == bool(expected)
    path.write_bytes(b"another state")
    find(index, Asked(like=("0000005",)), approximate=True)
    assert "nearest are found" in " ".join(capsys.readouterr().err.split())
    (tmp_path / "x.parquet.usearch").write_bytes(b"damaged")
    find(index, Asked(like=("0000005",)), approximate=True)
    assert "cannot be read and is made again" in " ".join(capsys.readouterr().err.split())
