"""Tables of points become corpora without pixels: labels as they stand, areas by NumPy's own test of polygons."""

import shutil

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from matplotlib.path import Path as Outline
from pydantic import ValidationError

from swath.corpus import Corpus, CorpusInfo
from swath.corpus.sources import build, new_files
from swath.corpus.sources.points import Area, Config
from swath.corpus.splits import SplitConfig, split
from swath.errors import CorpusError

TRIANGLE = [(0.0, 0.0), (40.0, 0.0), (0.0, 40.0)]
SQUARE = [(-40.0, -40.0), (-10.0, -40.0), (-10.0, -10.0), (-40.0, -10.0)]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Stations with a gap and a polygon file, whose two shapes have names."""
    folder = tmp_path_factory.mktemp("points")
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"Lon": rng.uniform(-180, 180, 40).round(3), "Lat": rng.uniform(-60, 60, 40).round(3)})
    table["meanT"] = np.where(np.arange(40) == 5, np.nan, 25 - 0.3 * table["Lat"].abs())
    table["who"] = [f"station {i}" for i in range(40)]
    table.loc[:2, ["Lon", "Lat"]] = [(5.0, 5.0), (-20.0, -20.0), (179.9, 1.0)]
    table.to_csv(folder / "stations.csv", index=False)
    shapes = [shapely.Polygon(TRIANGLE), shapely.Polygon(SQUARE)]
    gpd.GeoDataFrame({"NAME": ["triangle", "square"]}, geometry=shapes, crs="EPSG:4326").to_file(
        folder / "areas.geojson"
    )
    return folder


def settings(**changes) -> Config:
    usual = {
        "file": "stations.csv",
        "values": {"temperature": "meanT", "name": "who"},
        "units": {"temperature": "°C"},
        "areas": [
            {"column": "shape", "file": "areas.geojson", "attribute": "NAME"},
            {"column": "covered", "file": "areas.geojson", "inside": "land", "outside": "sea"},
        ],
    }
    return Config.model_validate(usual | changes)


def made(config, data, target) -> Corpus:
    build(config, target, data)
    return Corpus.open(target)


def test_a_table_becomes_locations_with_its_labels(data, tmp_path):
    corpus = made(settings(licence="MIT"), data, tmp_path / "c")
    table = pd.read_csv(data / "stations.csv")
    found = corpus.locations
    assert len(corpus) == 40
    assert len(corpus.chips) == 0
    assert corpus.info.sensors == {}
    assert corpus.info.units == {"temperature": "°C"}
    assert corpus.info.licences == ("MIT",)
    np.testing.assert_array_equal(found[["lon", "lat"]], table[["Lon", "Lat"]])
    np.testing.assert_array_equal(found["temperature"], table["meanT"])
    assert list(found["name"]) == list(table["who"])
    assert list(found["uid"][:2]) == ["point-00", "point-01"]
    inside = [Outline(one).contains_points(table[["Lon", "Lat"]]) for one in (TRIANGLE, SQUARE)]
    assert list(found["covered"]) == ["land" if one else "sea" for one in inside[0] | inside[1]]
    assert list(found["shape"].fillna("")) == list(np.select(inside, ["triangle", "square"], ""))
    assert set(found["shape"].dropna()) == {"triangle", "square"}


def test_building_again_changes_nothing_and_other_settings_are_refused(data, tmp_path):
    corpus = made(settings(), data, tmp_path / "c")
    assert made(settings(), data, tmp_path / "c").content_hash == corpus.content_hash
    with pytest.raises(CorpusError, match="settings"):
        build(settings(units={}), tmp_path / "c", data)


def test_uniform_points_are_as_dense_everywhere(data, tmp_path):
    corpus = made(settings(uniform=4000, seed=3), data, tmp_path / "c")
    found = corpus.locations
    assert list(found["origin"]) == ["file"] * 40 + ["uniform"] * 4000
    more = found[found["origin"] == "uniform"]
    assert more["temperature"].isna().all()
    assert more["covered"].notna().all()
    # of the sphere a zone has the share by which the sine of the latitude grows
    for south, north in ((-90, -30), (-30, 30), (60, 90)):
        share = (np.sin(np.radians(north)) - np.sin(np.radians(south))) / 2
        assert more["lat"].between(south, north).mean() == pytest.approx(share, abs=0.03)
    assert more["lon"].between(0, 90).mean() == pytest.approx(0.25, abs=0.03)
    rows = split(corpus, SplitConfig(by="block", block_km=2000))
    assert sum(map(len, rows.values())) == 4040


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"file": "none.csv"}, "there is no such file"),
        ({"values": {"t": "meant"}, "units": {}}, "(?s)no column 'meant'.*did you mean 'meanT'"),
        (
            {"areas": [{"column": "a", "file": "areas.geojson", "attribute": "name"}]},
            "(?s)no attribute 'name'.*known: NAME",
        ),
        ({"areas": [{"column": "a", "file": "twice.geojson", "attribute": "NAME"}]}, r"lies in \w+ and in \w+"),
        ({"file": "beyond.csv", "values": {}, "units": {}}, "1 rows are no points .* row 2 first"),
        ({"units": {"name": "m"}}, "(?s)name has a unit, and 40 of its values are no numbers, 'station 0' in row 1"),
        (
            {"file": "words.csv", "values": {"t": "t"}, "units": {"t": "K"}},
            "(?s)t has a unit, and 2 of its values are no numbers, '3,5' in row 2 first.*decimal points",
        ),
        (
            {"areas": [{"column": "a", "file": "over.geojson", "attribute": "NAME"}]},
            "(?s)polygons reach from longitude 170 to 190 .*cut them at the antimeridian",
        ),
    ],
)
def test_tables_that_cannot_be(data, tmp_path, changes, words):
    pd.DataFrame({"lon": [0, 1, 2, 3], "lat": 0, "t": ["1.5", "3,5", "NA", None]}).to_csv(data / "words.csv")
    over = gpd.GeoDataFrame({"NAME": ["over"]}, geometry=[shapely.box(170, -20, 190, -10)], crs="EPSG:4326")
    over.to_file(data / "over.geojson")
    both = gpd.read_file(data / "areas.geojson")
    twice = pd.concat([both, both.assign(NAME="again")])
    twice.to_file(data / "twice.geojson")
    pd.DataFrame({"lon": [0.0, 200.0], "lat": [0.0, 0.0]}).to_csv(data / "beyond.csv", index=False)
    with pytest.raises(CorpusError, match=words):
        build(settings(**changes), tmp_path / "c", data)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"units": {"temprature": "K"}}, "units.temprature: no value is called that; did you mean 'temperature'"),
        ({"values": {"covered": "who"}, "units": {}}, "two scalar labels are called 'covered'"),
        ({"values": {"origin": "who"}, "units": {}, "uniform": 3}, "two scalar labels are called 'origin'"),
        ({"values": {"geometry": "who"}, "units": {}}, "'geometry' cannot be the name of a scalar label"),
        ({"areas": [{"column": "geometry", "file": "x.shp"}]}, "'geometry' cannot be the name of a scalar label"),
    ],
)
def test_settings_that_do_not_fit(changes, words):
    with pytest.raises(ValidationError, match=words):
        settings(**changes)


@pytest.mark.parametrize("changed", ["stations.csv", "areas.geojson"])
def test_a_file_that_was_changed_is_no_longer_the_corpus(data, tmp_path, changed):
    folder = tmp_path / "data"
    shutil.copytree(data, folder)
    corpus = made(settings(), folder, tmp_path / "c")
    assert new_files(settings(), tmp_path / "c", folder) == set()
    text = (folder / changed).read_text()
    (folder / changed).write_text(text + "\n")
    for ask in (new_files, lambda config, target, data: build(config, target, data)):
        with pytest.raises(CorpusError, match="made of this file before it was changed"):
            ask(settings(), tmp_path / "c", folder)
    (folder / changed).unlink()
    assert made(settings(), folder, tmp_path / "c").content_hash == corpus.content_hash, "not needed any more"


def test_polygons_without_a_name_give_none_and_whole_numbers_stay_whole(tmp_path):
    pd.DataFrame({"lon": [5, 25, 45, 60], "lat": 5}).to_csv(tmp_path / "points.csv", index=False)
    boxes = [shapely.box(west, 0, west + 10, 10) for west in (0, 20, 40)]
    areas = gpd.GeoDataFrame({"name": ["a", None, "c"], "code": [1, 2, None]}, geometry=boxes, crs="EPSG:4326")
    areas.to_file(tmp_path / "areas.gpkg")
    wanted = [{"column": name, "file": "areas.gpkg", "attribute": name} for name in ("name", "code")]
    config = Config.model_validate({"file": "points.csv", "areas": wanted})
    found = made(config, tmp_path, tmp_path / "c").locations
    assert list(found["name"].fillna("none")) == ["a", "none", "c", "none"]
    assert list(found["code"].fillna("none")) == ["1", "2", "none", "none"]


def test_areas_are_named_by_an_attribute_or_two_words():
    assert Area(column="land", file="x.shp").inside == "inside"


def test_stations_of_the_world(shared_data, tmp_path):
    config = Config.model_validate(
        {
            "file": "stationDataAll.csv",
            "values": {"mean_temperature": "meanT", "precipitation": "meanP"},
            "units": {"mean_temperature": "°C", "precipitation": "mm"},
            "areas": [{"column": "country", "file": "ne_110m_admin_0_countries.shp", "attribute": "NAME"}],
        }
    )
    corpus = made(config, shared_data / "geo_location", tmp_path / "c")
    table = pd.read_csv(shared_data / "geo_location" / "stationDataAll.csv")
    assert len(corpus) == len(table) == 3076
    np.testing.assert_array_equal(corpus.locations["mean_temperature"], table["meanT"])
    assert CorpusInfo.read(tmp_path / "c").format == 4
    alps = corpus.locations[corpus.locations["lon"].between(6.9, 8.6) & corpus.locations["lat"].between(46.8, 47.4)]
    assert set(alps["country"]) == {"Switzerland"}
