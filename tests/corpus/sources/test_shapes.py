"""Polygons and points become label maps: compared with a point-in-polygon test of every pixel's centre."""

import datetime as dt
import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from affine import Affine
from pydantic import ValidationError
from pyproj import Transformer
from shapely.geometry import LineString, MultiPolygon, Point, Polygon, box

from swath.corpus import Chip, Corpus, Location
from swath.corpus.sources import _shapes, build
from swath.corpus.sources._shapes import ShapeLayer, Shapes
from swath.corpus.sources.published import eurosat
from swath.errors import CorpusError, RecipeError
from tests.corpus.sources.folder.test_folder import PX, counts, from_origin, log, made, write

UTM, WEST, NORTH = "EPSG:32632", 500_000.0, 5_300_000.0
GRIDS = {
    "north-up": Affine(10, 0, WEST, 0, -10, NORTH),
    "south-up": Affine(10, 0, WEST, 0, 10, NORTH - 320),
    "rotated": Affine(8, 6, WEST, 6, -8, NORTH),
    "oblong": Affine(10, 0, WEST, 0, -5, NORTH),
}
CLASSES = {1: "maize", 2: "wheat", 7: "grass"}


def fields(count: int = 40, seed: int = 0) -> gpd.GeoDataFrame:
    """Irregular fields without overlap around the grids' place: cells of a distorted lattice, every third left out."""
    rng = np.random.default_rng(seed)
    n = int(count**0.5) + 2
    lattice = np.stack(np.meshgrid(np.arange(n + 1), np.arange(n + 1)), -1)
    corners = lattice * 80.0 + rng.uniform(-25, 25, lattice.shape) + [WEST - 100, NORTH - 500]
    cells = [
        Polygon([corners[i, j], corners[i, j + 1], corners[i + 1, j + 1], corners[i + 1, j]])
        for i in range(n)
        for j in range(n)
        if (i * n + j) % 3
    ]
    code = rng.choice(list(CLASSES), len(cells))
    table = {"code": code, "crop": [CLASSES[k] for k in code], "farm": [f"f{k // 4}" for k in range(len(cells))]}
    return gpd.GeoDataFrame(table, geometry=cells, crs=UTM)


def centres(transform: Affine, px: int, crs: str) -> tuple[np.ndarray, np.ndarray]:
    """Where the pixels' centres lie, in another reference system."""
    column, row = np.meshgrid(np.arange(px) + 0.5, np.arange(px) + 0.5)
    x = transform.a * column + transform.b * row + transform.c
    y = transform.d * column + transform.e * row + transform.f
    return Transformer.from_crs(UTM, crs, always_xy=True).transform(x, y)


def expected(shapes: gpd.GeoDataFrame, transform: Affine, px: int, outside: int = 255) -> np.ndarray:
    """Code of the shape that holds each pixel's centre, in the shapes' own reference system."""
    x, y = centres(transform, px, shapes.crs.to_string())
    codes = np.full((px, px), outside)
    for shape, code in zip(shapes.geometry, shapes["code"], strict=True):
        codes[shapely.contains_xy(shape, x, y)] = code
    return codes


def location(transform: Affine = GRIDS["north-up"], crs: str | None = UTM, uid: str = "a", **rest) -> Location:
    return Location(uid, crs=crs, transform=tuple(transform)[:6], **rest)


def chips(px: int = 32, *days: str) -> list[Chip]:
    dates = [dt.datetime.fromisoformat(day) for day in days] or [None]
    return [Chip("a", "sentinel-2-l2a", np.ones((1, px, px), np.uint16), datetime=date) for date in dates]


def layer(**settings) -> ShapeLayer:
    settings = {"layer": "crops", "file": "fields.gpkg", "column": "code", "classes": CLASSES} | settings
    if "code" in settings:
        settings.pop("column")
    return ShapeLayer.model_validate_json(json.dumps(settings), strict=True)


def burn(folder: Path, place: Location | None = None, px: int = 32, days: tuple[str, ...] = (), **settings):
    shapes = Shapes([layer(**settings)], folder)
    labels, place, notes = shapes.label(place or location(), chips(px, *days))
    return labels["crops"], place.scalars, notes


def saved(table: gpd.GeoDataFrame, path: Path, **options) -> Path:
    if path.suffix == ".parquet":
        table.to_parquet(path)
    else:
        table.to_file(path, **options)
    return path


def test_small_shapes_cost_what_they_cover(tmp_path, monkeypatch):
    """Hundreds of them in a chip: each is burnt in a window of its own."""
    grid, px = GRIDS["north-up"], 128
    rng = np.random.default_rng(0)
    corners = rng.uniform(-20, 10 * px, (500, 2)) * [1, -1] + [WEST, NORTH]
    squares = [box(x, y, x + 35, y + 35) for x, y in corners]
    table = gpd.GeoDataFrame({"code": rng.choice(list(CLASSES), 500)}, geometry=squares, crs=UTM)
    saved(table, tmp_path / "fields.gpkg")
    burnt = []
    rasterize = _shapes.rasterize
    monkeypatch.setattr(_shapes, "rasterize", lambda *a, **k: burnt.append(np.prod(a[1])) or rasterize(*a, **k))
    codes, facts, _ = burn(tmp_path, location(grid), px, overlap="last")
    assert np.array_equal(codes, expected(table, grid, px))
    x, y = centres(grid, px, UTM)
    assert facts["crops_shapes"] == sum(shapely.contains_xy(one, x, y).any() for one in squares)
    assert sum(burnt) < 500 * 8 * 8


# -- where a pixel lies ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("crs", [UTM, "EPSG:4326", "EPSG:3035", "EPSG:2154", "EPSG:32633"])
@pytest.mark.parametrize("grid", GRIDS)
def test_codes_are_those_of_the_shape_that_holds_the_centre(tmp_path, grid, crs):
    table = fields().to_crs(crs)
    saved(table, tmp_path / "fields.gpkg")
    codes, _, notes = burn(tmp_path, location(GRIDS[grid]))
    truth = expected(table, GRIDS[grid], 32)
    assert np.array_equal(codes, truth)
    assert set(np.unique(truth)) == {1, 2, 7, 255}
    assert notes == []


def test_long_edges_are_straight_in_the_files_own_reference_system(tmp_path):
    """A border that follows a parallel over 6 degrees lies up to 1.7 km off the chord between its ends in UTM."""
    lat = 47.8
    table = gpd.GeoDataFrame({"code": [1]}, geometry=[box(6, 46, 12, lat)], crs="EPSG:4326")
    saved(table, tmp_path / "fields.gpkg")
    x, y = Transformer.from_crs("EPSG:4326", UTM, always_xy=True).transform(9.4, lat)
    grid = from_origin(x - 160, y + 160, 10, 10)
    codes, _, _ = burn(tmp_path, location(grid))
    assert np.array_equal(codes, expected(table, grid, 32))
    assert 0.4 < (codes == 1).mean() < 0.6


def test_across_the_antimeridian(tmp_path):
    grid, zone = from_origin(814_000, 10_000, 10, 10), "EPSG:32660"  # 160 m on either side of 180 degrees
    x, y = Transformer.from_crs("EPSG:4326", zone, always_xy=True).transform(180.0, 0.05)
    grid = from_origin(x - 160, y + 160, 10, 10)
    sides = [box(179.9, 0, 180, 0.1), box(-180, 0, -179.9, 0.1)]
    saved(gpd.GeoDataFrame({"code": [1, 2]}, geometry=sides, crs="EPSG:4326"), tmp_path / "fields.gpkg")
    codes, facts, _ = burn(tmp_path, location(grid, zone))
    assert (codes[:, :16] == 1).all()
    assert (codes[:, 16:] == 2).all()
    assert facts == {"crops_shapes": 2}


@pytest.mark.parametrize(("zone", "west"), [("EPSG:32602", None), ("EPSG:4326", -171.0), ("EPSG:4326", 189.0)])
def test_longitudes_beyond_180_degrees_are_those_on_the_other_side(tmp_path, zone, west):
    """In the file, for points and for polygons, and in the image."""
    grid = from_origin(5e5, 1e6, 10, 10) if west is None else from_origin(west, 9, 1e-4, 1e-4)
    to_degrees = Transformer.from_crs(zone, "EPSG:4326", always_xy=True).transform
    corners = np.array([to_degrees(*(grid @ corner)) for corner in ((0, 0), (32, 32), (5.5, 5.5), (20.5, 9.5))])
    corners[:, 0] = (corners[:, 0] + 360) % 360
    (left, top), (right, bottom) = corners[:2].tolist()
    sides = [box(left - 1, bottom - 1, (left + right) / 2, top + 1), box((left + right) / 2, -1, right + 1, top + 1)]
    shapes = gpd.GeoDataFrame({"code": [1, 2]}, geometry=sides, crs="EPSG:4326")
    saved(shapes, tmp_path / "fields.gpkg")
    codes, facts, _ = burn(tmp_path, location(grid, zone))
    assert (codes[:, :16] == 1).all()
    assert (codes[:, 16:] == 2).all()
    assert facts == {"crops_shapes": 2}
    pd.DataFrame(corners[2:], columns=["lon", "lat"]).assign(code=[1, 2]).to_csv(tmp_path / "p.csv", index=False)
    codes, _, _ = burn(tmp_path, location(grid, zone), file="p.csv")
    assert (codes[5, 5], codes[9, 20]) == (1, 2)
    assert (codes < 255).sum() == 2


def test_texts_for_no_value_may_be_names(tmp_path):
    """NA is a region or a class of some, and no value of others; a location without a group would be parted by none."""
    x, y = Transformer.from_crs(UTM, "EPSG:4326", always_xy=True).transform(
        WEST + 5 + 10 * np.arange(3), [NORTH - 5] * 3
    )
    table = pd.DataFrame({"lon": x, "lat": y, "crop": ["NA", "grass", "null"], "region": ["NA", "", "NA"]})
    table.assign(until=["NA", "2021", "2022"]).to_csv(tmp_path / "f.csv", index=False)
    rules = {"file": "f.csv", "column": "crop", "group": "region"}
    codes, facts, _ = burn(tmp_path, classes={1: "NA", 7: "grass"}, **rules)
    assert codes[0, :3].tolist() == [1, 7, 255]
    assert facts["crops_region"] == "NA"
    codes, _, _ = burn(tmp_path, days=("2022-05-01",), until="until", classes={7: "grass", 8: "null"}, **rules)
    assert codes[0, :3].tolist() == [255, 255, 8]
    assert (
        Shapes([layer(**rules, classes={7: "grass"})], tmp_path).log[0]["what"]
        == "shapes without a class, void: 2 of f.csv"
    )


@pytest.mark.parametrize("name", ["f.gpkg", "f.geojson", "f.shp", "f.fgb", "f.parquet"])
def test_every_kind_of_file_holds_the_same(tmp_path, name):
    table = fields().to_crs("EPSG:4326")
    saved(table, tmp_path / name)
    truth = expected(table, GRIDS["north-up"], 32)
    for column in ("code", "crop"):  # by code and by name
        codes, _, _ = burn(tmp_path, file=name, column=column)
        assert (codes != truth).mean() < 0.002  # GeoJSON rounds coordinates to 7 digits


@pytest.mark.parametrize("crs", [None, UTM])
def test_points_of_a_csv_label_the_pixel_that_they_lie_in(tmp_path, crs):
    rng = np.random.default_rng(1)
    cells = rng.choice(32 * 32, 50, replace=False)
    column, row = cells % 32 + rng.uniform(0.05, 0.95, 50), cells // 32 + rng.uniform(0.05, 0.95, 50)
    x, y = WEST + 10 * column, NORTH - 10 * row
    if crs is None:
        x, y = Transformer.from_crs(UTM, "EPSG:4326", always_xy=True).transform(x, y)
    code = rng.choice(list(CLASSES), 50)
    pd.DataFrame({"Lon" if crs is None else "X": x, "Lat" if crs is None else "Y": y, "code": code}).to_csv(
        tmp_path / "plots.csv", index=False
    )
    codes, facts, _ = burn(tmp_path, file="plots.csv", **({} if crs is None else {"crs": crs}))
    truth = np.full((32, 32), 255)
    truth[row.astype(int), column.astype(int)] = code
    assert np.array_equal(codes, truth)
    assert facts == {"crops_shapes": 50}


def test_no_column_but_a_code_and_a_background(tmp_path):
    table = fields()
    saved(table, tmp_path / "fields.gpkg")
    codes, _, _ = burn(tmp_path, code=1, classes={0: "dry", 1: "flood"}, background=0)
    assert np.array_equal(codes, expected(table.assign(code=1), GRIDS["north-up"], 32, outside=0))


# -- borders and overlaps ----------------------------------------------------------------------------------------------


def coverage(shape: shapely.Geometry, transform: Affine, px: int) -> np.ndarray:
    """Share of each pixel that a shape covers, from 21 x 21 points in it."""
    fine = transform * Affine.scale(1 / 21)
    x, y = centres(fine, px * 21, UTM)
    return shapely.contains_xy(shape, x, y).reshape(px, 21, px, 21).mean(axis=(1, 3))


def test_all_pixels_that_are_touched(tmp_path):
    table = fields().iloc[[13]].assign(code=1)
    saved(table, tmp_path / "fields.gpkg")
    codes, _, _ = burn(tmp_path, border="touched")
    row, column = np.indices((32, 32))
    west, north = WEST + 10 * column, NORTH - 10 * row
    touched = shapely.intersects(table.geometry.iloc[0], shapely.box(west, north - 10, west + 10, north))
    assert np.array_equal(codes == 1, touched)
    assert (burn(tmp_path)[0] == 1).sum() < touched.sum()


@pytest.mark.parametrize("background", [None, 7])
def test_pixels_with_too_small_a_share_of_their_class_are_void(tmp_path, background):
    table = fields()
    table["code"] = np.where(table["code"] == 7, 1, table["code"])
    saved(table, tmp_path / "fields.gpkg")
    codes, _, _ = burn(tmp_path, min_share=0.8, background=background)
    grid = GRIDS["north-up"]
    shares = {k: coverage(table[table["code"] == k].union_all(), grid, 32) for k in (1, 2)}
    plain = expected(table, grid, 32, 255 if background is None else background)
    own = np.select([plain == 1, plain == 2, plain == 7], [shares[1], shares[2], 1 - shares[1] - shares[2]], 1.0)
    clear = np.abs(own - 0.8) > 0.03  # the share above is counted on points
    assert np.array_equal(codes[clear], np.where(own < 0.8, 255, plain)[clear])
    assert (codes != plain).sum() > 50


def overlapping(tmp_path: Path) -> None:
    shapes = [box(WEST, NORTH - 200, WEST + 200, NORTH), box(WEST + 100, NORTH - 150, WEST + 250, NORTH - 50)]
    shapes.append(box(WEST, NORTH - 50, WEST + 50, NORTH))  # of the first one's class: no conflict
    saved(gpd.GeoDataFrame({"code": [1, 2, 1]}, geometry=shapes, crs=UTM), tmp_path / "fields.gpkg")


@pytest.mark.parametrize(("rule", "taken"), [("void", 255), ("first", 1), ("last", 2), ("smallest", 2)])
def test_overlaps_go_by_the_rule_and_are_counted(tmp_path, rule, taken):
    overlapping(tmp_path)
    codes, _, notes = burn(tmp_path, overlap=rule)
    assert np.unique(codes[5:15, 10:20]).tolist() == [taken]
    assert (codes[:5, :20] == 1).all()
    assert (codes[5:15, 20:25] == 2).all()
    assert notes == [
        {
            "event": "overlap",
            "id": "a",
            "what": "100 pixels of crops are covered by shapes of different classes",
            "where": f"taken: {rule}",
        }
    ]


def test_points_of_different_classes_in_one_pixel_are_an_overlap(tmp_path):
    shapes = [Point(WEST + 12, NORTH - 13), Point(WEST + 18, NORTH - 17), Point(WEST + 5, NORTH - 5)]
    saved(gpd.GeoDataFrame({"code": [1, 2, 2]}, geometry=shapes, crs=UTM), tmp_path / "fields.gpkg")
    codes, _, notes = burn(tmp_path)
    assert codes[1, 1] == 255
    assert codes[0, 0] == 2
    assert notes[0]["what"].startswith("1 pixels")


# -- what the columns say ----------------------------------------------------------------------------------------------


def test_shapes_without_a_class_or_of_others_are_void_and_counted(tmp_path):
    table = fields()
    table["crop"] = table["crop"].where(table["crop"] != "grass", None).where(table["code"] != 2, "rye")
    saved(table, tmp_path / "fields.gpkg")
    with pytest.raises(CorpusError, match="1 values of the column 'crop' are no class: 'rye'"):
        burn(tmp_path, column="crop")
    settings = layer(column="crop", others="void", background=7)
    shapes = Shapes([settings], tmp_path)
    codes = shapes.label(location(), chips())[0]["crops"]
    truth = expected(table.assign(code=table["code"].replace({2: 255, 7: 255})), GRIDS["north-up"], 32, outside=7)
    assert np.array_equal(codes, truth)
    counted = {entry["what"] for entry in shapes.log}
    assert counted == {
        f"shapes without a class, void: {table['crop'].isna().sum()} of fields.gpkg",
        f"shapes of other classes, void: {(table['crop'] == 'rye').sum()} of fields.gpkg",
    }


def test_codes_of_64_bits(tmp_path):
    table = fields().assign(code=lambda table: table["code"] + 2**62)
    saved(table, tmp_path / "fields.gpkg")
    codes, _, _ = burn(tmp_path, classes={code + 2**62: name for code, name in CLASSES.items()})
    assert np.array_equal(codes, expected(table, GRIDS["north-up"], 32))


def test_codes_may_be_text_or_floats(tmp_path):
    table = fields()
    truth = expected(table, GRIDS["north-up"], 32)
    for values in (table["code"].astype(str), table["code"].astype(float)):
        saved(table.assign(code=values), tmp_path / "fields.gpkg")
        assert np.array_equal(burn(tmp_path)[0], truth)


@pytest.mark.parametrize(
    ("since", "until"),
    [(["2020-04-01", "2021-04-01"], ["2020-09-30", "2021-09-30"]), ([2020, 2021], [2020, 2021]),
     (["2020", "2021"], ["2020", "2021"]), ([20200401, 20210401], ["2020-09-30", "2021-09-30"]),
     (pd.to_datetime(["2020-04-01", "2021-04-01"]), pd.to_datetime(["2020-09-30T12:00", "2021-09-30T12:00"])),
     ([None, "2021-01-01"], ["2020-12-31", None])],
)  # fmt: skip
def test_shapes_count_while_they_hold(tmp_path, since, until):
    square = box(WEST, NORTH - 320, WEST + 320, NORTH)
    table = {"code": [1, 2], "from": since, "to": until}
    saved(gpd.GeoDataFrame(table, geometry=[square, square], crs=UTM), tmp_path / "fields.gpkg")
    period = {"since": "from", "until": "to"}
    for days, code in ((["2020-09-30T10:30"], 1), (["2021-04-01"], 2), (["2020-06-01", "2021-06-01"], 255)):
        codes, _, notes = burn(tmp_path, days=tuple(days), **period)
        assert np.unique(codes).tolist() == [code]
        assert bool(notes) == (len(days) == 2)  # both hold, so they contradict each other
    with pytest.raises(CorpusError, match="no image of 'a' has a date"):
        burn(tmp_path, **period)


# -- files -------------------------------------------------------------------------------------------------------------


def test_invalid_and_empty_shapes_are_mended_or_left_out_and_counted(tmp_path):
    bow_tie = Polygon([(WEST, NORTH), (WEST + 200, NORTH - 200), (WEST + 200, NORTH), (WEST, NORTH - 200)])
    table = gpd.GeoDataFrame({"code": [1, 2, 2]}, geometry=[bow_tie, None, Polygon()], crs=UTM)
    saved(table, tmp_path / "fields.parquet")
    shapes = Shapes([layer(file="fields.parquet")], tmp_path)
    codes = shapes.label(location(), chips())[0]["crops"]
    assert (codes == 1).sum() == pytest.approx(200, abs=25)  # two triangles of 100 m by 200 m
    assert {entry["what"] for entry in shapes.log} == {
        "shapes without a geometry, left out: 2 of fields.parquet",
        "invalid shapes, mended: 1 of fields.parquet",
    }


def test_where_parts_of_a_shape_overlap_it_is_too(tmp_path):
    parts = [box(WEST, NORTH - 120, WEST + 120, NORTH), box(WEST + 60, NORTH - 180, WEST + 180, NORTH - 60)]
    saved(gpd.GeoDataFrame({"code": [1]}, geometry=[MultiPolygon(parts)], crs=UTM), tmp_path / "fields.parquet")
    codes = Shapes([layer(file="fields.parquet")], tmp_path).label(location(), chips())[0]["crops"]
    wanted = np.zeros((32, 32), bool)
    wanted[:12, :12] = wanted[6:18, 6:18] = True
    assert np.array_equal(codes == 1, wanted)


def test_a_table_of_several_is_chosen(tmp_path):
    saved(fields().assign(code=1), tmp_path / "fields.gpkg", layer="old")
    saved(fields(), tmp_path / "fields.gpkg", layer="new")
    with pytest.raises(CorpusError, match="it has 2 tables of shapes: old, new"):
        burn(tmp_path)
    with pytest.raises(CorpusError, match="no table 'other'"):
        burn(tmp_path, table="other")
    assert np.array_equal(burn(tmp_path, table="new")[0], expected(fields(), GRIDS["north-up"], 32))


def test_only_plain_vector_files_are_opened(tmp_path):
    """A virtual data set reads whatever it names, here a file outside; so do GDAL's other drivers."""
    saved(fields(), tmp_path / "secret.gpkg")
    source = f"<SrcDataSource>{tmp_path}/secret.gpkg</SrcDataSource>"
    vrt = f'<OGRVRTDataSource><OGRVRTLayer name="fields">{source}</OGRVRTLayer></OGRVRTDataSource>'
    for name in ("fields.gpkg", "fields.geojson", "fields.shp", "fields.fgb", "fields.vrt", "fields.kml", "fields"):
        for text in (vrt, '{"x": "' + vrt.replace('"', "'") + '"}'):
            (tmp_path / name).unlink(missing_ok=True)
            (tmp_path / name).write_text(text)
            with pytest.raises(CorpusError, match=r"it is no|are not read from"):
                burn(tmp_path, file=name)
    for name in ("/vsicurl/http://localhost:1/fields.gpkg", "https://localhost:1/f.geojson", "absent.gpkg"):
        with pytest.raises(CorpusError, match="there is no such file"):
            burn(tmp_path, file=name)


def test_a_reference_system_is_said_once(tmp_path):
    saved(fields(), tmp_path / "fields.shp")
    (tmp_path / "fields.prj").unlink()
    with pytest.raises(CorpusError, match="says no reference system"):
        burn(tmp_path, file="fields.shp")
    assert np.array_equal(burn(tmp_path, file="fields.shp", crs=UTM)[0], expected(fields(), GRIDS["north-up"], 32))
    saved(fields(), tmp_path / "fields.gpkg")
    with pytest.raises(CorpusError, match=r"EPSG:32632, the recipe EPSG:4326"):
        burn(tmp_path, crs="EPSG:4326")


def test_what_cannot_be_laid_over_images_is_refused(tmp_path):
    saved(gpd.GeoDataFrame({"code": [1]}, geometry=[LineString([(0, 0), (1, 1)])], crs=UTM), tmp_path / "fields.gpkg")
    with pytest.raises(CorpusError, match="shape 1 is a LineString"):
        burn(tmp_path)
    saved(gpd.GeoDataFrame({"code": [1]}, geometry=[Point(0, 0)], crs=UTM), tmp_path / "points.gpkg")
    with pytest.raises(CorpusError, match="holds points"):
        burn(tmp_path, file="points.gpkg", min_share=0.5)
    saved(fields(), tmp_path / "good.gpkg")
    with pytest.raises(CorpusError, match="'a' have no georeference"):
        burn(tmp_path, Location("a"), file="good.gpkg")
    with pytest.raises(CorpusError, match=r"no column 'crops'(.|\n)*did you mean 'crop'"):
        burn(tmp_path, file="good.gpkg", column="crops")
    with pytest.raises(CorpusError, match="no day: Invalid isoformat string: 'maize"):
        burn(tmp_path, file="good.gpkg", since="crop")
    with pytest.raises(RecipeError, match="two layers are called 'crops'"):
        Shapes([layer(file="good.gpkg")], tmp_path, ["crops"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"column": None}, "give the column"), ({"code": 3}, "code 3 is not one"), ({"background": 3}, "background 3"),
     ({"void": 1}, "code 1 is void and a class"), ({"crs": "EPSG:nothing"}, "no reference system")],
)  # fmt: skip
def test_settings_that_contradict_each_other(settings, message):
    with pytest.raises(ValidationError, match=message):
        layer(**settings)


# -- sources -----------------------------------------------------------------------------------------------------------


def images(folder: Path, places: int = 3) -> dict[str, Affine]:
    grids = {f"p{k}": from_origin(WEST + 160 * k, NORTH, 10, 10) for k in range(places)}
    for name, grid in grids.items():
        write(folder / "images" / f"{name}_20210601.tif", counts(3), UTM, grid)
    return grids


def test_a_folder_with_fields_in_another_reference_system(tmp_path):
    grids = images(tmp_path)
    table = fields().to_crs("EPSG:4326")
    table.to_file(tmp_path / "fields.gpkg")
    shapes = [{"layer": "crops", "file": "fields.gpkg", "column": "crop", "classes": CLASSES, "group": "farm"}]
    corpus = made(tmp_path, tmp_path / "c", shapes=shapes)
    for row, uid in enumerate(corpus.locations["uid"]):
        assert np.array_equal(corpus.labels("crops", [row])[0], expected(table, grids[uid], PX))
    for uid, farms, count in zip(*(corpus.locations[k] for k in ("uid", "crops_farm", "crops_shapes")), strict=True):
        x, y = centres(grids[uid], PX, "EPSG:4326")
        inside = [shapely.contains_xy(shape, x, y).any() for shape in table.geometry]
        assert count == sum(inside)
        assert farms == "; ".join(sorted(set(table["farm"][inside])))
    assert corpus.label_layers["crops"].classes == CLASSES


def test_locations_that_share_a_farm_are_one_group(tmp_path):
    images(tmp_path, places=5)
    spans = [(0, 200, "one"), (210, 300, "two"), (350, 400, "three"), (500, 700, "four"), (720, 790, "two")]
    shapes = [box(WEST + a, NORTH - 160, WEST + b, NORTH) for a, b, _ in spans]
    table = {"code": [1] * 5, "farm": [name for *_, name in spans]}
    saved(gpd.GeoDataFrame(table, geometry=shapes, crs=UTM), tmp_path / "fields.gpkg")
    entry = {"layer": "crops", "file": "fields.gpkg", "code": 1, "classes": {1: "field"}, "group": "farm"}
    corpus = made(tmp_path, tmp_path / "c", shapes=[entry])
    # p0 and p1 share one, p1 and p4 two, p3 and p4 four; p2 has a farm of its own
    assert corpus.locations["group"].tolist() == ["p0", "p0", "p2", "p0", "p0"]
    assert corpus.content_hash == made(tmp_path, tmp_path / "again", shapes=[entry]).content_hash


def test_overlaps_stand_in_the_log_of_the_corpus(tmp_path):
    write(tmp_path / "images/a_20210601.tif", counts(3, size=32), UTM, GRIDS["north-up"])
    overlapping(tmp_path)
    entry = {"layer": "crops", "file": "fields.gpkg", "column": "code", "classes": CLASSES}
    corpus = made(tmp_path, tmp_path / "c", shapes=[entry])
    found = {note["id"]: note["what"] for note in log(corpus) if note["event"] == "overlap"}
    assert {uid: what.split()[0] for uid, what in found.items()} == {"a_0_0": "60", "a_0_1": "40"}


def test_shapes_elsewhere_are_an_error_that_says_where(tmp_path):
    images(tmp_path)
    saved(fields().set_crs("EPSG:32633", allow_override=True), tmp_path / "fields.gpkg")
    entry = {"layer": "crops", "file": "fields.gpkg", "column": "code", "classes": CLASSES}
    with pytest.raises(
        CorpusError, match=r"no shape of .*fields.gpkg lies in any location: .* from 1[45]\..* 9\.00"
    ) as e:
        made(tmp_path, tmp_path / "c", shapes=[entry])
    assert "before anything was stored" in str(e.value)
    assert str(tmp_path / "fields.gpkg") in str(e.value)  # which of the two that the relative path may mean
    assert not (tmp_path / "c").exists()


def test_shapes_between_the_pixels_are_an_error_once_all_is_read(tmp_path):
    images(tmp_path)
    tiny = gpd.GeoDataFrame({"code": [1]}, geometry=[box(WEST + 1, NORTH - 3, WEST + 3, NORTH - 1)], crs=UTM)
    saved(tiny, tmp_path / "fields.gpkg")
    entry = {"layer": "crops", "file": "fields.gpkg", "column": "code", "classes": CLASSES}
    for _ in range(2):  # the second time everything is stored already
        with pytest.raises(CorpusError, match=r"fields.gpkg lies in any of the 3 locations: .* from 9\.0"):
            made(tmp_path, tmp_path / "c", shapes=[entry])


def test_looking_ahead_stops_at_the_first_that_meets(tmp_path):
    saved(fields(), tmp_path / "fields.gpkg")
    shapes = Shapes([layer()], tmp_path)
    here, far = location(), location(Affine(10, 0, 0, 0, -10, 0), uid="far")

    def never():
        yield here
        raise AssertionError("nothing more is asked for")

    shapes.look_ahead(never(), PX)
    shapes.look_ahead([far, here], PX)
    shapes.look_ahead([far, Location("unknown")], PX)  # nobody knows before it is read
    shapes.look_ahead([], PX)
    with pytest.raises(CorpusError, match=r"no shape of .*fields\.gpkg lies in any location"):
        shapes.look_ahead([far], PX)


def test_a_relative_path_is_one_in_the_data_folder_and_then_where_the_command_runs(tmp_path, monkeypatch):
    data, here = tmp_path / "data", tmp_path / "here"
    for folder in (data, here, data / "sub"):
        folder.mkdir()
    monkeypatch.chdir(here)
    with pytest.raises(CorpusError, match="there is no such file") as error:
        Shapes([layer()], data)
    assert f"{data / 'fields.gpkg'} and {here / 'fields.gpkg'}" in str(error.value)
    saved(fields(seed=1), here / "fields.gpkg")
    there = Shapes([layer()], data)
    assert (there.digests, there.log) == (Shapes([layer()], None).digests, [])
    saved(fields(seed=2), data / "fields.gpkg")
    first = Shapes([layer()], data)
    assert first.digests == Shapes([layer(file=str(data / "fields.gpkg"))], None).digests != there.digests
    assert "the first is taken" in first.log[0]["what"]
    with pytest.raises(CorpusError, match="there is no such file") as error:
        Shapes([layer(file="none.gpkg")], None)
    assert " and " not in str(error.value).partition(", for")[0]


def test_a_file_that_changed_under_a_build_is_refused(tmp_path):
    images(tmp_path)
    saved(fields(), tmp_path / "fields.gpkg")
    entry = {"layer": "crops", "file": "fields.gpkg", "column": "code", "classes": CLASSES}
    made(tmp_path, tmp_path / "c", shapes=[entry])
    saved(fields(seed=1), tmp_path / "fields.gpkg")
    images(tmp_path, places=4)
    with pytest.raises(CorpusError, match="file of label layer 'crops' has changed"):
        made(tmp_path, tmp_path / "c", shapes=[entry])


def test_a_published_format_takes_shapes_of_your_own(tmp_path):
    grid = from_origin(WEST, NORTH, 10, 10)
    for name in eurosat.CLASSES:
        write(tmp_path / name / f"{name}_1.tif", counts(1, 13, 64), UTM, grid)
    table = fields().to_crs("EPSG:3857")
    saved(table, tmp_path / "fields.geojson")
    entry = layer(file="fields.geojson")  # in the data folder, and no extra file of the format's
    build(eurosat.Config(split="none", shapes=(entry,)), tmp_path / "c", tmp_path)
    corpus = Corpus.open(tmp_path / "c")
    truth = expected(table, grid, 64)
    assert (corpus.labels("crops", [0])[0] != truth).mean() < 0.002
    assert len(corpus) == 10


def test_a_published_format_that_grows_keeps_its_file_of_shapes(tmp_path):
    data, shapes = tmp_path / "data", tmp_path / "fields.gpkg"
    name = eurosat.CLASSES[0]

    def add(number: int) -> None:
        write(data / name / f"{name}_{number}.tif", counts(number, 13, 64), UTM, from_origin(WEST, NORTH, 10, 10))

    def grow() -> None:
        build(eurosat.Config(split="none", classes=(name,), shapes=(layer(file=str(shapes)),)), tmp_path / "c", data)

    add(1)
    first = saved(fields(), shapes).read_bytes()
    grow()
    add(2)
    saved(fields(seed=1), shapes)
    with pytest.raises(CorpusError, match="file of label layer 'crops' has changed"):
        grow()
    shapes.write_bytes(first)
    grow()
    codes = Corpus.open(tmp_path / "c").labels("crops", [0, 1])
    truth = expected(fields(), from_origin(WEST, NORTH, 10, 10), 64)
    assert (codes != truth).mean() < 0.002
