"""Maps of whole scenes by what a run trained: the network that was judged, on the pixels and classes of its corpus."""

from xml.etree import ElementTree

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
import torch
from affine import Affine
from scipy.stats import entropy
from typer.testing import CliRunner

from swath import config, encoders, pipeline
from swath.batch import NO_DAY, Image
from swath.cli import app
from swath.corpus import Corpus, LabelLayer, Reader
from swath.corpus.labels import class_colours
from swath.corpus.store.part import location_record
from swath.encoders.random_convolutions import Config as RandomConvolutions
from swath.errors import ContractError, CorpusError, RecipeError, TrainingError
from swath.pipeline._evaluate import evaluation_of
from swath.products.scene_maps import How
from swath.products.windows import Input
from swath.sensors import band_id
from swath.tasks import Outcome, Prediction

OPTICAL = "sentinel-2-l2a"
KEYS = [f"{OPTICAL}/B04", f"{OPTICAL}/B08"]
GRID = {"crs": "EPSG:32631", "transform": Affine(10, 0, 500_000, 0, -10, 5_000_000)}
RECIPE = """
name: tiny
seeds: [0, 1]
corpus:
  source:
    name: folder
    chip_px: 16
    images:
      - files: scene.tif
        id: '(?P<id>scene)'
        sensor: sentinel-2-l2a
        bands: [B04, B08]
        scaling: {scale: 0.0002, offset: -0.1}
    labels:
      - {layer: cover, raster: labels.tif, classes: {3: wood, 7: water}, colours: {3: '#00ff00'}, void: 0}
split: {by: location, fractions: [0.5, 0.2, 0.3]}
pretrain:
  encoder: {name: random-convolutions, features: 8}
  method: {name: simclr}
  views: {name: two-crops, bands: [sentinel-2-l2a/B04, sentinel-2-l2a/B08]}
arms:
  a: {}
  placed:
    encoder: {name: image-and-location, image: {name: random-convolutions, features: 4}, encoding: {name: cartesian}}
    method: {name: satclip}
    views: {name: image-and-location, bands: [sentinel-2-l2a/B04, sentinel-2-l2a/B08]}
tasks:
  pixels:
    target: {rule: pixels, layer: cover}
    inputs: {optical: [sentinel-2-l2a/B04, sentinel-2-l2a/B08], swapped: [sentinel-2-l2a/B08, sentinel-2-l2a/B04]}
    probes: [{name: fine-tune, epochs: 2}]
    metric: miou
    floors: [majority]
    references: {unet: {segmenter: {name: unet, encoder: {name: timm, model: test_resnet}}, inputs: [optical]}}
  chips:
    target: {rule: dominant, layer: cover}
    inputs: {optical: [sentinel-2-l2a/B04, sentinel-2-l2a/B08]}
    probes: [{name: linear, c_count: 3}]
    metric: accuracy
    floors: [majority]
  several:
    target: {rule: multi-label, column: kinds}
    inputs: {both: [sentinel-2-l2a/B04, sentinel-2-l2a/B08, location], location: [location]}
    probes: [{name: linear, c_count: 3}]
    metric: macro_ap
    floors: [majority]
claims: []
"""
SMALL = How(window=96, overlap=32, device="cpu")


def counts():
    """Stripes of wood and water 16 pixels wide; the latter is dark in the near infrared."""
    rng = np.random.default_rng(0)
    water = (np.arange(96)[None] // 16 + np.arange(80)[:, None] // 16) % 2 == 1
    stored = rng.integers(900, 1100, (2, 80, 96)) + np.stack([np.zeros((80, 96), int), np.where(water, 0, 2000)])
    return stored.astype(np.uint16), water


def write(path, pixels, names=None):
    profile = {"driver": "GTiff", "count": len(pixels), "height": pixels.shape[1], "width": pixels.shape[2]}
    with rasterio.open(path, "w", **profile, dtype=pixels.dtype, **GRID) as file:
        file.write(pixels)
        file.descriptions = names or (None,) * len(pixels)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run whose corpus is there, with an encoder of random filters as if it had been trained."""
    folder = tmp_path_factory.mktemp("run")
    data = folder / "data"
    data.mkdir()
    stored, water = counts()
    write(data / "scene.tif", stored)
    write(data / "labels.tif", np.where(water, 7, 3).astype(np.uint8)[None])
    (folder / "tiny.yaml").write_text(RECIPE)
    recipe = config.load(folder / "tiny.yaml", [f"data={data}"])
    out = pipeline.run_folder(recipe, folder / "run")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("swath.corpus.store.writer.location_record", with_kinds)
        corpus = pipeline.build_corpus(recipe, out)
    for seed in recipe.seeds:
        of_arms = {"a": RandomConvolutions(features=8, seed=seed), "placed": recipe.arms["placed"].encoder}
        for arm, settings in of_arms.items():
            contract = pipeline.contract_of(recipe.arms[arm], corpus)
            path = pipeline.arm_folder(out, arm, seed) / "encoder"
            torch.manual_seed(seed)
            encoders.save(encoders.build(settings, contract), settings, path, {})
    return out, data / "scene.tif"


def with_kinds(location, px, digest):
    """A record of the corpus with classes of which a location may have several: wet in the east, and low or high."""
    _, _, x, _, _, y = location.transform[:6]
    kinds = ["low" if y < 4_999_700 else "high", *["wet"] * (x > 500_400)]
    return location_record(location, px, digest) | {"kinds": ";".join(kinds)}


def evaluation(run):
    recipe = config.load(run / "recipe.yaml")
    corpus = Corpus.open(pipeline.corpus_path(recipe, run))
    return evaluation_of(recipe, run, corpus, {}), corpus


def test_chips_are_classified_as_the_run_judged_them(run, tmp_path, capsys):
    folder, scene = run
    meant = pipeline.Result(task="chips", row="a", seed=1)
    written = pipeline.map_run(folder, scene, tmp_path / "map.tif", result=meant, how=How(device="cpu"))
    assert "the run has not judged a there yet" in " ".join(capsys.readouterr().err.split())
    judging, corpus = evaluation(folder)
    judged = judging.trained(task="chips", row="a", seed=1)
    images = Reader(corpus, {OPTICAL: ("B04", "B08")}).batch(np.arange(len(corpus))).images
    expected = judged.trained.predict(images).numpy()
    with rasterio.open(tmp_path / "map.tif") as file, rasterio.open(written[1]) as shares:
        assert (file.shape, file.transform) == ((5, 6), GRID["transform"] @ Affine.scale(16))
        x, y = (np.array([t[k] for t in corpus.locations["transform"]]) for k in (2, 5))
        at = ((5_000_000 - y) // 160).astype(int), ((x - 500_000) // 160).astype(int)
        np.testing.assert_array_equal(file.read(1)[at], np.array([1, 2])[expected.argmax(axis=1)])
        np.testing.assert_allclose(shares.read()[:, at[0], at[1]].T / 250, expected, atol=0.003)
        assert shares.descriptions == ("wood", "water")


def test_a_corpus_is_mapped_as_the_scene_that_it_was_cut_from(run, tmp_path):
    folder, scene = run
    meant, how = pipeline.Result(task="chips", row="a"), How(device="cpu")
    corpus = pipeline.corpus_path(config.load(folder / "recipe.yaml"), folder)
    for name, given in (("scene", scene), ("corpus", corpus)):
        pipeline.map_run(folder, given, tmp_path / f"{name}.tif", result=meant, how=how)
    for ending in ("tif", "probabilities.tif"):
        with rasterio.open(tmp_path / f"scene.{ending}") as one, rasterio.open(tmp_path / f"corpus.{ending}") as other:
            assert (one.transform, one.crs) == (other.transform, other.crs)
            np.testing.assert_array_equal(one.read(), other.read())


def test_a_segmenter_maps_what_it_was_trained_on_and_is_trained_once(run, tmp_path, monkeypatch):
    folder, scene = run
    meant = pipeline.Result(task="pixels", row="unet")
    pipeline.map_run(folder, scene, tmp_path / "map.tif", result=meant, how=SMALL)
    judging, _ = evaluation(folder)
    monkeypatch.setattr("swath.tasks.supervised._Loop.run", lambda self: pytest.fail("it is trained already"))
    judged = judging.trained(task="pixels", row="unet")
    stored, _ = counts()
    pixels = torch.from_numpy(stored.astype(np.float32) * np.float32(2e-4) + np.float32(-0.1))
    (weights,) = (folder / "evaluate/networks").iterdir()
    assert weights.name == f"{judged.digest}.safetensors"
    image = Image(
        pixels[None, None],
        torch.ones(1, 1, 80, 96, dtype=torch.bool),
        torch.tensor([[NO_DAY]], dtype=torch.int32),
        torch.tensor([[band_id(key) for key in KEYS]], dtype=torch.int32),
        10.0,
    )
    whole = judged.trained.predict({OPTICAL: image})[0].numpy()
    with rasterio.open(tmp_path / "map.tif") as file, rasterio.open(tmp_path / "map.probabilities.tif") as shares:
        assert file.colormap(1)[3] == (0, 255, 0, 255)
        assert file.tags()["classes"] == "3 wood, 7 water"
        # its last layer sees zeros beyond the raster, and beyond a window that reaches further what is not there
        np.testing.assert_allclose(shares.read()[:, :-1] / 250, whole[:, :-1], atol=0.003)
        assert set(np.unique(file.read(1))) <= {3, 7}


def test_what_is_meant_is_said_or_asked_for(run, tmp_path):
    folder, scene = run
    with pytest.raises(RecipeError, match="results are of row a") as error:
        pipeline.map_run(folder, scene, tmp_path / "m.tif", result=pipeline.Result(row="a"))
    assert "task 'chips', row 'a', input 'optical', probe 'linear'" in error.value.remedy
    with pytest.raises(RecipeError, match="no result is of row b"):
        pipeline.map_run(folder, scene, tmp_path / "m.tif", result=pipeline.Result(row="b"))
    with pytest.raises(TrainingError, match="majority learns from no images"):
        pipeline.map_run(folder, scene, tmp_path / "m.tif", result=pipeline.Result(task="chips", row="majority"))
    with pytest.raises(RecipeError, match=r"there is no recipe\.yaml"):
        pipeline.map_run(tmp_path, scene, tmp_path / "m.tif")


def test_a_network_that_says_something_else_than_the_run_has_kept_is_refused(run, tmp_path):
    folder, scene = run
    judging, _ = evaluation(folder)
    judged = judging.trained(task="chips", row="a")
    units = judged.task.units
    wrong = Outcome("optical", "linear", Prediction(1 - units.y_true))
    store = judging._store
    store.write(judged.digest, {}, wrong, units)
    try:
        with pytest.raises(TrainingError, match=r"says something else of \d+\.\d % of the test part"):
            pipeline.map_run(folder, scene, tmp_path / "m.tif", result=pipeline.Result(task="chips", row="a"))
    finally:
        store.path(judged.digest).unlink()


def test_other_bands_units_and_pixel_sizes_are_refused(run, tmp_path):
    folder, _ = run
    stored, _ = counts()
    meant = {"result": pipeline.Result(task="chips", row="a"), "how": How(device="cpu")}
    write(tmp_path / "counts.tif", stored)
    as_counts = {"images": [{"sensor": OPTICAL, "bands": {"B04": 1, "B08": 2}, "scaling": {"scale": 1.0}}]}
    with pytest.raises(ContractError, match="B04"):
        pipeline.map_run(folder, Input(tmp_path / "counts.tif", as_counts), tmp_path / "m.tif", **meant)
    other = {"images": [{"sensor": OPTICAL, "bands": {"B02": 1, "B08": 2}}]}
    with pytest.raises(CorpusError, match="the images have B02, B08 of sentinel-2-l2a; wanted are B04, B08"):
        pipeline.map_run(folder, Input(tmp_path / "counts.tif", other), tmp_path / "n.tif", **meant)


def test_an_encoder_alone_maps_its_embedding(run, tmp_path):
    folder, scene = run
    path = pipeline.arm_folder(folder, "a", 0) / "encoder"
    source = config.load(folder / "recipe.yaml").corpus.source.model_dump(mode="json", include={"images"})
    given = Input(scene, source)
    pipeline.map_encoder(path, given, tmp_path / "e.tif", chip=16, cell=16, how=How(device="cpu"))
    encoder, (_, corpus) = encoders.load(path), evaluation(folder)
    images = Reader(corpus, {OPTICAL: ("B04", "B08")}).batch(np.arange(len(corpus))).images
    expected = encoder.embed(images[OPTICAL]).numpy()
    with rasterio.open(tmp_path / "e.tif") as file:
        assert file.count == encoder.dim
        x, y = (np.array([t[k] for t in corpus.locations["transform"]]) for k in (2, 5))
        at = ((5_000_000 - y) // 160).astype(int), ((x - 500_000) // 160).astype(int)
        np.testing.assert_allclose(file.read()[:, at[0], at[1]].T, expected, atol=1e-5)


def test_a_place_of_several_classes_that_is_told_where_it_lies_has_a_band_for_each(run, tmp_path):
    folder, scene = run
    meant = pipeline.Result(task="several", row="placed", input="both")
    written = pipeline.map_run(folder, scene, tmp_path / "map.tif", result=meant, how=How(device="cpu"))
    assert [file.name for file in written] == ["map.tif", "map.collection.json"]
    judging, corpus = evaluation(folder)
    judged = judging.trained(task="several", row="placed", input="both")
    reader = Reader(corpus, {OPTICAL: ("B04", "B08"), "location": ("lon", "lat")})
    expected = judged.trained.predict(reader.batch(np.arange(len(corpus))).images).numpy()
    assert expected.sum(axis=1).std() > 0.01, "probabilities of several classes sum to anything"
    with rasterio.open(tmp_path / "map.tif") as file:
        assert (file.descriptions, file.nodata, file.scales) == (("high", "low", "wet"), 255, (1 / 250,) * 3)
        x, y = (np.array([t[k] for t in corpus.locations["transform"]]) for k in (2, 5))
        at = ((5_000_000 - y) // 160).astype(int), ((x - 500_000) // 160).astype(int)
        np.testing.assert_allclose(file.read()[:, at[0], at[1]].T / 250, expected, atol=0.003)
    with pytest.raises(RecipeError, match="of a choice among classes, and the task's locations have several"):
        pipeline.map_run(folder, scene, tmp_path / "e.tif", result=meant, entropy=True)
    alone = pipeline.Result(task="several", row="placed", input="location")
    with pytest.raises(RecipeError, match="no image, so that a map needs none"):
        pipeline.map_run(folder, scene, tmp_path / "e.tif", result=alone)


def test_locations_of_a_corpus_are_rows_of_a_vector_file(run, tmp_path):
    folder, _ = run
    judging, corpus = evaluation(folder)
    for task, row, item in (("chips", "a", "optical"), ("several", "placed", "both")):
        said = ["map", str(folder), str(corpus.path), "--task", task, "--row", row, "--input", item]
        done = CliRunner().invoke(app, [*said, "--to", str(tmp_path / f"{task}.gpkg")])
        assert done.exit_code == 0, done.output
        judged = judging.trained(task=task, row=row, input=item)
        reader = Reader(corpus, {OPTICAL: ("B04", "B08"), "location": ("lon", "lat")})
        expected = judged.trained.predict(reader.batch(np.arange(len(corpus))).images).numpy()
        table = gpd.read_file(tmp_path / f"{task}.gpkg")
        assert table["uid"].tolist() == corpus.locations["uid"].tolist()
        assert table.crs.to_epsg() == 4326
        assert shapely.equals_exact(table.geometry.values, corpus.locations.geometry.values, 1e-9).all()
        for part in ("train", "val", "test"):
            used = corpus.locations["uid"].iloc[judged.task.parts[part].locations]
            assert set(table["uid"][table["part"] == part]) == set(used)
        if task == "chips":
            assert table["class"].tolist() == np.array(["wood", "water"])[expected.argmax(axis=1)].tolist()
            np.testing.assert_allclose(table["probability"], expected.max(axis=1), atol=1e-6)
            np.testing.assert_allclose(table["entropy"], entropy(expected, axis=1) / np.log(2), atol=1e-5)
            shades = class_colours(LabelLayer(classes={1: "wood", 2: "water"}))
            assert set(table["colour"][table["class"] == "wood"]) == {shades[1]}
            style = ElementTree.parse(tmp_path / "chips.qml")
            assert [one.get("value") for one in style.iter("category")] == ["wood", "water"]
        else:
            np.testing.assert_allclose(table[["high", "low", "wet"]], expected, atol=1e-6)
            wet = [";".join(np.array(["high", "low", "wet"])[one]) for one in expected > 0.5]
            assert table["classes"].fillna("").tolist() == wet
    pixels = pipeline.Result(task="pixels", row="unet")
    with pytest.raises(RecipeError, match="pixels were judged, and a location has no class of its own"):
        pipeline.map_locations(folder, corpus, tmp_path / "p.gpkg", result=pixels)
    done = CliRunner().invoke(app, [*said, "--to", str(tmp_path / "m.gpkg"), "--cell", "4"])
    assert "takes no --cell" in str(done.exception)


def test_a_description_of_a_corpus_that_is_none_is_refused(run, tmp_path):
    path = pipeline.arm_folder(run[0], "a", 0) / "encoder"
    for text, said in (
        ("name: stac\nchip_px: 30\n", "where"),
        ("name: x\ncorpus: {path: somewhere}\n", "it says no source"),
        ("- 1\n", "not a mapping"),
    ):
        (tmp_path / "area.yaml").write_text(text)
        with pytest.raises(RecipeError, match=said):
            pipeline.map_encoder(path, tmp_path / "area.yaml", tmp_path / "m.tif")
