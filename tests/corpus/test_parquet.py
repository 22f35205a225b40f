"""Parquet files of kilobytes that stand for much more: their size is known before they are read."""

import geopandas as gpd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from swath.corpus import parquet
from swath.corpus.ground import vector
from swath.corpus.sources._raster import BadFileError
from swath.corpus.sources.published.worldcereal_pixels import _table
from swath.corpus.store import index
from swath.errors import CorpusError
from tests.corpus import fakes

ROWS = 50_000


def written(path, column: pa.Array, **options):
    pq.write_table(pa.table({"x": column}), path, **options)
    assert path.stat().st_size < 30_000
    return path


def same(value, count: int = ROWS) -> pa.Array:
    return pa.array([value]).take(pa.array([0] * count))


@pytest.mark.parametrize("value", [7, 0.5, True, "x" * 100, b"x" * 100, None])
@pytest.mark.parametrize("dictionary", [True, False])
def test_the_size_is_that_of_the_table(tmp_path, value, dictionary):
    column = same(value)
    path = written(tmp_path / "a.parquet", column, use_dictionary=dictionary, compression="zstd")
    found, real = parquet.decoded_size(path, 10**12), pq.read_table(path).nbytes
    assert 0.7 * real <= found <= 8 * real + 200_000  # true or false takes a bit, nothing a byte


@pytest.mark.parametrize(
    ("column", "options"),
    [
        (same(7), {}),
        (same("x" * 100), {}),
        (same(["x" * 100] * 3, 20_000), {}),
        (same({"a": b"x" * 100}), {}),
        (same("x" * 100), {"use_dictionary": False, "column_encoding": {"x": "DELTA_BYTE_ARRAY"}}),
    ],
)
def test_what_takes_more_than_the_limit_is_not_read(tmp_path, column, options):
    path = written(tmp_path / "a.parquet", column, **options)
    assert parquet.decoded_size(path, 10**12) >= 0.7 * column.nbytes
    with pytest.raises(BadFileError, match=r"a\.parquet would take .* GB to read, the limit is 0\.0002"):
        _table(path, 0.0002)


def test_shapes(tmp_path, monkeypatch):
    monkeypatch.setattr(vector, "LARGEST_BYTES", 200_000)
    path = written(tmp_path / "a.parquet", same(b"x" * 100))
    with pytest.raises(CorpusError, match=r"would take 0\.0 GB to read, the limit is 0\.0002"):
        vector.read(path, "area")


@pytest.mark.parametrize("shape", [5, "x", b"x", [1.0]])
def test_shapes_that_are_none(tmp_path, shape):
    gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)], crs=4326).to_parquet(tmp_path / "a.parquet")
    table = pq.read_table(tmp_path / "a.parquet")
    pq.write_table(table.set_column(0, "geometry", pa.array([shape])), tmp_path / "a.parquet")
    with pytest.raises(CorpusError, match="cannot read the shapes"):
        vector.read(tmp_path / "a.parquet", "area")


def test_an_index_of_more_rows_than_bytes(tmp_path):
    corpus = fakes.make(tmp_path / "corpus", count=2)
    assert len(index.read_chips(corpus.path, complete=True)) == len(corpus.chips)
    count = 200_000
    table = pq.read_table(corpus.path / "chips.parquet").take(pa.array([0] * count))
    pq.write_table(table, corpus.path / "chips.parquet")
    for read in (lambda: index.read_chips(corpus.path, complete=True), lambda: index.read_chip_index(corpus.path)):
        with pytest.raises(CorpusError, match=r"chips\.parquet says that it has 200,000 rows, in"):
            read()
