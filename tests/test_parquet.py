"""Parquet files of kilobytes that stand for much more: their size is known before they are read."""

import sqlite3
from contextlib import closing

import geopandas as gpd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from swath import _parquet as parquet
from swath.corpus.ground import vector
from swath.corpus.sources import _growth
from swath.corpus.sources._raster import BadFileError
from swath.corpus.sources._shapes import ShapeLayer, Shapes
from swath.corpus.sources.published.worldcereal_pixels import _table
from swath.corpus.store import index
from swath.errors import CorpusError, SwathError
from swath.tasks import schema
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


def test_the_limit_of_shapes_is_a_setting(tmp_path):
    path = tmp_path / "a.parquet"
    square = shapely.box(0, 0, 1, 1)
    gpd.GeoDataFrame({"code": [1] * 5000}, geometry=[square] * 5000, crs=4326).to_parquet(path)
    said = {"layer": "crops", "file": path, "column": "code", "classes": {1: "wheat"}}
    with pytest.raises(CorpusError, match=r"would take 0\.0 GB to read, the limit is 0\.0002.*(.|\n)*max_table_gb"):
        Shapes([ShapeLayer.model_validate({**said, "max_table_gb": 0.0002})], None)
    assert Shapes([ShapeLayer.model_validate(said)], None).layers.keys() == {"crops"}


OWN = {
    "chips.parquet": lambda folder: index.read_chips(folder, complete=True),
    "locations.parquet": lambda folder: index.read_locations(folder, complete=True),
    "predictions.parquet": schema.PREDICTIONS.read,
    "files.parquet": lambda folder: _growth._recorded(folder / "files.parquet"),
}


@pytest.mark.parametrize("name", OWN)
def test_tables_of_swath_that_stand_for_far_more_than_their_size(tmp_path, name, monkeypatch):
    monkeypatch.setattr(parquet, "OWN_BYTES", 10**6)
    monkeypatch.setattr(parquet, "OWN_TIMES", 1)
    column = pa.array(["x" * 1000]).take(pa.array([0] * 10_000)).cast(pa.string())
    needed = {"predictions.parquet": schema.PREDICTIONS.columns}.get(name, ["uid"])
    pq.write_table(pa.table(dict.fromkeys(needed, column)), tmp_path / name, compression="none")
    with pytest.raises(SwathError, match=rf"{name} (would take|says that it has 10,000 rows)"):
        OWN[name](tmp_path)


def test_a_larger_table_may_take_a_multiple_of_its_size(tmp_path, monkeypatch):
    path = written(tmp_path / "a.parquet", same("x" * 100))  # 5 MB
    times = 5_200_000 / path.stat().st_size
    assert parquet.measured(path) == path
    monkeypatch.setattr(parquet, "OWN_BYTES", 1000)
    monkeypatch.setattr(parquet, "OWN_TIMES", int(1.1 * times))
    assert parquet.measured(path) == path
    monkeypatch.setattr(parquet, "OWN_TIMES", int(0.9 * times))
    with pytest.raises(ValueError, match=r"a\.parquet would take 0\.0 GB to read, the limit is"):
        parquet.measured(path)


RENAMED = "ALTER TABLE stored RENAME TO fields; "
GEOPACKAGE = {
    "a view": "DROP TABLE fields_; CREATE VIEW fields AS SELECT * FROM stored",
    "a view without end": "DROP TABLE fields_; CREATE VIEW fields AS WITH RECURSIVE n(fid) AS "
    "(SELECT 1 UNION ALL SELECT fid + 1 FROM n) SELECT n.fid, geom, code FROM n, stored",
    "a column": RENAMED + "ALTER TABLE fields ADD COLUMN big GENERATED ALWAYS AS (zeroblob(1000000)) VIRTUAL",
    "the list itself": RENAMED + "ALTER TABLE gpkg_contents RENAME TO other; "
    "CREATE VIEW gpkg_contents AS SELECT * FROM other",
}


@pytest.mark.parametrize("how", GEOPACKAGE)
def test_what_a_geopackage_computes_is_not_read(tmp_path, how):
    path = tmp_path / "a.gpkg"
    gpd.GeoDataFrame({"code": [1]}, geometry=[shapely.box(0, 0, 1, 1)], crs=4326).to_file(path, layer="fields")
    assert len(vector.read(path, "area")) == 1
    with closing(sqlite3.connect(path)) as file:
        triggers = file.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (trigger,) in triggers:
            file.execute(f'DROP TRIGGER "{trigger}"')
        file.execute("CREATE TABLE stored AS SELECT * FROM fields")
        file.execute("ALTER TABLE fields RENAME TO fields_")
        file.executescript(GEOPACKAGE[how])
    with pytest.raises(CorpusError, match="is not stored but computed when it is read"):
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
