"""Tables as they are meant: a line with more cells than names, a name twice and radians are not taken in silence."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from pyproj import Transformer

from swath.corpus.ground import vector
from swath.errors import CorpusError


def table(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_text(text)
    return vector.read(path, "the.key")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lon,lat,t\n10,20,2.5,7\n11,21,3.5,8\n", "rows have more cells than the first line has names"),
        ("lon,lat\n10,20,2.5,7\n11,21,3.5,8\n", "rows have more cells than the first line has names"),
        ("lon,lat,t\n10,20,2.5,\n", "rows have more cells than the first line has names"),
        ("lon,lat,t,t\n10,20,2.5,7\n", "two columns are called 't'"),
    ],
)
def test_cells_without_a_name_of_their_own_are_refused(tmp_path, text, words):
    with pytest.raises(CorpusError, match=words):
        table(tmp_path, text)


@pytest.mark.parametrize("text", ["lon,lat,t,\n10,20,2.5,\n", ",lon,lat,t\n0,10,20,2.5\n"])
def test_names_that_are_empty_are_names(tmp_path, text):
    read = table(tmp_path, text)
    assert (read.geometry.x.item(), read.geometry.y.item(), read["t"].item()) == (10, 20, 2.5)


def test_what_looks_like_radians_is_said(tmp_path, capsys):
    table(tmp_path, "lon,lat\n-3.1,1.5\n0.2,-0.9\n")
    assert "if these are radians, give degrees" in " ".join(capsys.readouterr().err.split())
    table(tmp_path, "lon,lat\n-3.2,1.5\n0.2,-0.9\n")
    assert not capsys.readouterr().err


@pytest.mark.parametrize("name", ["a.gpkg", "a.geojson", "a.parquet"])
def test_a_file_in_parts_is_the_file(tmp_path, monkeypatch, name):
    shapes = gpd.GeoDataFrame({"k": range(7)}, geometry=gpd.points_from_xy(range(7), range(7)), crs="EPSG:4326")
    (shapes.to_parquet if name.endswith("parquet") else shapes.to_file)(tmp_path / name)
    monkeypatch.setattr(vector, "PART", 3)
    starts, parts = zip(*vector.parts(tmp_path / name, "the.key"), strict=True)
    assert starts == ((0,) if name.endswith("parquet") else (0, 3, 6))
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), vector.read(tmp_path / name, "the.key"))
    bare = [list(part.columns) for _, part in vector.parts(tmp_path / name, "the.key", columns=False)]
    assert name.endswith("parquet") or bare == [["geometry"]] * 3


def test_shapes_near_a_box_are_all_that_meet_it():
    """A box in UTM is bent in degrees: what is cut off too closely would be lost."""
    rng = np.random.default_rng(0)
    lon, lat = rng.uniform(8, 10, 4000), rng.uniform(59, 61, 4000)
    shapes = gpd.GeoDataFrame(geometry=shapely.box(lon, lat, lon + 0.02, lat + 0.02), crs="EPSG:4326")
    bounds = (500_000.0, 6_600_000.0, 540_000.0, 6_640_000.0)
    meets = shapes.to_crs("EPSG:32632").intersects(shapely.box(*bounds)).to_numpy()
    near = vector.near(shapes, "EPSG:32632", bounds)
    assert meets.sum() > 100
    assert near[meets].all()
    assert near.sum() < 1.3 * meets.sum()
    # a box across the antimeridian is not one around the globe; what is near it: the last test of this file
    assert not vector.near(shapes, "EPSG:32660", (800_000.0, 0.0, 900_000.0, 10_000.0)).any()


@pytest.mark.parametrize(("text", "words"), [("{}", "cannot read|has 0 tables"), ("x", "it is no GeoJSON file")])
def test_parts_of_a_file_that_is_none_are_refused(tmp_path, text, words):
    (tmp_path / "a.geojson").write_text(text)
    with pytest.raises(CorpusError, match=words):
        list(vector.parts(tmp_path / "a.geojson", "the.key"))


@pytest.mark.parametrize(
    ("outline", "area"),
    [
        (shapely.MultiPolygon([shapely.box(0, 0, 2, 2), shapely.box(1, 1, 3, 3)]), 7),
        (shapely.Polygon(shapely.box(0, 0, 4, 4).exterior, [shapely.box(3, 3, 5, 5).exterior]), 15),
        (
            shapely.Polygon(
                shapely.box(0, 0, 6, 6).exterior, [shapely.box(k, k, k + 2, k + 2).exterior for k in (1, 2)]
            ),
            29,
        ),
        (shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2)]), 2),
        (shapely.Polygon([(0, 0), (2, 0), (2, 1), (4, 1), (2, 1), (2, 2), (0, 2)]), 4),
        (shapely.Polygon([(0, 0), (1, 1), (2, 2), (0, 0)]), 0),
    ],
    ids=["parts-overlap", "hole-beyond", "holes-overlap", "bow", "spike", "line"],
)
def test_mending_loses_and_adds_no_ground(outline, area):
    (mended,) = vector.mended(np.array([outline]))
    assert mended.is_valid
    assert mended.area == pytest.approx(area)
    assert mended.geom_type in {"Polygon", "MultiPolygon"}


@pytest.mark.parametrize("west", [-1, -170])
def test_long_edges_are_bent_as_the_reference_system_bends_them(west):
    """A parallel is no straight line in UTM; far from its zone there are no coordinates, or those of other ground."""
    given = gpd.GeoDataFrame(geometry=[shapely.box(west, 30, 60, 45)], crs="EPSG:4326")
    (there,) = vector.moved(given, "EPSG:32631", (450_000.0, 4.95e6, 550_000.0, 5.05e6))
    lon = np.linspace(2.4, 3.6, 9)
    to_utm = Transformer.from_crs(4326, 32631, always_xy=True).transform
    for lat, inside in ((44.99999, True), (45.00001, False)):  # a metre on either side
        assert (shapely.contains_xy(there, *to_utm(lon, np.full(9, lat))) == inside).all()


def test_long_edges_of_metres_are_bent_in_degrees():
    """The upper edge of a box of UTM is a line of one northing, also in degrees; other shapes stay as they are."""
    box, triangle = shapely.box(2e5, 4.8e6, 8e5, 5e6), shapely.Polygon([(5e5, 4e6), (5.01e5, 4e6), (5e5, 4.001e6)])
    given = gpd.GeoDataFrame({"k": [1, 2, 3]}, geometry=np.array([box, triangle, None]), crs="EPSG:32631")
    there = vector.in_degrees(given)
    to_degrees = Transformer.from_crs(32631, 4326, always_xy=True).transform
    for north, inside in ((5e6 - 1, True), (5e6 + 1, False)):
        lon, lat = to_degrees(np.linspace(2.2e5, 7.8e5, 9), np.full(9, north))
        assert (shapely.contains_xy(there.geometry.iloc[0], lon, lat) == inside).all()
    assert (there.crs, there["k"].tolist(), there.geometry.isna().tolist()) == (
        "EPSG:4326",
        [1, 2, 3],
        [False, False, True],
    )
    np.testing.assert_allclose(
        shapely.get_coordinates(there.geometry.iloc[1]).T, to_degrees(*shapely.get_coordinates(triangle).T)
    )


@pytest.mark.parametrize(
    "outlines",
    [
        [shapely.box(-180, -90, 180, 10)],
        [shapely.box(179, 9, 181, 10)],
        [shapely.box(-181, 9, -179, 10)],
        [shapely.box(178, 9, 180, 10), shapely.box(-180, 9, -178, 10)],
    ],
    ids=["globe", "beyond-east", "beyond-west", "both-sides"],
)
def test_shapes_around_the_antimeridian_are_where_they_lie(outlines):
    given = gpd.GeoDataFrame(geometry=outlines, crs="EPSG:4326")
    bounds = (8.28e5, 1.1e6, 8.3e5, 1.11e6)
    assert vector.near(given, "EPSG:32660", bounds).all()
    there = shapely.union_all(vector.moved(given, "EPSG:32660", bounds))
    to_utm = Transformer.from_crs(4326, 32660, always_xy=True).transform
    for lat, inside in ((9.9999, True), (10.0001, False)):
        assert (shapely.contains_xy(there, *to_utm([179.995, -179.996], [lat, lat])) == inside).all()
