"""What maps, embeddings and exported models write as STAC is STAC to stac-validator."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import rasterio

from swath.products.embeddings import Storage, build_dense, build_index
from swath.products.model_export import export_model
from swath.products.scene_maps import Numbers, Presences, map_scene
from swath.products.windows import Input
from tests.products.indices import make_squares, saved
from tests.products.scene_maps.test_map_scene import CLASSES, DATED, SMALL, dense, write
from tests.stac import problems

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    path = tmp_path_factory.mktemp("scene") / "scene.tif"
    write(path, np.random.default_rng(0).integers(1, 9000, (2, 70, 64), dtype=np.uint16))
    return path


def valid(path):
    """The document of a file, which is STAC."""
    said = json.loads(path.read_text())
    assert problems(said) == [], path.name
    return said


@pytest.mark.parametrize(
    "product", [replace(CLASSES, entropy=True), Presences(("wet & warm", "dry", "c")), Numbers(("a", "b", "c"), "m")]
)
def test_maps(tmp_path, scene, product):
    dated = shutil.copy(scene, tmp_path / "x_20200601.tif")
    map_scene(dense(), product, Input(dated, DATED), tmp_path / "map.tif", about={}, how=SMALL)
    item = valid(tmp_path / "map.json")
    with rasterio.open(tmp_path / "map.tif") as file:
        assert item["properties"]["proj:shape"] == list(file.shape)
        assert [one["name"] for one in item["assets"]["map"]["bands"]] == list(file.descriptions)
    map_scene(dense(), product, Input(scene), tmp_path / "bare.tif", about={}, how=SMALL)
    valid(tmp_path / "bare.collection.json")


def test_embeddings(tmp_path, scene):
    make_squares(tmp_path / "corpus")
    saved(tmp_path / "encoder")
    build_index(tmp_path / "encoder", tmp_path / "corpus", tmp_path / "x.parquet", storage=Storage(quantise="linear"))
    valid(tmp_path / "x.collection.json")
    valid(tmp_path / "x.item.json")
    saved(tmp_path / "two", ("sentinel-2-l2a/B04", "sentinel-2-l2a/B08"))
    dated = shutil.copy(scene, tmp_path / "x_20200601.tif")
    for name in ("grid.tif", "grid.zarr"):
        build_dense(tmp_path / "two", Input(dated, DATED), tmp_path / name, crop_px=16, quantise="linear")
        valid(tmp_path / "grid.collection.json")
        valid(tmp_path / "grid.item.json")


def test_models(tmp_path):
    saved(tmp_path / "encoder")
    made = export_model(tmp_path / "encoder", tmp_path / "out/net", format="pt2")
    valid(made.item)


def test_what_is_no_stac_is_found(tmp_path, scene):
    dated = shutil.copy(scene, tmp_path / "x_20200601.tif")
    map_scene(dense(), CLASSES, Input(dated, DATED), tmp_path / "map.tif", about={}, how=SMALL)
    item = json.loads((tmp_path / "map.json").read_text())
    for wrong in (
        item | {"properties": item["properties"] | {"datetime": None}},
        item | {"properties": item["properties"] | {"proj:code": 32631}},
        item | {"assets": {"map": item["assets"]["map"] | {"file:checksum": "x"}}},
        item | {"assets": {"map": item["assets"]["map"] | {"classification:classes": [{"value": "a"}]}}},
    ):
        assert problems(wrong)
