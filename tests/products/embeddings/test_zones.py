"""A polygon's vector is the mean of what lies inside, by area; shapes that cannot be used are counted."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from typer.testing import CliRunner

from swath.cli import app
from swath.corpus.ground import vector
from swath.errors import ContractError, CorpusError
from swath.products.embeddings import Storage, build_zones, check_embeddings, embed
from tests.products.indices import SIDE_M, make_squares

WEST, NORTH = 500_000.0, 5_600_000.0


def strip(first, last):
    """A polygon from somewhere in one square to somewhere in another, as high as the squares, in UTM."""
    return shapely.box(WEST + SIDE_M * first, NORTH - SIDE_M, WEST + SIDE_M * last, NORTH)


def write(path, shapes, **columns):
    gpd.GeoDataFrame(columns or {"name": range(len(shapes))}, geometry=shapes, crs="EPSG:32632").to_file(path)
    return path


def test_means_by_area(squares, encoder_path, tmp_path):
    # two squares and a half; one square, half of the polygon outside of all; a part of the square with invalid pixels
    shapes = [strip(1, 3.5), strip(11, 13), strip(3, 3.5)]
    zones = write(tmp_path / "zones.gpkg", shapes, crop=["maize", "beet", None], count=[7, 8, 9])
    written = build_zones(encoder_path, squares, zones, tmp_path / "z.parquet")
    assert written.notes == ()
    table = gpd.read_parquet(written.path).set_index("uid").loc[["1", "2", "3"]]
    vectors = embed(encoder_path, squares).loc[squares.locations["uid"]].to_numpy()
    found = np.stack(table["embedding"])
    np.testing.assert_allclose(found[0], (vectors[1] + vectors[2] + 0.5 * vectors[3]) / 2.5, atol=2e-4)
    np.testing.assert_allclose(found[1], vectors[11], atol=1e-6)
    np.testing.assert_allclose(found[2], vectors[3], atol=1e-6)
    assert table["count"].tolist() == [3, 1, 1]
    np.testing.assert_allclose(table["covered"], [1, 0.5, 1], atol=1e-3)
    np.testing.assert_allclose(table["valid"], [(2 + 0.5 * 0.75) / 2.5, 1, 0.75], atol=1e-3)
    assert table["crop"].fillna("").tolist() == ["maize", "beet", ""]
    assert table["zone_count"].tolist() == [7, 8, 9]  # the file's own column of that name
    back = table.geometry.to_crs("EPSG:32632")
    assert all(a.symmetric_difference(b).area < 1e-3 for a, b in zip(back, shapes, strict=True))
    assert (table["date"] <= table["last_date"]).all()
    assert check_embeddings(written.path) == []


def test_shapes_that_cannot_be_used_are_counted(squares, encoder_path, tmp_path, monkeypatch):
    monkeypatch.setattr(vector, "PART", 2)  # a file of five shapes is read in three parts
    bow = shapely.Polygon([(WEST, NORTH), (WEST + 80, NORTH - 80), (WEST + 80, NORTH), (WEST, NORTH - 80)])
    far = shapely.box(WEST + 1e5, NORTH, WEST + 1e5 + 80, NORTH + 80)
    zones = write(tmp_path / "zones.gpkg", [strip(0, 1), None, bow, far, strip(1, 2)])
    to = tmp_path / "z.parquet"
    result = CliRunner().invoke(
        app, ["embed", str(encoder_path), str(squares.path), "--zones", str(zones), "--to", str(to)]
    )
    assert result.exit_code == 0, result.output
    said = " ".join(result.output.split())
    assert "1 polygons are left out that are empty: number 2" in said
    assert "1 polygons are left out that cross themselves: number 3 (Self-intersection" in said
    assert "1 polygons are left out where no location lies: number 4" in said
    assert sorted(pd.read_parquet(to)["uid"]) == ["1", "5"]


def test_where_nothing_lies_and_other_shapes_are_refused(squares, encoder_path, tmp_path):
    for name, shapes, message in (
        ("far", [shapely.box(WEST + 1e5, NORTH, WEST + 1e5 + 80, NORTH + 80)], "no location lies in any"),
        ("points", [strip(0, 1), shapely.Point(WEST, NORTH)], "shape 2 is a Point, not a polygon"),
        ("empty", [shapely.Polygon()], "no polygon can be used: 1 polygons are left out that are empty"),
    ):
        zones = write(tmp_path / f"{name}.gpkg", shapes)
        with pytest.raises(CorpusError, match=message):
            build_zones(encoder_path, squares, zones, tmp_path / "z.parquet")
    assert not (tmp_path / "z.parquet").exists()


def test_a_corpus_without_coordinates_has_no_zones(encoder_path, tmp_path):
    corpus = make_squares(tmp_path / "c", 2, located=False)
    with pytest.raises(CorpusError, match="no location lies in any") as raised:
        build_zones(encoder_path, corpus, write(tmp_path / "zones.gpkg", [strip(0, 1)]), tmp_path / "z.parquet")
    assert "locations have coordinates" in raised.value.remedy


def test_zones_have_no_labels_to_probe(squares, encoder_path, tmp_path):
    storage = Storage(quantise="linear", labels="cover")
    with pytest.raises(ContractError, match="polygons have no labels of the corpus"):
        build_zones(encoder_path, squares, tmp_path / "zones.gpkg", tmp_path / "z.parquet", storage=storage)


def test_zones_as_bytes(squares, encoder_path, tmp_path):
    zones = write(tmp_path / "zones.gpkg", [strip(i, i + 1) for i in range(12)])
    written = build_zones(encoder_path, squares, zones, tmp_path / "z.parquet", storage=Storage(quantise="linear"))
    assert written.header.rows == "zones"
    assert "cosine" in written.notes[0]
    assert check_embeddings(written.path) == []
