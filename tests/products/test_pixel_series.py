"""What a run learnt from series of single pixels maps a whole cube, pixel by pixel, and embeds it: on real data."""

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import torch
import xarray
from affine import Affine

from swath import config, encoders, pipeline
from swath.batch import Image
from swath.corpus import Corpus
from swath.pipeline._evaluate import evaluation_of
from swath.products.embeddings import build_dense
from swath.products.scene_maps import How
from swath.sensors import band_id

pytestmark = pytest.mark.slow

OPTICAL = "sentinel-2-l2a"
BANDS = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B11", "B12")
KEYS = tuple(f"{OPTICAL}/{name}" for name in BANDS)
CUBE = "belgium_good_2020-12-01_2021-11-30.nc"
RECIPE = f"""
name: pixels
seeds: [0]
corpus: {{source: {{name: worldcereal-pixels}}}}
split: {{by: group, fractions: [0.6, 0.2, 0.2]}}
arms:
  s4:
    encoder: {{name: unet-3d, width: 2}}
    method: {{name: simclr}}
    views: {{name: two-crops, bands: [{", ".join(KEYS)}]}}
tasks:
  crops:
    target: {{rule: scalar, column: croptype_label, classes: ['1200', '4100', '9120']}}
    only: {{region: [canada]}}
    inputs: {{optical: [{", ".join(KEYS)}]}}
    probes: [{{name: linear, c_count: 3}}]
    metric: accuracy
    floors: [majority]
    dates: all
    gaps: true
claims: []
"""


@pytest.fixture(scope="module")
def run(shared_data, tmp_path_factory):
    """A run with an encoder that nothing was taught, as if it had been trained."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "pixels.yaml").write_text(RECIPE)
    recipe = config.load(folder / "pixels.yaml", [f"data={shared_data / 'worldcereal_pixels'}"])
    out = pipeline.run_folder(recipe, folder / "run")
    corpus = pipeline.build_corpus(recipe, out)
    torch.manual_seed(0)
    encoder = encoders.build(recipe.arms["s4"].encoder, pipeline.contract_of(recipe.arms["s4"], corpus))
    encoders.save(encoder, recipe.arms["s4"].encoder, pipeline.arm_folder(out, "s4", 0) / "encoder", {})
    return out


@pytest.fixture(scope="module")
def belgium(shared_data, tmp_path_factory):
    """A description of the cube alone, and forty of its pixels as series, read without swath."""
    folder = tmp_path_factory.mktemp("belgium")
    (folder / "data").mkdir()
    (folder / "data" / CUBE).symlink_to(shared_data / "worldcereal_cubes" / CUBE)
    source = "corpus:\n  source: {name: worldcereal-cubes, chip_px: 50}\narms: {}\ntasks: {}\n"
    (folder / "belgium.yaml").write_text(f"name: belgium\nseeds: [0]\ndata: {folder / 'data'}\n{source}")
    rows, columns = np.random.default_rng(0).integers(0, 100, (2, 40))
    with xarray.open_dataset(folder / "data" / CUBE, mask_and_scale=False) as cube:
        counts = np.stack([cube[name].values.view("uint16") for name in BANDS], axis=1)
        counts = counts[:, :, ::-1] if cube["y"][0] < cube["y"][-1] else counts
        days = cube["t"].values.astype("datetime64[D]").astype(np.int32)
        seen = (counts[..., :100, :100] != 65535).all(axis=1).any(axis=(1, 2))  # a month without a pixel is no chip
        counts, days = counts[seen], days[seen]
        corner = float(cube["x"].min()) - 5, float(cube["y"].max()) + 5
    own = torch.from_numpy(np.moveaxis(counts[:, :, rows, columns].astype(np.int64), 2, 0))
    valid = (own != 65535).all(dim=2)
    pixels = torch.where(valid[:, :, None], own / 1e4, 0.0).float()
    ids = tuple(map(band_id, KEYS))
    image = Image(
        pixels[..., None, None],
        valid[..., None, None],
        torch.from_numpy(days).expand(40, -1).clone(),
        torch.tensor([ids] * 40, dtype=torch.int32),
        10.0,
        ids,
    )
    return folder / "belgium.yaml", corner, (rows, columns), image


def test_the_map_says_of_each_pixel_what_the_run_says_of_its_series(run, belgium, tmp_path):
    source, corner, at, image = belgium
    meant = pipeline.Result(task="crops", row="s4")
    pipeline.map_run(run, source, tmp_path / "map.tif", result=meant, how=How(device="cpu"))
    recipe = config.load(run / "recipe.yaml")
    corpus = Corpus.open(pipeline.corpus_path(recipe, run))
    judged = evaluation_of(recipe, run, corpus, {}).trained(task="crops", row="s4")
    expected = judged.trained.predict({OPTICAL: image}).numpy()
    with rasterio.open(tmp_path / "map.tif") as file, rasterio.open(tmp_path / "map.probabilities.tif") as shares:
        assert (file.shape, file.crs.to_epsg()) == ((100, 100), 32631)
        assert file.transform == Affine(10, 0, corner[0], 0, -10, corner[1])
        np.testing.assert_array_equal(file.read(1)[at], 1 + expected.argmax(axis=1))
        np.testing.assert_allclose(shares.read()[:, *at].T / 250, expected, atol=0.003)
    points = pipeline.map_locations(run, corpus, tmp_path / "canada.gpkg", result=meant)
    table = gpd.read_file(points)
    assert set(table["class"]) <= {"1200", "4100", "9120"}
    test = judged.task.parts["test"].locations
    assert set(table["uid"][table["part"] == "test"]) == set(corpus.locations["uid"].iloc[test])


def test_every_pixel_has_a_vector(run, belgium, tmp_path):
    source, _, at, image = belgium
    path = pipeline.arm_folder(run, "s4", 0) / "encoder"
    data = pipeline.input_of(source, tmp_path / "x.tif")
    (vectors,) = build_dense(path, data, tmp_path / "x.tif", crop_px=1)
    expected = encoders.load(path).embed(image).numpy()
    with rasterio.open(vectors) as file:
        assert (file.shape, file.count) == ((100, 100), expected.shape[1])
        np.testing.assert_allclose(file.read()[:, *at].T, expected, atol=1e-4)
