"""Maps of places: components by the ground, predictions where they can be known, files that GIS programs open."""

import json
from pathlib import Path
from xml.etree import ElementTree

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import torch
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from rasterio.enums import ColorInterp
from typer.testing import CliRunner

from swath import encoders
from swath.cli import app
from swath.corpus import Corpus, CorpusInfo, LabelLayer
from swath.corpus.labels import class_colours
from swath.encoders import location
from swath.encoders.location.encodings import cartesian
from swath.errors import ContractError, CorpusError, SwathError
from swath.products import location_maps
from swath.products.legends import Legend, rgb
from swath.products.location_maps import Area, components
from tests.methods import fakes


def area(*numbers):
    return Area(*map(float, numbers))


COARSE = area(-180, -90, 180, 90, 30)
POINTS = np.random.default_rng(0).uniform([-180, -60], [180, 60], (80, 2))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """The point on the sphere itself."""
    config = location.Config(encoding=cartesian.Config(), network=None)
    path = tmp_path_factory.mktemp("encoder") / "it"
    encoders.save(location.build(config, fakes.contract_of_places()), config, path, {})
    return path


@pytest.fixture
def corpus(monkeypatch, tmp_path):
    """A corpus of points: a number and a class that latitude alone says, and some without coordinates or value."""
    lat = np.radians(POINTS[:, 1])
    table = pd.DataFrame({"lon": POINTS[:, 0], "lat": POINTS[:, 1], "warm": 3 * np.sin(lat) + 1.5})
    table["rain"] = np.arange(80.0) + 1000  # whole numbers, all different
    table["code"] = np.where(np.arange(80) == 7, np.nan, (lat > 0) + 9.0)  # whole numbers of two classes
    table["side"] = np.where(lat > 0, "north", "south")
    table.loc[3, "lon"] = np.nan
    table.loc[5, "warm"] = np.nan
    info = CorpusInfo(chip_px=1, sensors={}, units={"rain": "mm"})
    opened = Corpus(tmp_path, info, gpd.GeoDataFrame(table), pd.DataFrame())
    monkeypatch.setattr(Corpus, "open", lambda path: opened)
    return tmp_path


@pytest.fixture
def no_pictures(monkeypatch):
    """Only GeoTIFFs are written: a picture takes a second."""
    monkeypatch.setattr(location_maps, "_picture", lambda path, area, panels: path)


def read(path):
    with rasterio.open(path) as file:
        return file.read(), {"descriptions": file.descriptions, "colours": file.colorinterp, **file.tags()}


def test_components_are_those_of_the_ground():
    """Over the whole globe the three axes vary alike; over a cap the one through its middle varies least."""
    tower = location.tower(cartesian.Config(), None)
    mean, axes = components(tower, area(-180, -90, 180, 90, 2))
    np.testing.assert_allclose(mean, 0, atol=1e-9)
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-9)
    mean, axes = components(tower, area(-180, 60, 180, 90, 1))
    assert mean[2] > 0.9
    np.testing.assert_allclose(np.abs(axes[:, 2]), [0, 0, 1], atol=1e-3)
    lonlat = np.stack(np.meshgrid(np.arange(-179.5, 180), np.arange(60.5, 90)), axis=-1).reshape(-1, 2)
    x, weight = tower.embed(torch.tensor(lonlat)).double().numpy(), np.cos(np.radians(lonlat[:, 1]))
    np.testing.assert_allclose(mean, np.average(x, axis=0, weights=weight), rtol=1e-5, atol=1e-7)


def test_the_embedding_is_a_map_in_degrees(checkpoint, tmp_path):
    tif, png = location_maps.location_maps(checkpoint, tmp_path, area=area(-30, 0, 60, 60, 30))
    shades, about = read(tif)
    assert shades.shape == (3, 2, 3)
    assert shades.dtype == np.uint8
    with rasterio.open(tif) as file:
        assert (file.crs.to_epsg(), tuple(file.bounds)) == (4326, (-30, 0, 60, 60))
    assert about["colours"] == (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    assert shades.min() == 0
    assert shades.max() == 255
    assert png.read_bytes().startswith(b"\x89PNG")


def test_numbers_are_predicted_with_their_deviation(checkpoint, corpus):
    written = location_maps.location_maps(checkpoint, corpus, area=COARSE, corpus=corpus, column="warm")
    assert [path.name for path in written] == ["embedding.tif", "embedding.png", "warm.tif", "warm.png"]
    (said, deviation), about = read(written[2])
    latitudes = np.radians([75, 45, 15, -15, -45, -75])
    np.testing.assert_allclose(said, np.repeat(3 * np.sin(latitudes)[:, None] + 1.5, 12, axis=1), atol=1e-2)
    assert about["descriptions"] == ("warm", "standard deviation of warm")
    assert (deviation > 0).all()
    assert deviation.max() < 0.05


@pytest.mark.parametrize(("factor", "offset"), [(1e12, 0.0), (1e-12, 0.0), (1e-3, 1e9)])
@pytest.mark.usefixtures("no_pictures")
def test_a_prediction_is_the_same_in_any_unit(checkpoint, corpus, factor, offset):
    locations = Corpus.open(corpus).locations
    locations["noisy"] = locations["warm"] + np.random.default_rng(1).normal(0, 0.1, 80)
    usual = _predicted(checkpoint, corpus, "noisy")
    locations["other"] = factor * locations["noisy"] + offset
    other = _predicted(checkpoint, corpus, "other")
    np.testing.assert_allclose((other[0] - offset) / factor, usual[0], atol=2e-3)
    np.testing.assert_allclose(other[1] / factor, usual[1], rtol=1e-3)
    assert 0.08 < usual[1].mean() < 0.13, "the deviation of the noise"


def _predicted(checkpoint, corpus, column, **more):
    written = location_maps.location_maps(checkpoint, corpus, area=COARSE, corpus=corpus, column=column, **more)
    with rasterio.open(written[2]) as file:
        return file.read().astype(np.float64)


@pytest.mark.usefixtures("no_pictures")
def test_whole_numbers_with_a_unit_are_numbers_and_others_classes(checkpoint, corpus):
    tif = location_maps.location_maps(checkpoint, corpus, area=COARSE, corpus=corpus, column="rain")[2]
    with rasterio.open(tif) as file:
        assert (file.count, file.units) == (2, ("mm", "mm"))
        assert 1000 < file.read(1).mean() < 1080
    assert _predicted(checkpoint, corpus, "code", unit="1").shape[0] == 2
    codes, about = read(location_maps.location_maps(checkpoint, corpus, area=COARSE, corpus=corpus, column="code")[2])
    assert json.loads(about["classes"]) == {"0": "10", "1": "9"}
    np.testing.assert_array_equal(codes[0], np.repeat([[0]] * 3 + [[1]] * 3, 12, axis=1))
    with pytest.raises(CorpusError, match="numbers are in inch, the corpus has them in mm"):
        _predicted(checkpoint, corpus, "rain", unit="inch")


@pytest.mark.usefixtures("no_pictures")
def test_columns_with_points_or_the_name_of_another_map_write_files_of_their_own(checkpoint, corpus):
    locations = Corpus.open(corpus).locations
    names = {"warm.max": "warm.max.tif", "warm.min": "warm.min.tif", "embedding": "embedding-predicted.tif"}
    for column, file in names.items():
        locations[column] = locations["warm"]
        written = location_maps.location_maps(checkpoint, corpus, area=COARSE, corpus=corpus, column=column)
        assert [path.name for path in written[::2]] == ["embedding.tif", file]
    assert read(corpus / "embedding.tif")[0].dtype == np.uint8


def test_a_picture_shows_the_pixels_that_fit_and_no_class_between_two_others(tmp_path, monkeypatch):
    """Halfway from the first class to the third is not the second; the 21st and later ones are said to be there."""
    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, file, **_: (drawn.append(figure), Path(file).touch()))
    one, names = area(170, -90, 180, 90, 7), [f"class {i}" for i in range(25)]
    legend = Legend(tuple(range(25)), tuple(names), tuple(f"#0000{k:02x}" for k in range(25)))
    assert one.shape == (25, 1)
    location_maps._picture(tmp_path / "it.png", one, [("it", np.arange(25, dtype=np.uint8)[:, None], legend)])
    axes = drawn[0].axes[0]
    assert list(axes.images[0].get_extent()) == [170, 177, -85, 90]
    assert axes.images[0].get_interpolation() == "nearest"
    shown = axes.images[0]
    assert [to_hex(shown.cmap(shown.norm(code))) for code in range(25)] == list(legend.colours)
    assert [text.get_text() for text in axes.get_legend().texts] == [*names[:20], "and 5 more, in the GeoTIFF's tags"]


def test_classes_are_predicted_with_their_entropy(checkpoint, corpus):
    written = location_maps.location_maps(checkpoint, corpus, area=COARSE, corpus=corpus, column="side")
    (codes,), about = read(written[2])
    assert json.loads(about["classes"]) == {"0": "north", "1": "south"}
    np.testing.assert_array_equal(codes, np.repeat([[0]] * 3 + [[1]] * 3, 12, axis=1))
    with rasterio.open(written[2]) as file:
        assert [file.colormap(1)[code] for code in (0, 1)] == [
            (*rgb(shade), 255) for shade in class_colours(LabelLayer(classes={0: "north", 1: "south"})).values()
        ]
    style = [written[2].with_suffix(".qml"), written[2].with_name("side.tif.aux.xml")]
    assert sorted(style) == sorted(written[-2:])
    labels = [one.get("label") for one in ElementTree.parse(style[0]).iter("paletteEntry")]
    assert labels == [one.text for one in ElementTree.parse(style[1]).iter("Category")] == ["north", "south"]
    (entropy,), _ = read(written[3])
    assert written[3].name == "side-uncertainty.tif"
    assert 0 <= entropy.min() <= entropy.max() <= 1
    assert entropy[2:4].mean() > entropy[[0, -1]].mean(), "near the equator it is harder to say"


@pytest.mark.parametrize(
    ("bounds", "step", "said"),
    [
        ((170, -10, -170, 10), 1, "no area.*across the antimeridian in two"),
        ((40, -100, 60, 120), 1, "no area; longitudes and latitudes are probably swapped"),
        ((0, 0, 1, 1), 2, "pixels of 2 degrees are no map"),
        ((0, 0, 1, 1), 0, "pixels of 0 degrees are no map"),
        ((-180, -90, 180, 90), 1e-3, "pixels of 0.001 degrees are no map"),
    ],
)
def test_areas_that_are_none_are_refused(bounds, step, said):
    with pytest.raises(SwathError, match=f"(?s){said}"):
        area(*bounds, step)


@pytest.mark.usefixtures("no_pictures")
def test_what_cannot_be_predicted_is_refused(checkpoint, corpus, tmp_path):
    with pytest.raises(CorpusError, match="no column 'wram'"):
        location_maps.location_maps(checkpoint, tmp_path, area=COARSE, corpus=corpus, column="wram")
    locations = Corpus.open(corpus).locations
    locations["endless"] = np.where(np.arange(80) == 2, np.inf, POINTS[:, 0])
    locations["uid"] = [f"point-{i}" for i in range(80)]
    with pytest.raises(CorpusError, match="1 values are infinite"):
        location_maps.location_maps(checkpoint, tmp_path, area=COARSE, corpus=corpus, column="endless")
    with pytest.raises(CorpusError, match=r"(?s)79 different values at 79 locations.*unless they have a unit"):
        location_maps.location_maps(checkpoint, tmp_path, area=COARSE, corpus=corpus, column="uid")
    with pytest.raises(SwathError, match="needs a corpus and a column"):
        location_maps.location_maps(checkpoint, tmp_path, area=COARSE, unit="K")
    with pytest.raises(SwathError, match="needs a corpus and a column"):
        location_maps.location_maps(checkpoint, tmp_path, area=COARSE, column="warm")


def test_an_encoder_of_images_has_no_map_of_places():
    with pytest.raises(ContractError, match="and no location"):
        location_maps.tower_of(fakes.encoder())


def test_the_command_takes_an_encoder_or_a_run(checkpoint, tmp_path):
    def said(*arguments):
        return CliRunner().invoke(app, ["map", *map(str, arguments)], catch_exceptions=False).output

    assert "embedding.tif" in said("--location", checkpoint, "--to", tmp_path, "--step", 30)
    with pytest.raises(SwathError, match="is not four numbers"):
        said("--location", checkpoint, "--area", "1,2,3")
    with pytest.raises(SwathError, match="or --location ENCODER"):
        said(tmp_path)
