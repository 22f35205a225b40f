"""Maps of places: components by the ground, predictions where they can be known, files that GIS programs open."""

import json

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import torch
from rasterio.enums import ColorInterp
from typer.testing import CliRunner

from swath import encoders
from swath.cli import app
from swath.corpus import Corpus, CorpusInfo
from swath.encoders import location
from swath.encoders.location.encodings import cartesian
from swath.errors import ContractError, CorpusError, SwathError
from swath.products import location_maps
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
    table["side"] = np.where(lat > 0, "north", "south")
    table.loc[3, "lon"] = np.nan
    table.loc[5, "warm"] = np.nan
    opened = Corpus(tmp_path, CorpusInfo(chip_px=1, sensors={}), gpd.GeoDataFrame(table), pd.DataFrame())
    monkeypatch.setattr(Corpus, "open", lambda path: opened)
    return tmp_path


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


def test_classes_are_predicted_with_their_entropy(checkpoint, corpus):
    written = location_maps.location_maps(checkpoint, corpus, area=COARSE, corpus=corpus, column="side")
    (codes,), about = read(written[2])
    assert json.loads(about["classes"]) == {"0": "north", "1": "south"}
    np.testing.assert_array_equal(codes, np.repeat([[0]] * 3 + [[1]] * 3, 12, axis=1))
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


def test_what_cannot_be_predicted_is_refused(checkpoint, corpus, tmp_path):
    with pytest.raises(CorpusError, match="no column 'wram'"):
        location_maps.location_maps(checkpoint, tmp_path, area=COARSE, corpus=corpus, column="wram")
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
