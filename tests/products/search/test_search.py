"""What is looked for becomes a vector by a formula that is written down; files and pictures show what was found."""

import errno
import json
import tempfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rasterio
import shapely
from PIL import Image
from pyproj import Geod
from typer.testing import CliRunner

from swath.cli import app
from swath.errors import ContractError, CorpusError, SwathError
from swath.products.embeddings import Storage, build_index
from swath.products.search import Asked, Index, draw_sheet, find, write_results
from tests.products.embeddings.test_zones import strip, write
from tests.products.indices import make_squares, saved
from tests.products.search.test_exact import brute


@pytest.fixture(scope="module")
def index(squares, encoder_path, tmp_path_factory):
    path = build_index(encoder_path, squares, tmp_path_factory.mktemp("index") / "x.parquet").path
    return Index.open(path)


def unit(index, *uids):
    vectors = index.stored.decode(slice(None)).astype(float)
    own = [vectors[index.table["uid"].tolist().index(uid)] for uid in uids]
    return np.stack([vector / np.linalg.norm(vector) for vector in own])


def test_like_a_location(index):
    found = find(index, Asked(like=("square-04",)), count=3)
    rows, scores = brute(index, unit(index, "square-04")[0], 3, index.rows_of("square-04"))
    assert found.rows.tolist() == rows.tolist()
    np.testing.assert_array_equal(found.table["score"], scores)
    assert found.table["rank"].tolist() == [1, 2, 3]
    assert "1 locations are what was looked for, and no answer" in found.notes
    # middles of squares of 80 m in a row
    west = [int(uid[-2:]) for uid in found.table["uid"]]
    np.testing.assert_allclose(found.table["km"], [0.08 * abs(i - 4) for i in west], rtol=2e-3)


def test_positives_minus_negatives_by_rocchio(index):
    asked = Asked(like=("square-01", "square-02"), unlike=("square-10", "square-11", "square-09"), negatives=0.7)
    found = find(index, asked, count=4)
    vector = unit(index, "square-01", "square-02").mean(0) - 0.7 * unit(
        index, "square-09", "square-10", "square-11"
    ).mean(0)
    gone = np.concatenate([index.rows_of(f"square-{i:02d}") for i in (1, 2, 9, 10, 11)])
    rows, scores = brute(index, vector, 4, gone)
    assert found.rows.tolist() == rows.tolist()
    np.testing.assert_allclose(found.table["score"], scores, atol=1e-12)
    assert "5 locations are what was looked for, and no answer" in found.notes


def test_at_a_point_inside_and_outside(index):
    squares_ = index.table.set_index("uid").geometry
    middle = squares_["square-07"].centroid
    inside = find(index, Asked(at=(middle.x, middle.y)), count=2)
    assert inside.notes[0] == "square-07 contains the point"
    assert inside.table["score"].tolist() == find(index, Asked(like=("square-07",)), count=2).table["score"].tolist()
    north = squares_.bounds["maxy"].max() + 0.05
    outside = find(index, Asked(at=(middle.x, north)), count=2)
    edge = shapely.get_coordinates(squares_["square-07"].exterior.segmentize(1e-5))
    geod = Geod(ellps="WGS84")
    metres = geod.inv(np.full(len(edge), middle.x), np.full(len(edge), north), edge[:, 0], edge[:, 1])[2].min()
    said = outside.notes[0]
    assert said.startswith("square-07 is the nearest to the point, ")
    assert float(said.split()[-3]) == pytest.approx(metres / 1000, abs=2e-3)


def test_the_nearest_is_found_across_the_antimeridian():
    from swath.products.search._query import _may_be_nearest, _metres

    shapes = np.array([shapely.Point(-179.9, 10), shapely.Point(178, 10), shapely.box(100, -5, 101, 5)])
    near = _may_be_nearest(shapely.bounds(shapes), 179.9, 10.0)
    assert 0 in near
    expected = Geod(ellps="WGS84").inv(179.9, 10, -179.9, 10)[2]
    assert _metres(shapes[:1], 179.9, 10.0)[0] == pytest.approx(expected, rel=1e-6)


def test_within_polygons(index, tmp_path):
    polygons = write(tmp_path / "area.gpkg", [strip(2, 4.4), strip(8.6, 9.4)])  # of square 4 less than half
    found = find(index, Asked(within=polygons), count=5)
    assert found.notes[0] == "2 locations have their middle in the polygons"
    rows, _ = brute(
        index,
        unit(index, "square-02", "square-03").mean(0),
        5,
        np.r_[index.rows_of("square-02"), index.rows_of("square-03")],
    )
    assert found.rows.tolist() == rows.tolist()
    with pytest.raises(SwathError, match="no location has its middle in the polygons"):
        find(index, Asked(within=write(tmp_path / "small.gpkg", [strip(2.1, 2.2)])))
    gpd.read_file(polygons).to_file(tmp_path / "bare.shp")
    (tmp_path / "bare.prj").unlink()
    with pytest.raises(CorpusError, match="it says no reference system"):
        find(index, Asked(within=tmp_path / "bare.shp"))


@pytest.fixture
def picture(squares, tmp_path):
    """The pixels of the first date of square 5 as a GeoTIFF of counts."""
    chip = squares.chips.query("uid == 'square-05'").iloc[0]
    pixels = squares.pixel_array(chip["sensor"])[int(chip["row"])].read().result()
    counts = np.rint(np.asarray(pixels) * 10_000).astype(np.uint16)
    file = tmp_path / "a [1].tif"
    with rasterio.open(
        file, "w", driver="GTiff", width=8, height=8, count=3, dtype="uint16", crs="EPSG:32632",
        transform=rasterio.Affine(10, 0, 5e5, 0, -10, 5.6e6),
    ) as target:  # fmt: skip
        target.write(counts)
    return file


def test_an_image_by_the_same_encoder_alone(squares, encoder_path, picture, tmp_path):
    index = build_index(encoder_path, squares, tmp_path / "x.parquet", dates="each", storage=Storage(pca=4)).path
    found = find(index, Asked(image=picture), count=1)
    first = squares.chips.query("uid == 'square-05'").iloc[0]
    assert (found.table["uid"][0], found.table["date"][0]) == ("square-05", first["datetime"])
    assert found.table["score"][0] > 0.999
    assert not found.query.rows.size
    other = tmp_path / "other"
    saved(other, ("sentinel-2-l2a/B02", "sentinel-2-l2a/B03"))
    with pytest.raises(ContractError, match="the index was made by another encoder"):
        find(index, Asked(image=picture, encoder=other))
    with pytest.raises(SwathError, match="there is no such image"):
        find(index, Asked(image=tmp_path / "none.tif"))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (Asked(), "nothing is looked for"),
        (Asked(like=("square-99",)), "no location 'square-99'"),
        (Asked(like=("square-01@1999-01-01",)), "square-01 has no date 1999-01-01"),
        (Asked(like=("square-01",), unlike=("square-01",)), "both wanted and not wanted"),
        (Asked(at=(50.0, 120.0)), "no longitude and latitude; they are probably swapped"),
        (Asked(at=(200.0, 0.0)), "no longitude and latitude"),
    ],
)
def test_what_cannot_be_looked_for(index, asked, message):
    with pytest.raises(SwathError, match=message):
        find(index, asked)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"like": ("square-01",), "encoder": Path("e")}, "the encoder embeds an image, and none is given"),
        ({"like": ("square-01",), "negatives": 0.2}, "a weight of what is not wanted, and nothing is"),
    ],
)
def test_what_has_no_effect_on_what_is_looked_for_is_refused(asked, message):
    with pytest.raises(SwathError, match=message):
        Asked(**asked)


def test_more_than_there_are(index):
    found = find(index, Asked(like=("square-04",)), count=99)
    assert len(found.table) == 11
    assert "11 places, not 99: there are no more" in found.notes
    with pytest.raises(SwathError, match="0 places"):
        find(index, Asked(like=("square-04",)), count=0)


def test_files_that_other_tools_open(index, tmp_path):
    found = find(index, Asked(like=("square-04",)), count=3)
    geojson = gpd.read_file(write_results(found, tmp_path / "x.geojson"))
    assert geojson["uid"].tolist() == found.table["uid"].tolist()
    np.testing.assert_allclose(geojson["score"], found.table["score"])
    assert geojson.geometry.geom_equals_exact(found.table.geometry.to_crs(geojson.crs), 1e-9).all()
    assert json.loads((tmp_path / "x.geojson").read_text())["notes"] == list(found.notes)
    parquet = gpd.read_parquet(write_results(found, tmp_path / "x.parquet"))
    assert parquet["rank"].tolist() == [1, 2, 3]
    with pytest.raises(SwathError, match=r"not written as \.csv"):
        write_results(found, tmp_path / "x.csv")


def test_a_sheet_of_pictures(index, squares, tmp_path):
    found = find(index, Asked(like=("square-04",)), count=7)
    with Image.open(draw_sheet(index, found, tmp_path / "x.png")) as picture:
        size = picture.size
    assert size[0] == 6 * 1.5 * 150
    assert size[1] == pytest.approx((3 * 1.95 + 0.1) * 150, abs=2)
    other = make_squares(tmp_path / "other", 3)
    with pytest.raises(CorpusError, match="not the one that the index was made of"):
        draw_sheet(index, found, tmp_path / "y.png", other)
    with pytest.raises(CorpusError, match="no corpus to take pictures from"):
        draw_sheet(index, found, tmp_path / "y.png", tmp_path / "nowhere")


def test_the_pictures_are_those_of_the_rows(encoder_path, tmp_path):
    """Also where no date is known, which would tell a location's chips apart."""
    from swath.products.search import chip_of

    corpus = make_squares(tmp_path / "c", 3, dated=False)
    index = Index.open(build_index(encoder_path, corpus, tmp_path / "x.parquet").path)
    vectors = index.stored.decode(slice(None))
    for i in range(3):
        chip = corpus.chips.iloc[chip_of(corpus, "sentinel-2-l2a", index.table.iloc[i].to_dict())]
        pixels = corpus.pixel_array(chip["sensor"])[int(chip["row"])].read().result()
        assert chip["uid"] == index.table["uid"][i]
        # the first number is the mean of the first band in units of its deviation
        if chip["valid"] == 1:
            assert vectors[i, 0] == pytest.approx((pixels[0].mean() - 0.2) / 0.1, abs=1e-4)


def test_without_coordinates(encoder_path, tmp_path):
    corpus = make_squares(tmp_path / "c", 4, located=False)
    path = build_index(encoder_path, corpus, tmp_path / "x.parquet").path
    found = find(path, Asked(like=("square-01",)))
    assert found.table["km"].isna().all()
    assert json.loads(write_results(found, tmp_path / "x.geojson").read_text())["features"][0]["geometry"] is None
    with pytest.raises(SwathError, match="no location of the index has coordinates"):
        find(path, Asked(at=(5.0, 50.0)))


def test_indices_that_cannot_be_trusted_are_refused(index, tmp_path):
    whole = pq.read_table(index.path)

    def changed(name, table):
        pq.write_table(table, tmp_path / name)
        return tmp_path / name

    with pytest.raises(SwathError, match="the index is empty"):
        Index.open(changed("empty.parquet", whole.slice(0, 0)))
    with pytest.raises(SwathError, match="12 rows repeat the uid and date"):
        Index.open(changed("twice.parquet", pa.concat_tables([whole, whole])))
    values = index.stored.decode(slice(None)).copy()
    values[3] = np.nan
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
    lost = whole.set_column(whole.schema.get_field_index("embedding"), "embedding", vectors)
    with pytest.raises(SwathError, match="1 of 12 vectors are not finite"):
        Index.open(changed("nan.parquet", lost))
    with pytest.raises(SwathError, match="no embeddings that swath wrote"):
        Index.open(changed("foreign.parquet", whole.replace_schema_metadata(None)))
    pd.DataFrame({"uid": ["a"]}).to_parquet(tmp_path / "plain.parquet")
    with pytest.raises(SwathError, match="no embeddings that swath wrote"):
        Index.open(tmp_path / "plain.parquet")


def test_an_ending_that_cannot_be_written_is_refused_before_anything_is(index, tmp_path):
    words = [
        "search",
        str(index.path),
        "--like",
        "square-01",
        "--to",
        str(tmp_path / "a.geojson"),
        "--to",
        str(tmp_path / "a.csv"),
    ]
    assert "places are not written as .csv" in str(CliRunner().invoke(app, words).exception)
    assert not list(tmp_path.iterdir())


def test_the_command(index, tmp_path):
    result = CliRunner().invoke(
        app,
        ["search", str(index.path), "--like", "square-04", "--count", "2"],
    )
    assert result.exit_code == 0, result.output
    lines = [line for line in result.output.splitlines() if line.startswith(("1\t", "2\t"))]
    found = find(index, Asked(like=("square-04",)), count=2)
    assert [line.split("\t")[2] for line in lines] == found.table["uid"].tolist()
    result = CliRunner().invoke(app, ["search", str(index.path), "--at", "five"])
    assert "is not two numbers" in str(result.exception)


def test_no_room_for_the_vectors_is_an_error_that_names_the_disk(index, monkeypatch):
    """A map of a sparse file would end the process where a page finds no room."""

    class Full:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def write(self, _):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: Full())
    with pytest.raises(OSError, match="No space left") as caught:
        Index.open(index.path)
    assert caught.value.filename == tempfile.gettempdir()


def test_of_many_locations_the_nearest_names_are_offered_and_no_more(index, monkeypatch):
    monkeypatch.setattr("swath.products.search._index.MANY", 3)
    with pytest.raises(SwathError, match="no location 'square-99'") as error:
        index.rows_of("square-99")
    assert error.value.remedy.count("square-") <= 7
