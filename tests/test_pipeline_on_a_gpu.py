"""A whole run, and all that is made with it, on a pretended GPU: what comes out is what a CPU gives."""

import numpy as np
import pandas as pd
import pytest
import rasterio
import torch
from affine import Affine

from swath import config, pipeline
from swath.products.embeddings import build_dense, build_index
from swath.products.scene_maps import How
from swath.tasks.robustness import Asked
from swath.tasks.schema import CONDITIONS, TABLE
from tests.pretended_gpu import pretended

RECIPE = """
name: tiny
corpus:
  source:
    name: folder
    chip_px: 16
    images:
      - {files: scene.tif, id: '(?P<id>scene)', sensor: sentinel-2-l2a, bands: [B04, B08]}
    labels:
      - {layer: cover, raster: labels.tif, classes: {3: wood, 7: water}, void: 0}
split: {by: location, fractions: [0.5, 0.2, 0.3]}
pretrain:
  encoder: {name: timm, model: test_resnet}
  method: {name: byol}
  views: {name: two-crops, bands: [sentinel-2-l2a/B04, sentinel-2-l2a/B08]}
  training: {epochs: 2, batch_size: 8, precision: '32'}
arms: {a: {}}
tasks:
  chips:
    target: {rule: dominant, layer: cover}
    inputs: {optical: [sentinel-2-l2a/B04, sentinel-2-l2a/B08]}
    probes: [{name: linear, c_count: 3}, {name: fine-tune, epochs: 1}]
    metric: accuracy
    floors: [majority, image-statistics, random-encoder]
  pixels:
    target: {rule: pixels, layer: cover}
    inputs: {optical: [sentinel-2-l2a/B04, sentinel-2-l2a/B08]}
    probes: [{name: segment, decoder: {name: unet}, epochs: 1}]
    metric: miou
    floors: [majority]
claims: []
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A scene of 120 chips, half of them water, and what they are."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    water = np.kron(rng.random((10, 12)) < 0.5, np.ones((16, 16), bool))
    scene = rng.integers(900, 1100, (2, 160, 192)) + np.stack([np.zeros(water.shape, int), np.where(water, 0, 2000)])
    grid = {"crs": "EPSG:32631", "transform": Affine(10, 0, 500_000, 0, -10, 5_000_000)}
    for name, stored in (("scene", scene.astype(np.uint16)), ("labels", np.where(water, 7, 3).astype(np.uint8)[None])):
        profile = {"driver": "GTiff", "count": len(stored), "height": 160, "width": 192, "dtype": stored.dtype}
        with rasterio.open(folder / f"{name}.tif", "w", **profile, **grid) as file:
            file.write(stored)
            file.descriptions = ("B04", "B08") if name == "scene" else (None,)
    return folder


def whole(data, folder, device):
    """A run and its maps, embeddings and changed conditions."""
    (folder / "tiny.yaml").write_text(RECIPE)
    out = pipeline.run(config.load(folder / "tiny.yaml", [f"data={data}"]), folder / "run").parent
    how = How(window=96, overlap=32, device=device)
    pipeline.map_run(
        out, data / "scene.tif", folder / "map.tif", result=pipeline.Result(task="pixels", row="a"), how=how
    )
    encoder = out / "pretrain" / "a" / "seed-0" / "encoder"
    build_dense(encoder, data / "scene.tif", folder / "grid.tif", stride_px=8)
    build_index(encoder, out / "corpus", folder / "index.parquet")
    pipeline.stress(out, asked=Asked(dates=False, shifts=("noise",)))
    return out


@pytest.mark.slow  # two runs
def test_a_run_and_its_maps_are_those_of_a_cpu(data, tmp_path, monkeypatch):
    if torch.cuda.is_available():
        pytest.skip("there is a real one")
    (tmp_path / "near").mkdir()
    (tmp_path / "far").mkdir()
    near = whole(data, tmp_path / "near", "cpu")
    monkeypatch.setattr("swath.views._augment.find_spec", lambda _: None)  # Triton's kernels need a real one
    # in bfloat16 a CPU's own gradients of small chips are wrong, see `supervised._large`
    monkeypatch.setattr("swath.tasks.supervised.has_bfloat16", lambda _: False)
    with pretended():
        far = whole(data, tmp_path / "far", "cuda")
    for table, folder in ((TABLE, "evaluate"), (CONDITIONS, "stress")):
        one, other = (ordered(table.read(out / folder)) for out in (near, far))
        assert len(one) > 8
        pd.testing.assert_frame_equal(one, other)
    for name in ("map.tif", "map.probabilities.tif", "grid.tif"):
        with rasterio.open(tmp_path / "near" / name) as one, rasterio.open(tmp_path / "far" / name) as other:
            np.testing.assert_array_equal(one.read(), other.read())
    one, other = (pd.read_parquet(tmp_path / side / "index.parquet") for side in ("near", "far"))
    np.testing.assert_array_equal(np.stack(one["embedding"].tolist()), np.stack(other["embedding"].tolist()))
    assert ["pretended" in (out / "manifest.json").read_text() for out in (near, far)] == [False, True]


def ordered(table: pd.DataFrame) -> pd.DataFrame:
    """In an order that does not depend on what was computed first."""
    return table.sort_values(list(table.columns[:8]), kind="stable", ignore_index=True)
