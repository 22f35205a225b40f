"""Saved encoders on a corpus without a recipe: what is made of them, and what comes out."""

import json

import pandas as pd
import pytest
from typer.testing import CliRunner

import swath
from swath import cli, config, encoders, pipeline
from swath.encoders import random_convolutions, series_transformer, unet_3d
from swath.errors import ContractError, CorpusError, RecipeError
from tests.tasks.fakes import ALL, contract, make

BANDS = ALL[:3]
CHEAP = ["tasks.kind.floors=[majority, image-statistics, random-encoder]", "seeds=[0, 1]"]
"""What is put over the recipe so that it takes no time."""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make(tmp_path_factory.mktemp("corpus") / "places", n=48).path


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    settings = random_convolutions.Config(features=8, seed=3)
    path = tmp_path_factory.mktemp("encoder") / "mine"
    encoders.save(encoders.build(settings, contract(BANDS, fixed=True)), settings, path, {})
    return path


@pytest.fixture(scope="module")
def judged(corpus, encoder, tmp_path_factory):
    """The folder of a run that was made without a recipe."""
    run = tmp_path_factory.mktemp("runs") / "run"
    swath.evaluate(encoder, on=corpus, tasks="kind", out=run, overrides=CHEAP)
    return run


def test_it_gives_what_the_same_encoder_gives_as_an_arm_of_a_recipe(judged, corpus, encoder, tmp_path):
    """The arm's encoder is the same file, put where a pre-training would have left it."""
    document = {
        "name": "arms",
        "seeds": [0, 1],
        "corpus": {"path": str(corpus)},
        "arms": {
            "mine": {
                "encoder": {"name": "random-convolutions", "features": 8, "seed": 3},
                "method": {"name": "simclr"},
                "views": {"name": "two-dates", "bands": list(BANDS)},
            }
        },
        "tasks": {
            "kind": {
                "target": {"rule": "scalar", "column": "kind"},
                "inputs": {"optical": list(BANDS)},
                "floors": ["majority", "image-statistics", "random-encoder"],
            }
        },
    }
    recipe = config.resolve(document)
    for seed in (0, 1):
        target = pipeline.arm_folder(tmp_path, "mine", seed)
        target.mkdir(parents=True)
        for end in ("json", "safetensors"):
            (target / f"encoder.{end}").write_bytes(encoder.with_suffix(f".{end}").read_bytes())
    pipeline.evaluate(recipe, tmp_path)
    ours, theirs = (values(folder) for folder in (judged, tmp_path))
    assert set(ours.index) == set(theirs.index) >= {"mine", "majority", "random encoder (frozen)"}
    same = ["mine", "majority", "image statistics + linear"]  # the arm's random twin has the corpus's statistics
    pd.testing.assert_series_equal(ours[same], theirs[same])
    assert ours["mine"] > ours["majority"]


def values(run):
    """The value of each row."""
    return pd.read_csv(run / "evaluate" / "table.csv").set_index("row")["value"]


def test_what_is_finished_is_not_done_again_and_the_report_reads_it(judged, corpus, encoder, monkeypatch):
    cells = {path.name: path.stat().st_mtime_ns for path in (judged / "evaluate" / "cells").iterdir()}
    assert cells
    swath.evaluate({"mine": encoder}, on=corpus, tasks=["kind"], out=judged, overrides=CHEAP)
    assert {path.name: path.stat().st_mtime_ns for path in (judged / "evaluate" / "cells").iterdir()} == cells
    table = pd.read_csv(judged / "evaluate" / "table.csv").set_index("row")
    assert table.loc["mine", "role"] == "pretrained"
    claims = pd.read_csv(judged / "evaluate" / "claims.csv")
    assert {"random encoder (frozen)", "image statistics"} & set(claims.astype(str).stack())
    stage = json.loads((judged / "manifest.json").read_text())["stages"][-1]
    assert list(stage["figures"]["encoders"]) == ["mine"]


@pytest.mark.slow  # a report takes seconds to draw
def test_a_report_is_made_of_it(judged):
    assert "mine" in pipeline.report(judged).read_text()


def test_the_recipe_is_made_of_what_encoder_and_corpus_say(corpus, encoder):
    recipe = pipeline.recipe_for({"mine": encoder}, corpus, ["kind"])
    assert recipe.name == "mine-on-places"
    assert (recipe.seeds, recipe.arms, recipe.claims) == ([0, 1, 2], {}, None)
    assert recipe.corpus.path == corpus.absolute()
    task = recipe.tasks["kind"]
    assert task.target.model_dump(include={"rule", "column"}) == {"rule": "scalar", "column": "kind"}
    assert task.inputs == {"sentinel-2-l2a": BANDS}
    assert task.dates == 1
    assert task.floors == type(task)(target=task.target, inputs=task.inputs).floors
    assert config.complete(json.loads(recipe.model_dump_json()), [], "again") == recipe


def test_series_are_read_whole_and_each_encoder_on_its_own_bands(corpus, encoder, tmp_path, capsys):
    settings = unet_3d.Config(width=1)
    radar = tmp_path / "radar"
    encoders.save(encoders.build(settings, contract(ALL[3:], fixed=True)), settings, radar, {})
    task = pipeline.recipe_for({"mine": encoder, "radar": radar}, corpus, ["kind"]).tasks["kind"]
    assert task.inputs == {"sentinel-2-l2a": BANDS, "sentinel-1-grd": ALL[3:]}
    assert task.dates == "all"
    settings = random_convolutions.Config(features=8)
    anything = tmp_path / "anything"
    encoders.save(encoders.build(settings, contract((*ALL, "sentinel-2-l2a/B08"), 1)), settings, anything, {})
    assert pipeline.recipe_for({"any": anything}, corpus, ["kind"]).tasks["kind"].inputs == {
        "sentinel-2-l2a-and-sentinel-1-grd": ALL
    }
    assert "any knows sentinel-2-l2a/B08 too, which the corpus has not" in " ".join(capsys.readouterr().err.split())


def test_an_encoder_of_groups_is_judged_by_those_that_are_there_whole_and_that_is_said(corpus, tmp_path, capsys):
    settings = series_transformer.Config(dim=16, heads=2)
    bands = (ALL[0], "sentinel-2-l2a/B05", "sentinel-2-l2a/B06", *ALL[3:])
    encoders.save(encoders.build(settings, contract(bands, fixed=True)), settings, tmp_path / "series", {})
    task = pipeline.recipe_for({"series": tmp_path / "series"}, corpus, ["kind"]).tasks["kind"]
    assert task.inputs == {"sentinel-2-l2a-and-sentinel-1-grd": (ALL[0], *ALL[3:])}
    said = " ".join(capsys.readouterr().err.split())
    assert "series knows sentinel-2-l2a/B05, sentinel-2-l2a/B06 too, which the corpus has not" in said
    assert "judged by sentinel-2-l2a/B02, sentinel-1-grd/VV, sentinel-1-grd/VH" in said


def test_what_cannot_be_judged_is_refused(corpus, encoder, tmp_path):
    one = {"mine": encoder}
    with pytest.raises(CorpusError, match="no labels 'kindd'") as caught:
        pipeline.recipe_for(one, corpus, ["kindd"])
    assert "did you mean 'kind'?" in caught.value.remedy
    with pytest.raises(CorpusError, match="no labels 'uid'"):
        pipeline.recipe_for(one, corpus, ["uid"])
    with pytest.raises(RecipeError, match="kind cannot be judged by the rule 'pixels'"):
        pipeline.recipe_for(one, corpus, ["kind=pixels"])
    with pytest.raises(RecipeError, match="needs encoders and tasks"):
        pipeline.recipe_for(one, corpus, [])
    with pytest.raises(RecipeError, match="tasks"):
        pipeline.recipe_for(one, corpus, ["kind"], ["tasks.kind.probess=[]"])
    other = tmp_path / "other"
    settings = random_convolutions.Config(features=8)
    encoders.save(encoders.build(settings, contract((*BANDS, "sentinel-2-l2a/B08"), fixed=True)), settings, other, {})
    with pytest.raises(ContractError, match=r"has not the bands of other: .*B08") as refused:
        pipeline.recipe_for({"other": other}, corpus, ["kind"])
    assert "sentinel-1-grd/VH" in refused.value.remedy


def test_the_command(corpus, encoder, monkeypatch, tmp_path):
    called = {}

    def judge(named, on, tasks, **more):
        called.update(more, named=named, on=on, tasks=tasks)
        raise RecipeError("that is all")

    monkeypatch.setattr(pipeline, "evaluate_on", judge)

    def call(*words):
        return CliRunner().invoke(cli.app, ["evaluate", *map(str, words)]).exception

    assert "that is all" in str(call("seeds=[0]", "--encoder", f"a={encoder}", "--on", corpus, "--task", "kind"))
    assert called == {
        "named": {"a": encoder}, "on": corpus, "tasks": ["kind"], "out": None, "overrides": ["seeds=[0]"], "jobs": 1
    }  # fmt: skip
    assert "by a recipe, or on a corpus" in str(call("--encoder", encoder))
    assert "an evaluation by a recipe takes no --task" in str(call("quickstart", "--task", "kind"))
