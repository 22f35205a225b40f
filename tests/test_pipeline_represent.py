"""Features of a run's encoders: what is looked at, its tables, and the section of the report."""

import json
from dataclasses import replace

import pytest

from swath import config, encoders, pipeline
from swath.corpus import Corpus
from swath.encoders.random_convolutions import Config as RandomConvolutions
from swath.errors import CorpusError, RecipeError
from swath.products.pages import environment
from swath.products.report import Material
from swath.products.report.sections import representation
from swath.products.tables import load
from swath.tasks.schema import PROPERTIES
from tests.tasks import fakes

RECIPE = """
name: tiny
seeds: [0, 1]
corpus: {{path: {corpus}}}
split: {{by: location, fractions: [0.5, 0.2, 0.3]}}
pretrain:
  encoder: {{name: random-convolutions, features: 8}}
  method: {{name: simclr}}
  views: {{name: two-crops, bands: [sentinel-2-l2a/B03, sentinel-2-l2a/B04]}}
arms: {{a: {{}}, never: {{}}}}
tasks:
  kinds:
    target: {{rule: scalar, column: kind}}
    inputs: {{optical: [sentinel-2-l2a/B03, sentinel-2-l2a/B04]}}
    probes: [{{name: knn}}]
    metric: accuracy
claims: []
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run whose first arm has an encoder for seed 1."""
    return made(tmp_path_factory.mktemp("run"), RECIPE, ["a"])


def made(folder, text, trained):
    """A run of which some arms have an encoder for seed 1."""
    corpus = fakes.make(folder / "corpus", 48)
    (folder / "tiny.yaml").write_text(text.format(corpus=corpus.path))
    recipe = config.load(folder / "tiny.yaml")
    out = pipeline.run_folder(recipe, folder / "run")
    (out / "manifest.json").write_text(json.dumps({"format": 1, "name": "tiny", "stages": []}))
    settings = RandomConvolutions(features=8, seed=5)
    for arm in trained:
        network = encoders.build(settings, pipeline.contract_of(recipe.arms[arm], corpus))
        encoders.save(network, settings, pipeline.arm_folder(out, arm, 1) / "encoder", {})
    return out


def test_trained_arms_stand_beside_their_twins_and_in_the_report(run):
    assert representation.content(Material(load(run), [], None, None, [])) is None
    assert pipeline.represent(run, seed=1, most=12) == [
        "12 of 13 test locations are looked at, drawn at random",
        "a: it is not known which locations the encoder was pre-trained on",
    ]
    table = PROPERTIES.read(run / "represent")
    assert table["row"].tolist() == ["a", "random encoder, as a"]
    assert table["locations"].tolist() == [12, 12]
    material = Material(load(run), [], None, Corpus.open(run.parent / "corpus"), [])
    shown = representation.content(material)
    assert shown["about"] == "kinds · optical · seed 1"
    assert shown["likeness"]["columns"] == ["a", "random encoder, as a"]
    assert shown["likeness"]["rows"][0][1][0] == "1.00"
    assert {name for name, _ in shown["planes"]} == {"class", "group"}  # all dates are of one month
    html = environment().from_string(representation.SECTION.template).render(shown)
    assert html.count("looked for") == 12
    assert html.count("<img") == 2 * 6 * 11
    assert material.problems == []
    # of the same corpus it is known of which task they are
    about = {"recipe": material.run.recipe, "corpus": {"hash": Corpus.open(run.parent / "corpus").content_hash}}
    task = about["recipe"]["tasks"]["kinds"]
    for changed, is_of_now in (({"more_metrics": ["macro_f1"]}, True), ({"dates": 2}, False)):
        about["recipe"]["tasks"]["kinds"] = task | changed
        changing = replace(material, run=replace(material.run, manifest=material.run.manifest | about), problems=[])
        assert (representation.content(changing) is not None) == is_of_now
        assert [("`swath represent` again" in line) for line in changing.problems] == [True] * (not is_of_now)
    (run / "represent" / "plane.csv").write_text("x\n1\n")
    assert representation.content(material) is None
    assert "The representation cannot be shown" in material.problems[0]


def test_arms_with_the_same_random_twin_share_its_row(tmp_path):
    wide = "{{encoder: {{name: random-convolutions, features: 16}}}}"
    arms = ["a", "wide", "b", "never"]
    text = RECIPE.replace(
        "{{a: {{}}, never: {{}}}}", f"{{{{a: {{{{}}}}, wide: {wide}, b: {{{{}}}}, never: {{{{}}}}}}}}"
    )
    out = made(tmp_path, text, arms[:3])
    pipeline.represent(out, seed=1, most=12)
    table = PROPERTIES.read(out / "represent")
    assert table["row"].tolist() == ["a", "random encoder, as a, b", "wide", "random encoder, as wide", "b"]
    assert table["of_arm"].tolist() == ["a", "a,b", "wide", "wide", "b"]


@pytest.mark.parametrize("ask", [pipeline.represent, pipeline.run_index, pipeline.stress])
def test_a_run_whose_corpus_was_made_anew_is_asked_nothing(tmp_path, ask):
    fakes.make(tmp_path / "corpus", 24)
    (tmp_path / "recipe.yaml").write_text(RECIPE.format(corpus=tmp_path / "corpus"))
    manifest = {"format": 1, "name": "tiny", "corpus": {"hash": "0" * 64}, "stages": []}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CorpusError, match=r"another than the one that the run in .* was made on") as error:
        ask(tmp_path)
    assert "do the run again" in error.value.remedy


def test_what_a_run_does_not_have_is_said(run, tmp_path):
    with pytest.raises(RecipeError, match="no arm is pre-trained for seed 0"):
        pipeline.represent(run)
    with pytest.raises(RecipeError, match="no training has seed 7"):
        pipeline.represent(run, seed=7)
    with pytest.raises(RecipeError, match="no task crops"):
        pipeline.represent(run, seed=1, task="crops")
    with pytest.raises(RecipeError, match="no input 'radar'"):
        pipeline.represent(run, seed=1, inputs=["radar"])
    with pytest.raises(RecipeError, match=r"there is no recipe\.yaml"):
        pipeline.represent(tmp_path)
