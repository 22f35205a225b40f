"""What must hold of all strategies, and of each by itself, against brute force and geodesy from elsewhere."""

from functools import cache
from itertools import combinations
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from hypothesis import example, given
from hypothesis import strategies as st
from pyproj import Geod, Transformer

from swath import plugins
from swath.corpus import places
from swath.corpus.ground import utm as _utm
from swath.corpus.places import Footprint, cities, draw
from swath.corpus.places._area import area
from swath.corpus.places._separate import InDegrees, InMetres, Squares
from swath.errors import CorpusError

SMALL = Footprint(64, 10.0, 60.0)
LANDSAT = Footprint(264, 30.0, anchor_m=15.0)


def settings(name: str, **values):
    return plugins.find("swath.corpus.places", name).Config(**values)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """Small files of each kind that strategies read."""
    folder = tmp_path_factory.mktemp("places")
    cities = {"City": ["A", "B", "C", "D"], "LAT": [48.1, -33.9, 60.0, 0.1], "Lng": [11.6, 151.2, 179.9, 6.0]}
    pd.DataFrame({**cities, "Population": [10, 400, 300, 200]}).to_csv(folder / "cities.csv", index=False)
    triangle = shapely.Polygon([(5, 45), (15, 45), (10, 55)])
    island = shapely.box(170, -50, 171, -49)
    gpd.GeoDataFrame(geometry=[triangle, island], crs=4326).to_file(folder / "land.geojson")
    codes = np.ones((40, 80), np.uint8)
    codes[:, :8], codes[20, 40], codes[0] = 2, 3, 255
    profile = {"driver": "GTiff", "count": 1, "height": 40, "width": 80, "dtype": "uint8", "nodata": 255}
    grid = rasterio.Affine(0.5, 0, -20, 0, -0.5, 70)
    with rasterio.open(folder / "classes.tif", "w", crs="EPSG:4326", transform=grid, **profile) as file:
        file.write(codes, 1)
    draw(settings("uniform", count=20, area=(0.0, 0.0, 1.0, 1.0)), SMALL).to_parquet(folder / "plan.parquet")
    return folder


@pytest.fixture(params=plugins.names("swath.corpus.places"))
def config(request, files):
    """One setting of every strategy that is there; a new file needs an example here."""
    return {
        "cities": lambda: settings("cities", places=files / "cities.csv", count=60),
        "grid": lambda: settings("grid", area=(5.9, 58.0, 6.1, 58.1)),
        "planned": lambda: settings("planned", path=files / "plan.parquet"),
        "points": lambda: settings("points", points=files / "cities.csv", each=5, radius_km=20.0),
        "stratified": lambda: settings("stratified", raster=files / "classes.tif", count=60),
        "uniform": lambda: settings("uniform", area=files / "land.geojson", count=60),
    }[request.param]()


def test_a_seed_gives_the_same_places_and_another_others(config):
    first, second = draw(config, SMALL), draw(config, SMALL)
    pd.testing.assert_frame_equal(first, second)
    if config.name not in {"grid", "planned"}:
        other = draw(config.model_copy(update={"seed": 7}), SMALL)
        assert (other["lon"].iloc[:5] != first["lon"].iloc[:5]).all()


def test_chips_lie_on_the_providers_grid_in_their_zone(config):
    if config.name == "planned":
        return
    table = draw(config, LANDSAT)
    west, north = (np.array([t[i] for t in table["transform"]]) for i in (2, 5))
    np.testing.assert_array_equal(west % 30, 15)
    np.testing.assert_array_equal(north % 30, 15)
    for row in table.head(5).itertuples():
        x, y = Transformer.from_crs(4326, row.crs, always_xy=True).transform(row.lon, row.lat)
        assert (x - row.transform[2], row.transform[5] - y) == pytest.approx((3960, 3960), abs=0.01)
        assert row.geometry.contains(shapely.Point(row.lon, row.lat))


def test_no_two_chips_overlap(config):
    table = draw(config, SMALL)
    shapes = table.geometry.to_numpy()
    first, second = shapely.STRtree(shapes).query(shapes, predicate="overlaps")
    shared = shapely.area(shapely.intersection(shapes[first], shapes[second])) / shapely.area(shapes[first])
    assert shared.max(initial=0) < 1e-3  # edges that are straight in one zone are not in the other


def test_columns_and_ids(config):
    table = draw(config, SMALL)
    assert {"uid", "lon", "lat", "crs", "transform", "px"} <= {*table.columns}
    assert table["uid"].is_unique
    assert table.crs == "EPSG:4326"
    assert table["lon"].between(-180, 180).all()


# -- rejection ---------------------------------------------------------------------------------------------------------


def squares(lon, lat, footprint=SMALL) -> Squares:
    epsg = _utm.zone(lon, lat)
    return Squares(lon, lat, epsg, *_utm.snapped(*_utm.project(lon, lat, epsg), footprint))


@given(st.integers(0, 2**32 - 1), st.sampled_from([(11.9, 48.0), (-0.01, 0.0), (179.99, -16.0), (12.0, 63.9)]))
@example(2390, (-0.01, 0.0))
def test_rejection_in_metres_is_that_of_looking_one_by_one(seed, centre):
    """Dense candidates, at the borders of zones, hemispheres and the antimeridian; shapely decides every pair."""
    rng = np.random.default_rng(seed)
    lon = (centre[0] + 0.03 * rng.standard_normal(40) + 180) % 360 - 180
    block = squares(lon, centre[1] + 0.02 * rng.standard_normal(40))
    separation = InMetres(SMALL.side_m)
    ours = np.concatenate([separation.add(block.at(np.arange(0, 15))), separation.add(block.at(np.arange(15, 40)))])

    @cache
    def outline(k: int, epsg: int) -> shapely.Polygon:
        x, y = block.west[k] + np.array([0, 640, 640, 0]), block.north[k] - np.array([0, 0, 640, 640])
        return shapely.Polygon(np.column_stack(between(int(block.epsg[k]), epsg).transform(x, y)))

    def share_ground(i: int, j: int) -> bool:
        of_first = int(block.epsg[j])
        # what the project calls shared: slivers at a common edge come from rounding
        return outline(j, of_first).intersection(outline(i, of_first)).area > 1e-9 * SMALL.side_m**2

    kept: list[int] = []
    for i in range(40):
        if not any(share_ground(i, j) for j in kept):
            kept.append(i)
    assert np.flatnonzero(ours).tolist() == kept


@cache
def between(source: int, target: int) -> Transformer:
    return Transformer.from_crs(source, target, always_xy=True)


@given(st.integers(0, 2**32 - 1))
def test_ssl4eo_l_rejects_as_published(seed):
    """A transcription of the rule: boxes of centre ± half in both degrees, drawn again while one intersects."""
    rng = np.random.default_rng(seed)
    lon, lat = 8 + 0.3 * rng.standard_normal(60), 60 + 0.2 * rng.standard_normal(60)
    half = 30 * 264 / 2 / 1000 / (2 * np.pi * 6371 / 360)
    separation = InDegrees(2 * half)
    ours = np.concatenate([separation.add(squares(lon[:20], lat[:20])), separation.add(squares(lon[20:], lat[20:]))])
    accepted: list[tuple[float, float]] = []
    for x, y in zip(lon, lat, strict=True):
        box = shapely.box(x - half, y - half, x + half, y + half)
        if not any(box.intersects(shapely.box(a - half, b - half, a + half, b + half)) for a, b in accepted):
            accepted.append((x, y))
    np.testing.assert_array_equal(lon[ours], [x for x, _ in accepted])


# -- zones and outlines ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lon", "lat", "epsg"),
    [(3.5, 60.0, 32632), (2.9, 60.0, 32631), (8.9, 78.0, 32631), (9.1, 78.0, 32633), (33.0, 78.0, 32637),
     (41.9, 78.0, 32637), (179.99, -0.01, 32760), (-180.0, 0.0, 32601), (180.0, 10.0, 32601)],
)  # fmt: skip
def test_zones(lon, lat, epsg):
    assert _utm.zone(np.array([lon]), np.array([lat])).tolist() == [epsg]


def test_an_outline_across_the_antimeridian_is_two_polygons_of_the_right_area():
    epsg = np.array([32760, 32632])
    west, north = np.array([814_000.0, 500_000.0]), np.array([8_000_000.0, 5_300_000.0])
    crossing, plain = _utm.outlines(west, north, 7920.0, epsg)
    assert (crossing.geom_type, plain.geom_type) == ("MultiPolygon", "Polygon")
    assert crossing.bounds[0] == -180
    assert crossing.bounds[2] == 180
    for shape in (crossing, plain):
        square_metres = abs(Geod(ellps="WGS84").geometry_area_perimeter(shape)[0])
        assert square_metres == pytest.approx(7920**2, rel=0.005)


# -- each strategy -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [None, "name,lat\nx,1\n", "lon,lat,name\n8,9,x\n"])
def test_a_table_that_does_not_do_says_which_columns_it_needs(tmp_path, text):
    if text:
        (tmp_path / "mine.csv").write_text(text)
    with pytest.raises(CorpusError, match=r"columns lon, lat \(degrees\) and population(.|\n)*leave places out"):
        draw(settings("cities", places=tmp_path / "mine.csv", count=1), SMALL)


def test_cities_come_with_swath(monkeypatch):
    def offline(*_, **__):
        raise AssertionError("nothing is fetched")

    monkeypatch.setattr("socket.socket.connect", offline)
    table = draw(settings("cities", top=8, count=300, sigma_km=10, overlap="allow"), SMALL)
    places = table.groupby("place")[["lon", "lat"]].mean()
    # of the largest city proper: Shanghai, Beijing, Shenzhen, Guangzhou, ... whatever their exact figures
    assert len(places) == 8
    lon, lat = places.loc["Shanghai"]
    assert (lon, lat) == (pytest.approx(121.47, abs=0.1), pytest.approx(31.23, abs=0.1))


def test_cities_of_geonames_are_the_table_that_its_publisher_describes():
    table = cities._of_geonames()
    assert 25_000 < len(table) < 60_000
    assert (table["population"] > 15_000).mean() > 0.97  # capitals are smaller
    assert table["lon"].between(-180, 180).all()
    assert table["lat"].between(-90, 90).all()
    assert {"Tokyo", "Lagos", "São Paulo", "Paris", "Canberra"} <= set(table["name"])


def test_cities_are_the_most_populous_and_scatter_by_sigma(files):
    table = draw(settings("cities", places=files / "cities.csv", top=2, count=3000, overlap="allow"), SMALL)
    assert set(table["place"]) == {"B", "C"}
    geod = Geod(ellps="WGS84")
    near = table[(table["place"] == "C")]
    bearing, _, metres = geod.inv([179.9] * len(near), [60.0] * len(near), near["lon"], near["lat"])
    east, north = metres * np.sin(np.radians(bearing)), metres * np.cos(np.radians(bearing))
    assert (east.std(), north.std()) == (pytest.approx(50_000, rel=0.06), pytest.approx(50_000, rel=0.06))
    assert {"EPSG:32660", "EPSG:32601"} == set(near["crs"])  # both sides of the antimeridian


def test_ssl4eo_l_scatters_in_degrees(files):
    rule = {"rule": "ssl4eo-l", "overlap": "allow"}
    table = draw(settings("cities", places=files / "cities.csv", top=2, count=3000, **rule), SMALL)
    near = table[table["place"] == "C"]
    assert near["lat"].std() == pytest.approx(50 / 111.19, rel=0.06)
    assert ((near["lon"] - 179.9 + 180) % 360 - 180).std() == pytest.approx(50 / 111.19, rel=0.06)


def test_uniform_is_true_to_area(files):
    """Latitudes of a box from the equator to 60 degrees north, against the sphere's cumulative area."""
    table = draw(settings("uniform", area=(-30.0, 0.0, 30.0, 60.0), count=4000, overlap="allow"), SMALL)
    counts, _ = np.histogram(np.sin(np.radians(table["lat"])), bins=8, range=(0, np.sin(np.radians(60))))
    expected = 4000 / 8
    assert ((counts - expected) ** 2 / expected).sum() < 24.3  # chi square, 7 degrees of freedom, p = 0.001


def test_uniform_serves_all_polygons(files):
    table = draw(settings("uniform", area=files / "land.geojson", count=500), SMALL)
    shapes = gpd.read_file(files / "land.geojson")
    inside = [shapes.geometry.contains(shapely.Point(p.lon, p.lat).buffer(0.01)).any() for p in table.itertuples()]
    assert np.mean(inside) > 0.98  # snapping moves a centre by less than a kilometre
    island = abs(Geod(ellps="WGS84").geometry_area_perimeter(shapes.geometry[1])[0])
    whole = sum(abs(Geod(ellps="WGS84").geometry_area_perimeter(shape)[0]) for shape in shapes.geometry)
    assert (table["lon"] > 100).mean() == pytest.approx(island / whole, abs=0.02)


def test_uniform_crosses_the_antimeridian():
    table = draw(settings("uniform", area=(179.0, -18.0, -179.0, -16.0), count=200), SMALL)
    assert (table["lon"].abs() > 178.9).all()
    assert {"EPSG:32760", "EPSG:32701"} == set(table["crs"])


def test_a_grid_is_regular_and_leaves_no_gap():
    table = draw(settings("grid", area=(8.0, 45.0, 9.0, 45.5)), LANDSAT)
    west = np.array([t[2] for t in table["transform"]])
    assert set(np.diff(np.unique(west))) == {7920}
    covered = shapely.union_all(shapely.buffer(table.geometry.to_numpy(), 1e-6))
    assert shapely.box(8.1, 45.1, 8.9, 45.4).difference(covered).area == pytest.approx(0, abs=1e-4)


def test_a_grid_meets_itself_at_a_zone_border():
    table = draw(settings("grid", area=(11.5, 45.0, 12.5, 45.5)), LANDSAT)
    assert set(table["crs"]) == {"EPSG:32632", "EPSG:32633"}
    for one, two in combinations(table.geometry, 2):
        assert one.intersection(two).area < 1e-4 * one.area


def test_some_of_a_grid_are_everywhere():
    table = draw(settings("grid", area=(8.0, 45.0, 10.0, 46.0), count=20), LANDSAT)
    assert len(table) == 20
    assert np.ptp(table["lat"]) > 0.5


def test_strata_are_equal_and_lie_in_their_class(files):
    table = draw(settings("stratified", raster=files / "classes.tif", count=90), SMALL)
    assert table["stratum"].value_counts().to_dict() == {1: 30, 2: 30, 3: 30}
    rare = table[table["stratum"] == 3]
    assert rare["lon"].between(-0.01, 0.51).all()
    assert rare["lat"].between(59.49, 60.01).all()


def test_points_keep_what_the_file_says(files):
    table = draw(settings("points", points=files / "cities.csv"), SMALL)
    assert table["given_city"].tolist() == ["A", "B", "C", "D"]
    assert table["lat"].to_numpy() == pytest.approx([48.1, -33.9, 60.0, 0.1], abs=0.001)


def test_points_lie_within_their_radius(files):
    table = draw(settings("points", points=files / "cities.csv", each=50, radius_km=30.0, overlap="allow"), SMALL)
    munich = table[table["given_city"] == "A"]
    metres = Geod(ellps="WGS84").inv([11.6] * 50, [48.1] * 50, munich["lon"], munich["lat"])[2]
    assert metres.max() < 31_000
    assert np.median(metres) == pytest.approx(30_000 / np.sqrt(2), rel=0.15)


def test_a_plan_is_taken_as_it_is(files):
    plan = gpd.read_parquet(files / "plan.parquet")
    assert draw(settings("planned", path=files / "plan.parquet"), SMALL).to_wkt().equals(plan.to_wkt())
    assert len(draw(settings("planned", path=files / "plan.parquet", count=3), SMALL)) == 3
    with pytest.raises(CorpusError, match="chips of 64 x 64 pixels of 10 m, wanted are 264"):
        draw(settings("planned", path=files / "plan.parquet"), LANDSAT)


# -- mistakes ----------------------------------------------------------------------------------------------------------


def test_a_full_area_says_how_many_fit():
    with pytest.raises(CorpusError, match=r"only \d+ of 1000 locations fit: \d+ candidates overlapped"):
        draw(settings("uniform", area=(8.0, 45.0, 8.1, 45.1), count=1000), SMALL)


def test_a_box_off_the_globe_is_refused():
    with pytest.raises(CorpusError, match="no box of degrees"):
        area((0.0, 50.0, 10.0, 40.0))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [("a.csv", "name,lat\nx,1\n", "no column of it is called lon"), ("a.csv", "lon,lat\n8,95\n", "not degrees: row 1"),
     ("a.csv", "lon,lat\n8,9\n,9\n8,\n", "2 of 3 rows have no lon or no lat: row 2 is the first"),
     ("a.csv", "lon,lat,name\n8,9,x\n", "called population"), ("a.geojson", "{}", "cannot read the shapes")],
)  # fmt: skip
def test_a_bad_file_is_named(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(CorpusError, match=message) as error:
        draw(settings("cities", places=tmp_path / name, count=1), SMALL)
    assert str(tmp_path / name) in str(error.value.where)


def test_an_area_of_points_is_no_area(tmp_path):
    gpd.GeoDataFrame(geometry=[shapely.Point(1, 1)], crs=4326).to_file(tmp_path / "p.geojson")
    with pytest.raises(CorpusError, match="no polygon"):
        draw(settings("uniform", area=tmp_path / "p.geojson", count=1), SMALL)


def test_real_places_and_land(shared_data):
    geo = shared_data / "geo_location"
    table = draw(settings("cities", places=geo / "world_cities.csv", area=geo / "ne_50m_land.shp", count=500), LANDSAT)
    assert len(table) == 500
    assert places.draw(settings("uniform", area=geo / "ne_50m_land.shp", count=50), LANDSAT)["lat"].min() < -20


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("lon", 5.0),
        ("lat", -3.0),
        ("crs", "EPSG:32755"),
        ("crs", "x"),
        ("transform", None),
        ("transform", [1.0]),
        ("px", "x"),
    ],
)
def test_a_plan_whose_columns_contradict_each_other(files, tmp_path, column, value):
    plan = gpd.read_parquet(files / "plan.parquet")
    plan[column] = pd.Series([value] * len(plan), index=plan.index)
    plan.to_parquet(tmp_path / "plan.parquet")
    with pytest.raises(CorpusError, match=r"lies elsewhere by its transform|no position that can be understood"):
        draw(settings("planned", path=tmp_path / "plan.parquet"), SMALL)
