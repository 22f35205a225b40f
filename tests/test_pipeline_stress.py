"""A run whose rows are asked about changed test images: against a forward pass and a vote by hand."""

from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from swath import cli, config, encoders, pipeline
from swath.cli.stress import _print_tables
from swath.corpus import Corpus, Selection
from swath.encoders.random_convolutions import Config as RandomConvolutions
from swath.errors import RecipeError
from swath.products.pages import environment
from swath.products.report import Material
from swath.products.report.sections import robustness
from swath.products.tables import load
from swath.tasks import Splits, Wanted
from swath.tasks.data import BandReader
from swath.tasks.robustness import Asked
from swath.tasks.run.conditions import beside_earlier
from swath.tasks.schema import CONDITIONS, SPLITS
from tests.tasks import fakes

BANDS = ("sentinel-2-l2a/B03", "sentinel-2-l2a/B04")
RECIPE = """
name: tiny
seeds: [0]
corpus: {{path: {corpus}}}
split: {{by: location, fractions: [0.5, 0.2, 0.3]}}
pretrain:
  encoder: {{name: random-convolutions, features: 8}}
  method: {{name: simclr}}
  views: {{name: two-crops, bands: [sentinel-2-l2a/B03, sentinel-2-l2a/B04]}}
arms: {{a: {{}}}}
tasks:
  kinds:
    target: {{rule: scalar, column: kind}}
    inputs: {{optical: [sentinel-2-l2a/B03, sentinel-2-l2a/B04]}}
    probes: [{{name: knn, k: 3, weights: uniform}}]
    metric: accuracy
    floors: [majority, image-statistics]
claims: []
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that is evaluated and stressed by bands and noise."""
    folder = tmp_path_factory.mktemp("run")
    corpus = fakes.make(folder / "corpus", 48)
    (folder / "tiny.yaml").write_text(RECIPE.format(corpus=corpus.path))
    recipe = config.load(folder / "tiny.yaml")
    out = pipeline.run_folder(recipe, folder / "run")
    settings = RandomConvolutions(features=8, seed=5, kernel_size=3)
    network = encoders.build(settings, pipeline.contract_of(recipe.arms["a"], corpus))
    encoders.save(network, settings, pipeline.arm_folder(out, "a", 0) / "encoder", {})
    pipeline.evaluate(recipe, out)
    said = pipeline.stress(out, asked=Asked(dates=False, shifts=("noise",)))
    return out, said, corpus, network


def test_a_row_without_a_band_is_the_same_vote_on_embeddings_of_its_mean(run):
    out, said, corpus, network = run
    assert len(said) == 1
    assert said[0].startswith("1 left out: majority (optical, knn (k=3, weights=uniform)): learns from no images")
    table = CONDITIONS.read(out / "stress").set_index(["row", "kind", "name", "level"])
    splits = SPLITS.read(out / "evaluate")
    rows = {part: np.flatnonzero(np.isin(corpus.locations["uid"], own["uid"])) for part, own in splits.groupby("split")}
    reader = BandReader(corpus, BANDS, Selection())
    images = {part: reader.read(rows[part])["sentinel-2-l2a"] for part in ("train", "test")}
    kinds = corpus.locations["kind"].to_numpy()
    changed = images["test"].pixels.clone()
    changed[:, :, 1] = float(images["train"].pixels[:, :, 1].double().mean())
    train = unit(network.embed(images["train"]))
    for pixels, value in ((images["test"].pixels, "as_it_is"), (changed, "value")):
        shown = type(images["test"])(
            pixels, *(getattr(images["test"], n) for n in ("valid", "days", "band_ids", "gsd_m"))
        )
        nearest = np.argsort(-(unit(network.embed(shown)) @ train.T), axis=1, kind="stable")[:, :3]
        votes = np.stack([(kinds[rows["train"]][nearest] == f"class {c}").sum(axis=1) for c in range(3)], axis=1)
        right = (votes.argmax(axis=1) == [int(kind[-1]) for kind in kinds[rows["test"]]]).mean()
        assert table.loc[("a", "band", BANDS[1], 1.0), value] == pytest.approx(right)
    assert table.loc[("a", "band", BANDS[1], 1.0), "how"] == "mean"
    assert set(table.index.get_level_values("row")) == {"a", "image statistics + linear"}
    assert set(table.index.get_level_values("kind")) == {"band", "noise"}


def unit(features: torch.Tensor) -> np.ndarray:
    features = features.double().numpy()
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def test_the_command_prints_what_each_condition_costs(run, capsys):
    _print_tables(run[0] / "stress")
    printed = " ".join("".join(capsys.readouterr()).replace("\xa0", " ").split())
    table = CONDITIONS.read(run[0] / "stress")
    lines = table.loc[(table["row"] == "a") & (table["kind"] == "noise")].to_dict("records")
    assert len(lines) == 3
    for line in lines:
        assert f"noise {line['level']:g} │ {100 * line['value']:.1f} %" in printed
    assert "7 groups only: they say as much as 6.3 of equal size" in printed


def test_figures_lie_beside_their_data_and_stand_in_the_report(run):
    out, _, corpus, _ = run
    folder = out / "stress"
    drawings = sorted(path.stem for path in folder.glob("*.svg"))
    assert [name.split()[0] for name in drawings] == ["bands", "shifts"]
    for name in drawings:
        assert ElementTree.parse(folder / f"{name}.svg").getroot().tag.endswith("svg")
        assert "drop" in (folder / f"{name}.csv").read_text()
    material = Material(load(out), [], None, Corpus.open(corpus.path), [])
    shown = robustness.content(material)
    assert material.problems == []
    html = environment().from_string(robustness.SECTION.template).render(shown)
    assert html.count('<svg class="plot"') == 2
    assert html.count('download="robustness') == 2
    assert {line["row"] for line in shown["worst"]} == {"a", "image statistics + linear"}
    few = "7 groups only: they say as much as 6.3 of equal size, and intervals may be too narrow"
    assert few in html
    assert "a: one training: conditional on these trained networks" in html


@pytest.mark.parametrize(
    ("changed", "is_of_now"),
    [
        ({}, True),
        ({"floors": ["majority"], "more_metrics": ["macro_f1"]}, True),
        ({"min_valid": 0.5}, False),
        ({"inputs": {"optical": ["sentinel-2-l2a/B03"]}}, False),
        ({"labels_per_class": [3]}, False),  # a task of another name
    ],
)
def test_what_was_asked_of_a_task_that_has_changed_since_is_left_out_of_the_report(run, changed, is_of_now):
    there = load(run[0])
    task = there.manifest["recipe"]["tasks"]["kinds"]
    recipe = there.manifest["recipe"] | {"tasks": {"kinds": task | changed}}
    material = Material(replace(there, manifest=there.manifest | {"recipe": recipe}), [], None, None, [])
    shown = robustness.content(material)
    assert (shown is not None, material.problems == []) == (is_of_now, is_of_now)
    if not is_of_now:
        assert "lines on kinds are left out: the recipe has no such task" in material.problems[0]
        assert "call `swath stress` again" in material.problems[0]


def test_a_table_keeps_no_lines_of_a_task_as_it_was(run, tmp_path):
    old = CONDITIONS.read(run[0] / "stress")
    of = ["kinds", "kinds", "cover", "gone"]
    there = pd.concat([old.iloc[:4].assign(task=of, kind=["band", "noise", "band", "band"])], ignore_index=True)
    CONDITIONS.write(tmp_path, there)
    new = there.iloc[:1]
    kept = beside_earlier(CONDITIONS, new, tmp_path, "kind", tasks={"kinds", "cover"})
    assert kept[["task", "kind"]].to_numpy().tolist() == [["kinds", "noise"], ["cover", "band"], ["kinds", "band"]]
    kept = beside_earlier(CONDITIONS, new.assign(origin="other"), tmp_path, "kind", tasks={"kinds", "cover"})
    assert kept[["task", "kind"]].to_numpy().tolist() == [["cover", "band"], ["kinds", "band"]]


def test_a_later_call_keeps_other_conditions_and_computes_nothing_twice(run, monkeypatch):
    out, *_ = run
    before = CONDITIONS.read(out / "stress")
    wanted = Wanted(rows=("a",))
    assert pipeline.stress(out, wanted=wanted, asked=Asked(bands=False, dates=False, shifts=("resampling",))) == []
    both = CONDITIONS.read(out / "stress")
    assert len(both) == len(before) + 2
    fewer = pipeline.stress(out, wanted=wanted, asked=Asked(False, (), False, ("resampling",)), most=6)
    assert fewer == ["6 of 13 test locations are looked at, drawn at random"]
    assert set(CONDITIONS.read(out / "stress").set_index("kind").loc["resampling", "n_units"]) == {6}
    pipeline.stress(out, wanted=wanted, asked=Asked(False, (), False, ("resampling",)))
    monkeypatch.setattr("swath.tasks.Evaluation.anew", None)
    pipeline.stress(out, wanted=wanted, asked=Asked(bands=False, dates=False, shifts=("resampling",)))
    assert CONDITIONS.read(out / "stress").equals(both)


def test_what_a_run_does_not_have_is_refused_with_the_nearest(run, tmp_path):
    out, *_ = run
    for wanted, what in (
        (Wanted(task="kind"), "there is no task 'kind'"),
        (Wanted(inputs=("radar",)), "no input 'radar'"),
        (Wanted(rows=("b",)), "no row 'b'"),
        (Wanted(probe="linear"), "no probe 'linear'"),
    ):
        with pytest.raises(RecipeError, match=what):
            pipeline.stress(out, wanted=wanted)
    with pytest.raises(RecipeError, match="no band 'B05'"):
        pipeline.stress(out, asked=Asked(groups=("B05",)))
    with pytest.raises(RecipeError, match=r"there is no recipe\.yaml"):
        pipeline.stress(tmp_path)
    with pytest.raises(RecipeError, match="splits alone look at all locations"):
        pipeline.stress(out, asked=None, splits=Splits(), most=9)


def test_the_command_asks_for_what_its_options_say(run, monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(pipeline, "stress", lambda *args, **said: calls.append((args, said)) or ["one date"])
    monkeypatch.setattr(pipeline, "report", lambda run: tmp_path / "report.html")
    said = ["stress", str(run[0]), "--bands", "B03,B04", "--shift", "haze", "--row", "a", "--trainings", "2"]
    result = CliRunner().invoke(cli.app, said)
    assert result.exit_code == 0, result.output
    CliRunner().invoke(cli.app, ["stress", str(run[0])])
    CliRunner().invoke(cli.app, ["stress", str(run[0]), "--splits", "--folds", "4", "--region", "country"])
    (_, some), (_, everything), (_, splits) = calls
    assert (splits["asked"], splits["splits"]) == (None, Splits(4, 5.0, "country"))
    assert some["splits"] is None
    assert some["asked"] == Asked(groups=("B03,B04",), dates=False, shifts=("haze",))
    assert some["wanted"] == Wanted(rows=("a",), replicates=2)
    assert everything["asked"] == Asked()
