"""An index holds the encoder's own vectors, where and when they were seen, in files that other tools open."""

import json
import shutil
import weakref

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pystac
import pytest
import rasterio
import shapely
from affine import Affine
from filelock import FileLock

from swath import encoders
from swath.corpus import Reader
from swath.encoders import Encoder
from swath.errors import ContractError, CorpusError, SwathError
from swath.products.embeddings import Header, Quantisation, Storage, build_index, embed, mapped
from swath.products.embeddings import _parts as parts
from swath.products.embeddings._plan import Plan
from tests.products.indices import SIDE_M, make_squares, square
from tests.tasks.fakes import OPTICAL, make_fields


@pytest.fixture(scope="module")
def index(squares, encoder_path, tmp_path_factory):
    return build_index(encoder_path, squares, tmp_path_factory.mktemp("index") / "x.parquet").path


@pytest.fixture(scope="module")
def quantised(squares, encoder_path, tmp_path_factory):
    target = tmp_path_factory.mktemp("quantised") / "q.parquet"
    return build_index(encoder_path, squares, target, dates="each", storage=Storage(quantise="linear", labels="kind"))


def by_hand(corpus, encoder_path, chips):
    """The encoder's vectors of chips, one after the other."""
    encoder = encoders.load(encoder_path)
    reader = Reader(corpus, {OPTICAL: ("B02", "B03", "B04")})
    found = [encoder.embed(reader.read({OPTICAL: np.array([[chip]])})[OPTICAL]).numpy()[0] for chip in chips]
    return np.stack(found)


def test_each_chip_has_the_encoders_own_vector(squares, encoder_path, tmp_path):
    written = build_index(encoder_path, squares, tmp_path / "each.parquet", dates="each")
    table = gpd.read_parquet(written.path)
    assert written.notes == ()
    assert len(table) == len(squares.chips) == written.rows
    chips = squares.chips.reset_index().merge(
        table.reset_index(), left_on=["uid", "datetime"], right_on=["uid", "date"]
    )
    assert len(chips) == len(table)
    expected = by_hand(squares, encoder_path, chips["index_x"])
    np.testing.assert_allclose(np.stack(table["embedding"])[chips["index_y"]], expected, atol=1e-6)
    np.testing.assert_allclose(chips["valid_y"], chips["valid_x"])
    assert chips["chip"].tolist() == chips["index_x"].tolist()
    assert table.loc[table["uid"] == "square-03", "valid"].tolist() == [0.75, 0.75]
    assert set(table["sensor"]) == {OPTICAL}


def test_one_date_is_the_one_that_embed_takes(squares, encoder_path, index):
    table = gpd.read_parquet(index).set_index("uid")
    expected = embed(encoder_path, squares)
    np.testing.assert_allclose(np.stack(table.loc[expected.index, "embedding"]), expected, atol=1e-6)
    outlines = squares.locations.set_index("uid").geometry
    assert table.geometry.geom_equals(outlines.loc[table.index].to_crs(table.crs)).all()
    assert table.crs.equals("EPSG:4326", ignore_axis_order=True)


def test_rows_lie_along_a_hilbert_curve_with_their_boxes(index, squares):
    table = gpd.read_parquet(index)
    assert table.geometry.hilbert_distance().is_monotonic_increasing
    boxes = pd.DataFrame(pq.read_table(index, columns=["bbox"])["bbox"].to_pylist())
    np.testing.assert_allclose(boxes[["xmin", "ymin", "xmax", "ymax"]], table.bounds)
    west, south, east, north = squares.locations.geometry.iloc[4].bounds
    inside = gpd.read_parquet(index, bbox=(west + 1e-5, south + 1e-5, east - 1e-5, north - 1e-5))
    assert inside["uid"].tolist() == ["square-04"]
    geo = json.loads(pq.read_schema(index).metadata[b"geo"])
    assert geo["version"] == "1.1.0"
    assert geo["columns"]["geometry"]["covering"]["bbox"]["xmax"] == ["bbox", "xmax"]


def test_row_groups_are_small_enough_for_one_place(squares, encoder_path, tmp_path, monkeypatch):
    monkeypatch.setattr("swath.products.embeddings._table.GROUP_BYTES", 0)
    monkeypatch.setattr("swath.products.embeddings._table.FEWEST", 5)
    path = build_index(encoder_path, squares, tmp_path / "x.parquet").path
    with pq.ParquetFile(path) as file:
        assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [5, 5, 2]
    header = Header.read(path)
    np.testing.assert_array_equal(mapped(path, header).values, np.stack(pd.read_parquet(path)["embedding"]))


def test_duckdb_reads_it(quantised):
    import duckdb

    sql = (
        "select uid, date, bbox.xmin as west, embedding::FLOAT[12] as v from read_parquet(?) where date >= '2020-06-01'"
    )
    found = duckdb.execute(sql, [str(quantised.path)]).df().sort_values("uid", ignore_index=True)
    table = gpd.read_parquet(quantised.path)
    later = table[table["date"] >= "2020-06-01"].sort_values("uid", ignore_index=True)
    assert len(found) == 12
    np.testing.assert_array_equal(np.stack(found["v"]), np.stack(later["embedding"]))
    np.testing.assert_allclose(found["west"], later.bounds["minx"])


def test_bytes_are_what_the_metadata_says(quantised, squares, encoder_path):
    header = Header.read(quantised.path)
    table = pd.read_parquet(quantised.path)
    stored = np.stack(table["embedding"])
    assert stored.dtype == np.int8
    scale = json.loads(pq.read_schema(quantised.path).metadata[b"emb"])["emb:quantization"]["scale"]
    rows = squares.chips.reset_index().merge(table, left_on=["uid", "datetime"], right_on=["uid", "date"])
    expected = by_hand(squares, encoder_path, rows["index"])
    back = np.stack(rows["embedding"]) * np.array(scale)
    assert (np.abs(back - expected) <= np.array(scale) * 0.5000001).all()
    np.testing.assert_allclose(np.abs(expected).max(axis=0), 127 * np.array(scale), rtol=1e-6)
    np.testing.assert_allclose(
        mapped(quantised.path, header).decode(slice(None)), stored * np.float32(scale), rtol=1e-6
    )
    cosine = (back * expected).sum(1) / np.linalg.norm(back, axis=1) / np.linalg.norm(expected, axis=1)
    assert header.round_trip["cosine"]["minimum"] == pytest.approx(cosine.min(), abs=1e-6)
    assert header.round_trip["cosine"]["median"] == pytest.approx(np.median(cosine), abs=1e-6)
    assert header.round_trip["probe"]["labels"] == "kind"
    assert header.round_trip["probe"]["rows"] == 24
    assert [note for note in quantised.notes if "knn on kind, accuracy before" in note]


@pytest.mark.parametrize("method", ["linear", "signed-power"])
def test_methods_are_undone_by_their_formulas(method):
    vectors = np.random.default_rng(0).normal(0, [1, 1e-3, 50, 0], (400, 4)).astype(np.float32)
    quantisation = Quantisation.fitted(method, [vectors[:100], vectors[100:]])
    stored, scale = quantisation.encode(vectors), np.array(quantisation.scale)
    most = np.where(np.abs(vectors).max(0) > 0, np.abs(vectors).max(0), 1)
    if method == "linear":
        expected = np.rint(vectors / (most / 127))
        undone = stored * scale
    else:
        expected = np.rint(np.sign(vectors) * np.sqrt(np.abs(vectors) / most) * 127)
        undone = np.sign(stored) * (stored / 127.0) ** 2 * scale
    assert stored.dtype == np.int8
    assert stored.min() >= -127
    assert (np.abs(stored - expected) <= 1).all()
    np.testing.assert_allclose(quantisation.decode(stored), undone, rtol=1e-5, atol=1e-9)


def test_a_prefix_and_principal_components(squares, encoder_path, index, tmp_path):
    whole = mapped(index, Header.read(index)).decode(slice(None))
    head = build_index(encoder_path, squares, tmp_path / "head.parquet", storage=Storage(prefix=5))
    np.testing.assert_array_equal(mapped(head.path, head.header).values, whole[:, :5])
    written = build_index(encoder_path, squares, tmp_path / "p.parquet", storage=Storage(pca=3))
    values = mapped(written.path, written.header).decode(slice(None))
    from sklearn.decomposition import PCA

    oracle = PCA(3).fit(whole.astype(float))
    expected = oracle.transform(whole.astype(float))
    np.testing.assert_allclose(np.abs(values), np.abs(expected), atol=1e-5)
    assert written.header.reduction.explained == pytest.approx(oracle.explained_variance_ratio_.sum(), abs=1e-6)
    again = build_index(
        encoder_path, squares, tmp_path / "again.parquet", storage=Storage(pca_from=tmp_path / "p.pca.safetensors")
    )
    np.testing.assert_array_equal(mapped(again.path, again.header).values, values)
    named_otherwise = shutil.copy(index, tmp_path / "index.geoparquet")
    sample = build_index(
        encoder_path, squares, tmp_path / "s.parquet", storage=Storage(pca=3, pca_from=named_otherwise)
    )
    np.testing.assert_allclose(mapped(sample.path, sample.header).values, values, atol=1e-5)


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        ({"prefix": 13}, "a prefix of 13 dimensions of 12"),
        ({"pca": 12}, "12 vectors of 12 dimensions have no 12 principal components"),
        ({"prefix": 2, "pca": 2}, "both a prefix and principal components"),
        ({"labels": "cover"}, "nothing is quantised"),
    ],
)
def test_what_cannot_be_reduced_is_refused(squares, encoder_path, tmp_path, storage, message):
    with pytest.raises(ContractError, match=message):
        build_index(encoder_path, squares, tmp_path / "x.parquet", storage=Storage(**storage))
    assert not (tmp_path / "x.parquet").exists()


def test_a_table_is_written_under_no_other_ending(squares, encoder_path, tmp_path):
    for name in ("x.tiff", "x.csv", "x"):
        with pytest.raises(ContractError, match="a table of embeddings is GeoParquet, and not"):
            build_index(encoder_path, squares, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_killed_embedding_continues(squares, encoder_path, index, tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "ROWS", 4)
    seen, whole = [], Encoder.embed

    def embed_until(limit):
        def call(self, image, *, trusted=False):
            if len(seen) >= limit:
                raise KeyboardInterrupt
            seen.append(len(image.valid))
            return whole(self, image, trusted=trusted)

        return call

    target = tmp_path / "x.parquet"
    monkeypatch.setattr(Encoder, "embed", embed_until(2))
    with pytest.raises(KeyboardInterrupt):
        build_index(encoder_path, squares, target, batch_size=2)
    assert not target.exists()
    assert not list(tmp_path.glob("*.json"))
    monkeypatch.setattr(Encoder, "embed", embed_until(99))
    build_index(encoder_path, squares, target, batch_size=2)
    assert sum(seen) == 12  # nothing twice
    np.testing.assert_allclose(
        mapped(target, Header.read(target)).values, mapped(index, Header.read(index)).values, atol=1e-6
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.collection.json", "x.item.json", "x.parquet"]


def test_nothing_is_held_of_rows_before_those_that_the_encoder_sees(squares, encoder_path, tmp_path, monkeypatch):
    embed_, images, read, alive = Encoder.embed, Plan.images, [], []

    def reading(self, *given, **more):
        found = images(self, *given, **more)
        read.append(weakref.ref(found[OPTICAL].pixels))
        return found

    def embedding(self, image, *, trusted=False):
        alive.append(sum(one() is not None for one in read[: len(alive)]))
        return embed_(self, image, trusted=trusted)

    monkeypatch.setattr(Plan, "images", reading)
    monkeypatch.setattr(Encoder, "embed", embedding)
    build_index(encoder_path, squares, tmp_path / "x.parquet", batch_size=2)
    assert len(alive) == 6
    assert not any(alive)


def test_parts_of_another_job_are_not_taken(squares, encoder_path, index, tmp_path):
    folder = tmp_path / ".x.parquet.parts"
    folder.mkdir()
    (folder / "job.json").write_text("{}")
    np.save(folder / "part-000000.npy", np.zeros((12, 12), np.float32))
    path = build_index(encoder_path, squares, tmp_path / "x.parquet").path
    np.testing.assert_array_equal(mapped(path, Header.read(path)).values, mapped(index, Header.read(index)).values)


def test_two_writers_are_kept_apart(squares, encoder_path, tmp_path):
    folder = tmp_path / ".x.parquet.parts"
    folder.mkdir()
    with FileLock(folder / ".lock"), pytest.raises(SwathError, match="another process is writing this file"):
        build_index(encoder_path, squares, tmp_path / "x.parquet")


def test_a_full_disk_leaves_no_half_file(squares, encoder_path, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pyarrow.parquet.ParquetWriter.write_table", full)
    with pytest.raises(OSError, match="No space left") as raised:
        build_index(encoder_path, squares, tmp_path / "x.parquet")
    assert raised.value.filename == str(tmp_path / "x.parquet")
    assert [path.name for path in tmp_path.iterdir()] == [".x.parquet.parts"]  # what is computed is kept


def test_vectors_that_are_not_finite_are_refused(squares, encoder_path, tmp_path, monkeypatch):
    whole = Encoder.embed
    monkeypatch.setattr(Encoder, "embed", lambda *a, **k: whole(*a, **k).log().log())
    with pytest.raises(ContractError, match=r"not finite for \d+ rows; the first is square-00"):
        build_index(encoder_path, squares, tmp_path / "x.parquet")


def test_a_corpus_without_coordinates_is_embedded_and_it_is_said(encoder_path, tmp_path):
    corpus = make_squares(tmp_path / "c", 3, located=False)
    written = build_index(encoder_path, corpus, tmp_path / "x.parquet")
    assert written.notes == ("no row has coordinates: the file has no geometry, and there is no STAC collection",)
    table = pd.read_parquet(written.path)
    assert list(table.columns) == ["uid", "sensor", "date", "chip", "valid", "embedding"]
    np.testing.assert_allclose(np.stack(table.set_index("uid")["embedding"]), embed(encoder_path, corpus), atol=1e-6)


def test_locations_without_a_chip_are_counted(encoder_path, tmp_path):
    fields = make_fields(tmp_path / "c", 4)
    both = tmp_path / "both"
    from tests.products.indices import ALL, saved

    saved(both, ALL)
    written = build_index(both, fields, tmp_path / "x.parquet", dates="each")
    assert written.notes[0] == "1 locations are left out, which lack a chip of every sensor"
    table = pd.read_parquet(written.path)
    assert "field-001" not in set(table["uid"])
    assert set(table["sensor"]) == {"sentinel-2-l2a+sentinel-1-grd"}
    optical = fields.chips[(fields.chips["sensor"] == OPTICAL) & (fields.chips["uid"] != "field-001")]
    assert sorted(zip(table["uid"], table["date"], strict=True)) == sorted(
        zip(optical["uid"], optical["datetime"], strict=True)
    )


def test_nothing_to_embed_is_refused(squares, tmp_path):
    from tests.products.indices import saved

    radar = tmp_path / "radar"
    saved(radar, ("sentinel-1-grd/VV",))
    with pytest.raises(ContractError, match="the bands of the encoder are not there"):
        build_index(radar, squares, tmp_path / "x.parquet")
    with pytest.raises(CorpusError, match="no corpus and no GeoTIFF"):
        build_index(radar, tmp_path, tmp_path / "x.parquet")


def test_the_collection_says_what_the_extension_asks_for(quantised):
    collection = pystac.Collection.from_file(str(quantised.path.with_name("q.collection.json")))
    said = collection.to_dict(include_self_link=False)
    assert (said["emb:type"], said["emb:dimensions"], said["data_type"], said["gsd"]) == ("chip", 12, "int8", 10.0)
    assert {"emb:model", "emb:source-data"} <= {link["rel"] for link in said["links"]}
    assert said["extent"]["temporal"]["interval"] == [["2020-05-01T00:00:00Z", "2020-06-12T00:00:00Z"]]
    bounds = gpd.read_parquet(quantised.path).total_bounds
    np.testing.assert_allclose(said["extent"]["spatial"]["bbox"][0], bounds)
    assert not [
        key for key in said if key.startswith("emb:") and key not in {"emb:type", "emb:dimensions", "emb:chip_layout"}
    ]
    item = pystac.Item.from_file(str(quantised.path.with_name("q.item.json")))
    assert item.properties["emb:quantization"]["scale"] == list(Header.read(quantised.path).quantisation.scale)
    assert item.assets["embeddings"].href == "./q.parquet"


def test_a_folder_of_geotiffs_lies_where_its_files_lie(encoder_path, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    counts = np.random.default_rng(0).integers(1200, 4000, (2, 3, 8, 8)).astype(np.uint16)
    for i in range(2):
        profile = {"driver": "GTiff", "width": 8, "height": 8, "count": 3, "dtype": "uint16", "crs": "EPSG:32632"}
        with rasterio.open(folder / f"{i}.tif", "w", transform=Affine(*square(i)), **profile) as file:
            file.write(counts[i])
    table = gpd.read_parquet(build_index(encoder_path, folder, tmp_path / "x.parquet").path).set_index("uid")
    np.testing.assert_allclose(np.stack(table["embedding"]), embed(encoder_path, folder).loc[table.index], atol=1e-6)
    for i in range(2):
        x, y = 500_000 + SIDE_M * i, 5_600_000
        expected = shapely.box(x, y - SIDE_M, x + SIDE_M, y)
        assert table.geometry.to_crs("EPSG:32632")[str(i)].symmetric_difference(expected).area < 1e-3


def test_channels_of_a_folder_go_by_their_names_or_are_refused(encoder_path, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    counts = np.random.default_rng(0).integers(1200, 4000, (3, 8, 8)).astype(np.uint16)
    profile = {"driver": "GTiff", "width": 8, "height": 8, "count": 3, "dtype": "uint16", "crs": "EPSG:32632"}

    def embedded(names, order):
        with rasterio.open(folder / "0.tif", "w", transform=Affine(*square(0)), **profile) as file:
            file.write(counts[order])
            file.descriptions = names
        return embed(encoder_path, folder).to_numpy()

    expected = embedded((None, None, None), [0, 1, 2])
    np.testing.assert_array_equal(embedded(("B04", "B02", "B03"), [2, 0, 1]), expected)
    for names in (("swir", "nir", "blue"), ("B03", None, None)):
        with pytest.raises(CorpusError, match="wanted are 3 of sentinel-2-l2a: B02, B03, B04"):
            embedded(names, [0, 1, 2])


def test_dates_that_nobody_knows_are_no_rows_of_their_own(encoder_path, tmp_path):
    corpus = make_squares(tmp_path / "c", 3, dated=False)
    with pytest.raises(CorpusError, match="3 chips have the location and date of another, or no date"):
        build_index(encoder_path, corpus, tmp_path / "x.parquet", dates="each")
    written = build_index(encoder_path, corpus, tmp_path / "x.parquet")
    assert written.notes == ("no date is known: there is a STAC collection, but no item",)
    assert not (tmp_path / "x.item.json").exists()
