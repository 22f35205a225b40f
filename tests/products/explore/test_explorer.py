"""What the page shows equals what NumPy and scikit-learn say of the same vectors and labels."""

import geopandas as gpd
import numpy as np
import pytest
import shapely
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from swath.errors import CorpusError, SwathError
from swath.products.explore import Explorer
from swath.products.explore._suggestions import suggest
from tests.products.explore.made import NORTH, ROWS, SIDE, WEST, box, made, made_index
from tests.products.search.test_exact import brute

FEW = {"water": [0, 5, 11], "forest": [21, 30], "<b>crop</b>": [45, 58]}


@pytest.fixture
def explorer(tmp_path):
    with made(tmp_path) as explorer:
        yield explorer


def labelled(explorer):
    for name, rows in FEW.items():
        explorer.give(name, rows)
    return explorer


def vectors(explorer):
    return explorer.index.stored.decode(slice(None)).astype(np.float64)


def test_neighbours_and_similarity_equal_brute_force(explorer):
    every = vectors(explorer)
    units = every / np.linalg.norm(every, axis=1, keepdims=True)
    cosines = units @ units[17]
    np.testing.assert_allclose(explorer.similarity(17), cosines, atol=2e-6)
    found = explorer.near(17, 9)
    rows, scores = brute(explorer.index, every[17], 9, [17])
    assert found.rows.tolist() == rows.tolist()
    assert found.rows.tolist() == [row for row in np.argsort(-cosines) if row != 17][:9]
    np.testing.assert_array_equal(found.table["score"], scores)
    assert explorer.similarity(17).argmax() == 17


def test_predictions_equal_scikit_learns_on_the_same_labels(explorer):
    every, rows = vectors(explorer), np.concatenate(list(FEW.values()))
    scaled = StandardScaler().fit(every).transform(every)
    y = np.repeat(np.arange(3), [len(rows) for rows in FEW.values()])
    oracle = LogisticRegression(C=1.0, tol=1e-8, max_iter=10_000).fit(scaled[rows], y)
    likely = oracle.predict_proba(scaled)
    predicted = labelled(explorer).predict()
    np.testing.assert_array_equal(predicted.classes, likely.argmax(axis=1))
    np.testing.assert_allclose(predicted.probability, likely.max(axis=1), atol=2e-3)
    entropy = -(likely * np.log(likely)).sum(axis=1) / np.log(3)
    np.testing.assert_allclose(predicted.entropy, entropy, atol=5e-3)
    # three clusters, and labels from each
    assert np.mean(predicted.classes == np.arange(ROWS) * 3 // ROWS) > 0.9


def test_predictions_follow_labels_and_classes_without_any_are_not_predicted(explorer):
    with pytest.raises(SwathError, match=r"labels of no class leave nothing"):
        explorer.predict()
    explorer.give("forest", [0])
    explorer.give("<b>crop</b>", [59])
    first = explorer.predict()
    assert set(first.classes) == {1, 2}
    assert first is explorer.predict()
    explorer.give("water", [30])
    assert set(explorer.predict().classes) == {0, 1, 2}
    explorer.labels.undo()
    np.testing.assert_array_equal(explorer.predict().entropy, first.entropy)


def test_suggestions_are_uncertain_open_and_unlike_each_other(explorer):
    every = vectors(explorer)
    units = every / np.linalg.norm(every, axis=1, keepdims=True)
    entropy = labelled(explorer).predict().entropy
    done = explorer.labels.given >= 0
    found = suggest(explorer.index, done, entropy, 5)
    # farthest first, written down anew: all open rows are fewer than the least number of candidates
    open_, taken = np.flatnonzero(~done), []
    for _ in range(5):
        near = (units[open_] @ units[[*np.flatnonzero(done), *taken]].T).max(axis=1)
        near[np.isin(open_, taken)] = np.inf
        taken.append(int(open_[near.argmin()]))
    assert found.tolist() == taken
    assert not done[found].any()


def test_only_the_most_uncertain_are_suggested(explorer, monkeypatch):
    monkeypatch.setattr("swath.products.explore._suggestions.FEWEST", 10)
    entropy = np.linspace(0, 1, ROWS, dtype=np.float32)
    found = suggest(explorer.index, np.arange(ROWS) < 5, entropy, 8)
    assert sorted(found) == sorted(set(found.tolist()))
    assert found.min() >= ROWS - 10
    assert len(suggest(explorer.index, np.arange(ROWS) < ROWS - 3, entropy, 8)) == 3
    assert len(suggest(explorer.index, np.ones(ROWS, bool), None, 8)) == 0


def test_polygons_label_what_lies_inside(explorer, tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("p")
    assert (
        explorer.give_inside(
            "water",
            [[WEST, NORTH], [WEST + 4.4 * SIDE, NORTH], [WEST + 4.4 * SIDE, NORTH - SIDE], [WEST, NORTH - SIDE]],
        )
        == 4
    )
    assert np.flatnonzero(explorer.labels.given == 0).tolist() == [0, 1, 2, 3]
    with pytest.raises(CorpusError, match="no polygon was drawn"):
        made(tmp_path).write_polygons(tmp_path / "p.gpkg")
    path = explorer.write_polygons(tmp_path / "p.gpkg")
    drawn = gpd.read_file(path)
    assert drawn["class"].tolist() == ["water"]
    assert drawn.geometry.iloc[0].normalize().equals_exact(box(0, 4.4).normalize(), 1e-12)
    explorer.labels.undo()
    assert explorer.read_labels(path) == ["4 locations have labels of p.gpkg"]
    bow = [[WEST, NORTH], [WEST + 1, NORTH - 1], [WEST + 1, NORTH], [WEST, NORTH - 1]]
    for corners, message in (
        (bow, "Self-intersection"),
        ([[0.0, 0.0], [1.0, 1.0]], "three corners"),
        ([[0.0, 0.0], [1.0, 1.0], [1.0, 0.0]], "no location lies in this polygon"),
        ([[0.0, 0.0], [np.nan, 1.0], [1.0, 0.0]], "corners are not all numbers"),
    ):
        with pytest.raises(SwathError, match=message):
            explorer.give_inside("water", corners)
    with pytest.raises(SwathError, match="there is no row 60"):
        explorer.give("water", [0, 60])
    assert explorer.labels.counts == [4, 0, 0]


def test_locate(explorer):
    assert explorer.locate(" s007 ") == 7
    assert explorer.locate(f"{WEST + 12.5 * SIDE}, {NORTH - SIDE / 2}") == 12
    for text, message in (("s999", "no location 's999'"), ("200,10", "no longitude and latitude")):
        with pytest.raises(SwathError, match=message):
            explorer.locate(text)


def test_exports_hold_what_was_labelled_and_predicted(explorer, tmp_path):
    labelled(explorer)
    points = gpd.read_file(explorer.write_labels(tmp_path / "labels.gpkg"))
    assert dict(zip(points["uid"], points["class"], strict=True)) == {
        f"s{row:03d}": name for name, rows in FEW.items() for row in rows
    }
    assert points.crs.to_epsg() == 4326
    np.testing.assert_allclose(points.geometry.x, WEST + SIDE * (points["uid"].str[1:].astype(int) + 0.5))
    predicted = explorer.predict()
    for name in ("p.parquet", "p.geojson"):
        path = explorer.write_predictions(tmp_path / name)
        table = gpd.read_parquet(path) if path.suffix == ".parquet" else gpd.read_file(path)
        assert table["uid"].tolist() == explorer.index.table["uid"].tolist()
        np.testing.assert_allclose(table["probability"], predicted.probability, rtol=1e-6)
        np.testing.assert_allclose(table["entropy"], predicted.entropy, rtol=1e-6, atol=1e-9)
        names = np.array(list(FEW))
        assert table["class"].tolist() == names[predicted.classes].tolist()
        assert table["label"].dropna().tolist() == ["water"] * 3 + ["forest"] * 2 + ["<b>crop</b>"] * 2
        assert table.geometry.iloc[3].equals_exact(explorer.index.table.geometry.iloc[3], 1e-9)
    for wrong, write in (("a.shp", explorer.write_labels), ("a.csv", explorer.write_predictions)):
        with pytest.raises(SwathError, match="are not written as"):
            write(tmp_path / wrong)


def test_without_coordinates_the_map_shows_principal_components(tmp_path):
    explorer = made(tmp_path, located=False)
    assert explorer.layout.kind == "components"
    assert "the map shows the first two principal components" in explorer.notes[-1]
    expected = PCA(2, svd_solver="full").fit_transform(vectors(explorer))
    found = explorer.layout.xy
    np.testing.assert_allclose(found * np.sign((found * expected).sum(0)), expected, atol=1e-3)
    explorer.give("water", [3])
    points = gpd.read_file(explorer.write_labels(tmp_path / "l.gpkg"))
    assert points.geometry.isna().all()
    assert points["uid"].tolist() == ["s003"]


def test_dates_of_a_location_are_rows_of_their_own(tmp_path):
    """Two rows a location, seven hours apart, often on one day: each has its name, neighbours and label."""
    explorer = made(tmp_path, dates="each")
    assert explorer.names[:3] == ["s000@2020-01-01T00:00:00", "s000@2020-01-01T07:00:00", "s001@2020-01-01T14:00:00"]
    found = explorer.near(1, 3)
    own = np.flatnonzero(explorer.index.table["uid"] == "s000")
    assert found.rows.tolist()[0] == brute(explorer.index, vectors(explorer)[1], 1, own)[0][0]
    explorer.give("water", [1])
    explorer.close()
    again = made(tmp_path, dates="each")
    assert np.flatnonzero(again.labels.given == 0).tolist() == [1]
    again.give("forest", [3])
    path = again.write_labels(tmp_path / "l.gpkg")
    other = tmp_path / "other"
    other.mkdir()
    third = made(other, dates="each")
    third.read_labels(path)
    assert third.labels.given.tolist() == again.labels.given.tolist()


def test_footprints_across_the_antimeridian_lie_on_one_side(tmp_path):
    index = made_index(tmp_path)
    parts = shapely.MultiPolygon([shapely.box(179.9, 0, 180, 1), shapely.box(-180, 0, -179.7, 1)])
    index.table.loc[4, "geometry"] = parts
    from swath.products.explore._layout import layout_of

    layout = layout_of(index)
    np.testing.assert_allclose(layout.lonlat[4], [-179.85, 0.5])
    # the shorter way from the others, at 11 degrees, to it leads east
    np.testing.assert_allclose(layout.xy[4], [180.15, 0.5])
    np.testing.assert_allclose(layout.boxes[4], [180, 0, 180.3, 1], rtol=1e-6)


def test_locations_on_both_sides_of_the_antimeridian_lie_side_by_side(tmp_path):
    index = made_index(tmp_path)
    lon = np.where(np.arange(ROWS) < 40, 179.995 - 0.01 * np.arange(ROWS), -179.995 + 0.01 * (np.arange(ROWS) - 40))
    index.table["geometry"] = shapely.box(lon - 0.005, -17.01, lon + 0.005, -17)
    explorer = Explorer.open(index)
    assert np.ptp(explorer.layout.xy[:, 0]) == pytest.approx(0.59)
    np.testing.assert_allclose(explorer.layout.lonlat[:, 0], lon)
    explorer.declare_missing(["reef"])
    # a polygon as it is drawn on that map: the two middles on either side of the line
    assert explorer.give_inside("reef", [(179.991, -17.1), (180.009, -17.1), (180.009, -16.9), (179.991, -16.9)]) == 2
    (drawn,) = gpd.read_file(explorer.write_polygons(tmp_path / "p.gpkg")).geometry
    halves = [shapely.box(179.991, -17.1, 180, -16.9), shapely.box(-180, -17.1, -179.991, -16.9)]
    assert shapely.symmetric_difference(drawn, shapely.union_all(halves)).area < 1e-9
    labels = gpd.read_file(explorer.write_labels(tmp_path / "labels.gpkg"))
    np.testing.assert_allclose(sorted(labels.geometry.x), [-179.995, 179.995])
    # and those of all the Earth stay where they are
    index.table["geometry"] = [shapely.box(x, 0, x + 1, 1) for x in np.linspace(-170, 169, ROWS)]
    assert np.ptp(Explorer.open(index, tmp_path / "w.jsonl").layout.xy[:, 0]) == pytest.approx(339)


def test_a_corpus_that_is_lost_is_said_and_one_that_is_given_must_be_there(tmp_path):
    explorer = made(tmp_path)
    assert explorer.notes[0].startswith("there are no pictures: there is no corpus")
    with pytest.raises(CorpusError, match="there are no pictures"):
        _ = explorer.pictures
    explorer.close()
    with pytest.raises(CorpusError, match="no corpus to take pictures from"):
        type(explorer).open(made_index(tmp_path), corpus=tmp_path / "none")


class TestVectorFiles:
    """Labels from points and polygons of other reference systems."""

    def written(self, path, shapes, crs="EPSG:32632", **columns):
        gpd.GeoDataFrame(columns, geometry=shapes, crs="EPSG:4326").to_crs(crs).to_file(path)
        return path

    def test_points_and_polygons(self, explorer, tmp_path):
        shapes = [
            box(0.4, 3.6),  # the middles of 0, 1, 2 and 3 lie inside
            box(10, 12.4).centroid,  # in 11
            box(20, 22),
            box(21, 23),  # 21 twice, in two classes
            box(40, 42),
            box(40, 41),  # twice, in one class
            box(400, 401),
            None,
            shapely.Polygon([(WEST, NORTH), (WEST + 1, NORTH - 1), (WEST + 1, NORTH), (WEST, NORTH - 1)]),
            box(50, 51),
        ]
        classes = ["water", "forest", "water", "forest", "water", "water", "water", "water", "water", None]
        path = self.written(tmp_path / "l.gpkg", shapes, kind=classes, other=range(len(shapes)))
        notes = explorer.read_labels(path)
        assert notes == [
            "1 shapes are left out that are empty: number 8",
            "1 shapes are left out that cross themselves: number 9",
            "1 shapes are left out without a class: number 10",
            "1 shapes are left out where no location lies: number 7",
            "1 locations lie in shapes of several classes, and get none",
            "9 locations have labels of l.gpkg",
        ]
        assert np.flatnonzero(explorer.labels.given == 0).tolist() == [0, 1, 2, 3, 20, 40, 41]
        assert np.flatnonzero(explorer.labels.given == 1).tolist() == [11, 22]
        assert explorer.read_labels(path) == ["l.gpkg was opened before, and is not taken again"]
        explorer.labels.undo()
        assert (explorer.labels.given == -1).all()
        assert explorer.read_labels(path)[-1] == "9 locations have labels of l.gpkg"

    def test_what_is_written_is_read_again(self, explorer, tmp_path):
        labelled(explorer)
        path = explorer.write_labels(tmp_path / "l.gpkg")
        other = tmp_path / "other"
        other.mkdir()
        with made(other) as again:
            assert again.read_labels(path) == ["7 locations have labels of l.gpkg"]
            assert again.labels.given.tolist() == explorer.labels.given.tolist()

    def test_numbers_are_classes_and_declared_if_there_are_none(self, tmp_path):
        path = self.written(tmp_path / "l.gpkg", [box(0, 1), box(5, 6), box(7, 8)], **{"class": [1.0, 2.0, np.nan]})
        spaced = self.written(tmp_path / "s.gpkg", [box(9, 10)], **{"class": ["  open \t water"]})
        explorer = type(made(tmp_path)).open(made_index(tmp_path), labels=tmp_path / "new.jsonl")
        assert explorer.read_labels(path)[0] == "1 shapes are left out without a class: number 3"
        assert [one.name for one in explorer.labels.classes] == ["1", "2"]
        assert np.flatnonzero(explorer.labels.given == 1).tolist() == [5]
        explorer.declare_missing(["open water", "open  water "])
        explorer.read_labels(spaced)
        assert np.flatnonzero(explorer.labels.given == 2).tolist() == [9]

    @pytest.mark.parametrize(
        ("shapes", "columns", "message"),
        [
            ([box(0, 1)], {"class": ["meadow"]}, "classes that are not declared: meadow"),
            ([box(0, 1)], {"a": ["x"], "b": ["y"]}, "nobody says which column holds the classes"),
            (
                [shapely.LineString([(WEST, NORTH), (WEST + 1, NORTH)])],
                {"class": ["water"]},
                "is a LineString, neither point nor polygon",
            ),
            ([box(400, 401)], {"class": ["water"]}, "it says the class of no location: 1 shapes are left out where"),
        ],
    )
    def test_files_that_say_nothing_are_refused(self, explorer, tmp_path, shapes, columns, message):
        with pytest.raises(SwathError, match=message):
            explorer.read_labels(self.written(tmp_path / "l.gpkg", shapes, **columns))
        assert explorer.labels.counts == [0, 0, 0]
        with pytest.raises(CorpusError, match="it has no column 'kin'"):
            explorer.read_labels(tmp_path / "l.gpkg", column="kin")

    def test_locations_that_are_points_have_the_size_of_their_chips(self, tmp_path):
        """Of 1 pixel of 1 m here: 0.5 m to each side."""
        index = made_index(tmp_path)
        index.table["geometry"] = index.table.geometry.apply(lambda shape: shape.centroid)
        explorer = type(made(tmp_path)).open(index, labels=tmp_path / "new.jsonl")
        middle = index.table.geometry.iloc[7]
        north = 1 / 111_320
        points = [shapely.Point(middle.x, middle.y + 0.4 * north), shapely.Point(middle.x, middle.y + 0.7 * north)]
        path = self.written(tmp_path / "l.gpkg", points, **{"class": ["in", "out"]})
        notes = explorer.read_labels(path)
        assert notes[0] == "1 shapes are left out where no location lies: number 2"
        assert np.flatnonzero(explorer.labels.given >= 0).tolist() == [7]

    @pytest.mark.parametrize("count", [5000, pytest.param(1_000_000, marks=pytest.mark.slow)])
    def test_many_polygons(self, explorer, tmp_path, count):
        rng = np.random.default_rng(0)
        x = WEST + rng.uniform(0, ROWS * SIDE, count)
        shapes = shapely.box(x, NORTH - SIDE, x + 1e-4, NORTH)
        table = gpd.GeoDataFrame({"class": "water"}, geometry=shapes, crs="EPSG:4326", index=range(len(shapes)))
        table.to_parquet(tmp_path / "l.parquet")
        explorer.read_labels(tmp_path / "l.parquet")
        middles = WEST + SIDE * (np.arange(ROWS) + 0.5)
        inside = (np.searchsorted(np.sort(x), middles) - np.searchsorted(np.sort(x + 1e-4), middles)) > 0
        assert (explorer.labels.given >= 0).tolist() == inside.tolist()
