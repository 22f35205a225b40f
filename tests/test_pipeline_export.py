"""Heads of a run as graphs: what `swath map` maps with, in a file that runs without swath."""

import json

import numpy as np
import onnxruntime
import pytest
import torch
from scipy.signal import correlate
from sklearn.linear_model import LogisticRegression
from stac_model.schema import MLModelProperties
from typer.testing import CliRunner

from swath import cli, config, encoders, pipeline
from swath.batch import Image
from swath.corpus import Corpus, Reader
from swath.errors import CheckpointError, RecipeError, SwathError
from swath.pipeline import Result
from swath.pipeline._evaluate import evaluation_of
from swath.products import model_export
from swath.sensors import band_id
from swath.tasks.probes import _layers
from swath.tasks.probes.linear import ByScores
from swath.tasks.trained import TrainedProbe
from tests import test_pipeline_maps
from tests.test_pipeline_maps import KEYS, OPTICAL

run = test_pipeline_maps.run
"""A tiny run of two bands, as maps are tested on."""
CHIPS = Result(task="chips", row="a")


@pytest.fixture(scope="module", autouse=True)
def _shapes_are_symbols():
    """While torch looks on, a size is no number."""
    import jaxtyping

    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def pictures(h=12, w=20):
    """Three, of which the first shows wood, the last water, and each misses some pixels."""
    rng = np.random.default_rng(1)
    pixels = rng.uniform(0.08, 0.12, (3, 2, h, w))
    pixels[:, 1] += np.array([0.4, 0.2, 0.0])[:, None, None]
    return pixels.astype(np.float32), rng.random((3, h, w)) > 0.1


def by_hand(folder, pixels, valid):
    """MOSAIKS' features in SciPy, and scikit-learn's regression on what the run's own labels teach it."""
    encoder = pipeline.arm_folder(folder, "a", 0) / "encoder"
    loaded = encoders.load(encoder)
    kernels, contract = loaded.network.state_dict()["weight"].double().numpy(), loaded.contract
    mean, std = (np.array(values)[:, None, None] for values in (contract.mean, contract.std))

    def features(pixels, valid):
        x = np.where(valid[:, None], (pixels.astype(float) - mean) / std, 0.0)
        response = np.array([[correlate(one, kernel, "valid")[0] - 1 for kernel in kernels] for one in x])
        return np.concatenate([np.maximum(response, 0).mean((2, 3)), np.maximum(-response, 0).mean((2, 3))], axis=1)

    recipe = config.load(folder / "recipe.yaml")
    corpus = Corpus.open(pipeline.corpus_path(recipe, folder))
    judged = evaluation_of(recipe, folder, corpus, {}).trained(task="chips", row="a")
    assert isinstance(judged.trained, TrainedProbe)
    assert isinstance(judged.trained.fitted, ByScores)
    fitted = judged.trained.fitted.scores.model
    assert isinstance(fitted, LogisticRegression)
    image = Reader(corpus, {OPTICAL: ("B04", "B08")}).batch(judged.task.parts["train"].locations).images[OPTICAL]
    train = features(image.pixels[:, 0].numpy(), image.valid[:, 0].numpy())
    return fitted.predict_proba((features(pixels, valid) - train.mean(0)) / train.std(0))


def test_an_encoder_with_its_head_gives_probabilities(run, tmp_path, capsys):
    folder, _ = run
    corpus = pipeline.corpus_path(config.load(folder / "recipe.yaml"), folder)
    made = pipeline.export_run(folder, tmp_path / "cover", format="pt2", result=CHIPS, corpus=corpus)
    assert "has not judged a there yet" in " ".join(capsys.readouterr().err.split())
    pixels, valid = pictures()
    graph = torch.export.load(made.graph).module()
    found = graph(torch.from_numpy(pixels), torch.from_numpy(valid))["probabilities"].numpy()
    np.testing.assert_allclose(found, by_hand(folder, pixels, valid), rtol=1e-3, atol=1e-5)
    assert found.argmax(axis=1)[[0, 2]].tolist() == [0, 1]
    lost = np.where(valid[:, None], pixels, np.nan)
    np.testing.assert_array_equal(
        graph(torch.from_numpy(lost), torch.ones(valid.shape, dtype=torch.bool))["probabilities"].numpy(), found
    )
    assert made.differences["probabilities"] < 1e-5
    assert made.checked_on.count("2 × 16 × 16") == 3, "one chip, several, and those of --check-on"
    said = json.loads(made.item.read_text())
    MLModelProperties.model_validate(said["properties"])
    output = said["properties"]["mlm:output"][0]
    assert output["tasks"] == said["properties"]["mlm:tasks"] == ["scene-classification"]
    assert output["result"] == {"shape": [-1, 2], "dim_order": ["batch", "class"], "data_type": "float32"}
    assert [(one["value"], one["name"]) for one in output["classification:classes"]] == [(0, "wood"), (1, "water")]
    assert said["properties"]["mlm:input"][0]["bands"] == KEYS
    assert said["properties"]["swath:result"]["row"] == "a"
    assert list(said["assets"]) == ["model"]
    west, south, east, north = said["bbox"]
    assert 3.0 < west < east < 3.02
    assert 45.14 < south < north < 45.16
    with pytest.raises(RecipeError, match="another file is there already"):
        pipeline.export_run(folder, tmp_path / "cover", format="pt2", result=CHIPS)
    with pytest.raises(RecipeError, match="another file is there already"):
        model_export.export_model(pipeline.arm_folder(folder, "a", 0) / "encoder", tmp_path / "cover", format="pt2")


@pytest.mark.slow  # of encoders alone it is tried in the fast tests
def test_a_head_that_computes_something_else_is_not_written(run, tmp_path, monkeypatch):
    usual = _layers.Scaled.forward

    def wrong(self, x):
        return usual(self, x) + (1e4 if torch.compiler.is_exporting() else 0.0)

    monkeypatch.setattr(_layers.Scaled, "forward", wrong)
    with pytest.raises(CheckpointError, match="was not written: probabilities by"):
        pipeline.export_run(run[0], tmp_path / "cover", format="pt2", result=CHIPS)
    assert not list(tmp_path.iterdir())


def test_what_is_meant_has_to_be_said_and_a_corpus_to_check_on_has_to_fit(run, tmp_path):
    folder, _ = run
    with pytest.raises(RecipeError, match="results are of row a"):
        pipeline.export_run(folder, tmp_path / "x", format="pt2", result=Result(row="a"))
    with pytest.raises(RecipeError, match=r"no recipe\.yaml"):
        pipeline.export_run(tmp_path, tmp_path / "x", format="pt2")
    encoder = pipeline.arm_folder(folder, "a", 0) / "encoder"
    for wrong, arguments in [
        ("a graph of an encoder takes no --row", [encoder, "--row", "a"]),
        ("takes no --dense", [folder, "--dense"]),
        ("takes no --bands", [folder, "--bands", KEYS[0]]),
    ]:
        words = ["export", "model", *map(str, arguments), "--format", "pt2", "--to", str(tmp_path / "x")]
        caught = CliRunner().invoke(cli.app, words).exception
        assert isinstance(caught, SwathError)
        assert wrong in caught.what
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("meant", "counts"),
    [(Result(task="pixels", row="unet", input="optical"), False), (Result(task="chips", row="a", seed=1), True)],
)
def test_onnx_of_a_network_of_pixels_and_of_counts(run, tmp_path, meant, counts):
    """Segmenters give a class for every pixel; counts are turned into reflectance inside."""
    folder, _ = run
    made = pipeline.export_run(folder, tmp_path / "net", format="onnx", result=meant, counts=counts)
    session = onnxruntime.InferenceSession(str(made.graph))
    pixels, valid = pictures(h=32, w=64)
    given = np.round(pixels * 1e4).astype(np.uint16) if counts else pixels
    found = np.asarray(session.run(None, {"pixels": given, "valid": valid})[0])
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)
    recipe = config.load(folder / "recipe.yaml")
    corpus = Corpus.open(pipeline.corpus_path(recipe, folder))
    evaluation = evaluation_of(recipe, folder, corpus, {})
    trained = evaluation.trained(task=meant.task, row=meant.row, input=meant.input, seed=meant.seed).trained
    values = torch.from_numpy(given.astype(np.float32) * 1e-4 if counts else pixels)
    seen = valid & (given > 0).all(1) if counts else valid
    ids = tuple(map(band_id, KEYS))
    image = Image(
        torch.where(torch.from_numpy(seen)[:, None], values, 0.0)[:, None],
        torch.from_numpy(seen)[:, None],
        torch.zeros(3, 1, dtype=torch.int32),
        torch.tensor([ids] * 3, dtype=torch.int32),
        10.0,
        ids,
    )
    np.testing.assert_allclose(found, trained.predict({OPTICAL: image}).numpy(), atol=1e-4)
    output = json.loads(made.item.read_text())["properties"]["mlm:output"][0]
    assert output["tasks"] == ["scene-classification" if counts else "semantic-segmentation"]
    assert output["result"]["dim_order"][1] == "class"
    if not counts:
        described = [one["description"] for one in output["classification:classes"]]
        assert described == ["wood (code 3 of cover)", "water (code 7 of cover)"]
