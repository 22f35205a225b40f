"""The main job, end to end on a tiny landscape, and what happens when it is stopped, changed or fed nonsense."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from filelock import FileLock

import swath
from swath import config, pipeline
from swath.corpus import Chip, CorpusWriter, Location, Part, SensorLayout
from swath.corpus.labels.target import targets
from swath.errors import CorpusError, RecipeError, SwathError, TrainingError
from swath.pipeline._folder import fixed
from swath.pipeline._gauge import gauge_set
from swath.pipeline._inputs import parts_of

TINY = [
    "seeds=[0]",
    "corpus.source.locations=96",
    "corpus.source.chip_px=32",
    "corpus.source.dates_optical=2",
    "corpus.source.dates_radar=1",
    "corpus.source.extent_km=30",
    "pretrain.encoder.model=test_resnet",
    "pretrain.method.hidden=16",
    "pretrain.training.epochs=2",
    "pretrain.training.batch_size=16",
    "pretrain.training.log_every=1",
    "pretrain.training.checkpoint_every=1",
    "tasks.landcover.target.min_share=0.2",
    "tasks.landcover.probes=[{name: knn}]",
    "tasks.landcover.label_fractions=[]",
    "claims=null",
    "tasks.landcover.floors=[majority, image-statistics, random-encoder]",
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "tiny"
    swath.run(swath.load_recipe("quickstart", TINY), folder)
    return folder


def test_a_run_leaves_what_the_documents_say(finished):
    arm = finished / "pretrain" / "simclr" / "seed-0"
    assert (finished / "report.html").read_text().startswith("<!")
    assert {p.name for p in arm.iterdir()} >= {"encoder.safetensors", "encoder.json", "log.csv", "config.json"}
    manifest = json.loads((finished / "manifest.json").read_text())
    assert {s["stage"]: s["status"] for s in manifest["stages"]} == dict.fromkeys(
        ("corpus", "pretrain", "evaluate", "report"), "done"
    )
    table = pd.read_csv(finished / "evaluate" / "table.csv")
    assert set(table["row"]) >= {"simclr", "majority", "random encoder (frozen)"}
    assert table["value"].between(0, 1).all()


def test_only_the_training_part_is_pretrained_on(finished):
    corpus = swath.Corpus.open(finished / "corpus")
    card = json.loads((finished / "pretrain" / "simclr" / "seed-0" / "encoder.json").read_text())
    assert card["provenance"]["locations"] < len(corpus.locations)


@pytest.mark.usefixtures("short_report")
def test_the_same_command_again_does_nothing_anew(finished):
    encoder = finished / "pretrain" / "simclr" / "seed-0" / "encoder.safetensors"
    before = encoder.stat().st_mtime_ns
    swath.run(swath.load_recipe("quickstart", TINY), finished)
    assert encoder.stat().st_mtime_ns == before


@pytest.mark.parametrize("real", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.usefixtures("short_report")
def test_jobs_side_by_side_end_with_the_same_numbers(finished, tmp_path, monkeypatch, real):
    if not real:  # new processes take seconds to import torch
        for part in ("_pretrain", "_evaluate"):
            monkeypatch.setattr(
                f"swath.pipeline.{part}.side_by_side", lambda work, calls, *_: [work(*c) for c in calls]
            )
    settings = [*TINY, "seeds=[0,1]", f"corpus.path={finished / 'corpus'}", "corpus.source=null"]
    settings += ["pretrain.training.epochs=1", "tasks.landcover.floors=[majority, random-encoder]"]
    recipe = swath.load_recipe("quickstart", settings)
    swath.run(recipe, tmp_path / "apart", jobs=2)
    swath.run(recipe, tmp_path / "alone")
    apart, alone = (pd.read_csv(tmp_path / name / "evaluate" / "table.csv") for name in ("apart", "alone"))
    pd.testing.assert_frame_equal(apart, alone, rtol=1e-3)
    stages = json.loads((tmp_path / "apart" / "manifest.json").read_text())["stages"]
    assert [s["status"] for s in stages] == ["done"] * 4
    assert {(s["stage"], s["seed"]) for s in stages} >= {("pretrain", 0), ("pretrain", 1)}


def test_two_processes_are_never_at_one_pretraining(finished, tmp_path):
    recipe = swath.load_recipe("quickstart", [*TINY, f"corpus.path={finished / 'corpus'}", "corpus.source=null"])
    folder = pipeline.arm_folder(tmp_path, "simclr", 0)
    folder.mkdir(parents=True)
    with FileLock(folder / ".lock"), pytest.raises(TrainingError, match="another process is at this pre-training"):
        pipeline.pretrain(recipe, tmp_path)
    assert pipeline.pretrain(recipe, tmp_path)[0].exists()


def test_a_folder_belongs_to_one_recipe(finished):
    with pytest.raises(RecipeError, match=r"arms\.simclr\.training\.epochs: was 2, is 3"):
        swath.run(swath.load_recipe("quickstart", [*TINY, "pretrain.training.epochs=3"]), finished)


def test_until_something_is_stored_the_recipe_may_be_mended(tmp_path, finished):
    first = swath.load_recipe("quickstart", TINY)
    pipeline.run_folder(first, tmp_path)
    mended = swath.load_recipe("quickstart", [*TINY, "corpus.source.chip_px=16"])
    pipeline.run_folder(mended, tmp_path)
    assert config.load(tmp_path / "recipe.yaml") == mended
    shutil.copytree(finished / "corpus", tmp_path / "corpus")
    with pytest.raises(RecipeError, match=r"corpus\.source\.chip_px: was 16"):
        pipeline.run_folder(first, tmp_path)


def test_a_recipe_whose_first_steps_failed_may_be_mended(tmp_path, finished):
    shutil.copytree(finished / "corpus", tmp_path / "corpus")
    settings = [*TINY, "pretrain.training.epochs=1", "pretrain.training.checkpoint_every=200"]
    wrong = swath.load_recipe("quickstart", [*settings, "pretrain.training.optimizer.lr=1.0e+38"])
    with pytest.raises(TrainingError, match="the loss became nan"):
        pipeline.pretrain(wrong, tmp_path)
    # nothing to continue from: neither the training nor the split is held to what failed
    mended = swath.load_recipe("quickstart", [*settings, "split.seed=7"])
    (encoder,) = pipeline.pretrain(mended, tmp_path)
    card = json.loads(encoder.with_suffix(".json").read_text())
    assert card["provenance"]["training"]["optimizer"]["lr"] < 1
    stages = json.loads((tmp_path / "manifest.json").read_text())["stages"]
    assert [stage["status"] for stage in stages if stage["stage"] == "pretrain"] == ["done"]
    with pytest.raises(RecipeError, match=r"split\.seed: was 7"):
        pipeline.run_folder(swath.load_recipe("quickstart", settings), tmp_path)


def test_beside_an_arm_that_is_trained_another_may_be_mended_until_it_has_steps(tmp_path, finished):
    folder = shutil.copytree(finished, tmp_path / "run")
    second = "arms.second.method.temperature"
    for said in ("0.3", "0.2"):
        pipeline.run_folder(swath.load_recipe("quickstart", [*TINY, f"{second}={said}"]), folder)
    out = pipeline.arm_folder(folder, "second", 0)
    out.mkdir(parents=True)
    other = swath.load_recipe("quickstart", [*TINY, f"{second}=0.1"])
    with FileLock(out / ".lock"), pytest.raises(RecipeError, match=r"arms\.second\.method\.temperature: was 0\.2"):
        pipeline.run_folder(other, folder)
    pipeline.run_folder(other, folder)
    (out / "last.ckpt").touch()
    with pytest.raises(RecipeError, match=r"arms\.second\.method\.temperature: was 0\.1"):
        pipeline.run_folder(swath.load_recipe("quickstart", [*TINY, f"{second}=0.2"]), folder)


@pytest.mark.parametrize(
    "answer", ["on_failure=leave-out", "retries=9", "timeout_s=9.0", "backoff_s=0.5", "limits.read_mb=999"]
)
def test_what_answers_a_failing_host_may_change_in_a_run(answer):
    before = config.load("build-s1-s2-series")
    assert fixed(config.load("build-s1-s2-series", [f"corpus.source.{answer}"])) == fixed(before)
    other = config.load("build-s1-s2-series", ["corpus.source.chip_px=32"])
    assert fixed(other) != fixed(before)


def test_how_bad_files_are_answered_may_change_in_a_begun_run(tmp_path, finished):
    shutil.copytree(finished / "corpus", tmp_path / "corpus")
    recipes = [config.load("hls-landcover", over) for over in ([], ["corpus.source.on_bad_file=skip"])]
    for recipe in recipes:
        pipeline.run_folder(recipe, tmp_path)
    assert config.load(tmp_path / "recipe.yaml") == recipes[1]


def test_a_run_folder_that_cannot_be_made_is_a_message(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RecipeError, match="cannot make the run's folder"):
        pipeline.run_folder(swath.load_recipe("quickstart", TINY), tmp_path / "file" / "run")


def test_tasks_may_change_and_only_what_is_new_is_judged(finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "run")
    before = {p.name: p.stat().st_mtime_ns for p in (folder / "evaluate" / "cells").iterdir()}
    probes = "tasks.landcover.probes=[{name: knn}, {name: mlp}]"
    pipeline.evaluate(swath.load_recipe("quickstart", [*TINY, probes]), folder)
    after = {p.name: p.stat().st_mtime_ns for p in (folder / "evaluate" / "cells").iterdir()}
    assert before.items() < after.items()
    assert set(pd.read_csv(folder / "evaluate" / "table.csv")["probe"]) == {"knn", "mlp"}


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("split.fractions=[0.8, 0.2, 0.0]", "the test part holds no labelled location"),
        ("split.buffer_km=1000", "the buffer of 1000"),
        ("tasks.landcover.target.layer=landcovr", "no label layer 'landcovr'"),
        ("tasks.landcover.target.classes=[no such]", "no class 'no such'"),
        ("tasks.landcover.inputs.rgb=[sentinel-2-l2a/B01]", "no statistics of sentinel-2-l2a/B01"),
        ("pretrain.training.batch_size=97", "locations can be read, one step needs 97"),
        ("pretrain.training.accumulate=50", "an optimiser step needs 50"),
        ("arms.second={only: {region: [elsewhere]}}", "no column 'region'"),
        ("arms.second.method={name: s4}", "the encoder has none"),
    ],
)
def test_what_cannot_be_judged_or_trained_is_refused_before_the_first_step(
    finished, tmp_path, monkeypatch, setting, words
):
    monkeypatch.setattr("swath.training.fit.fit", lambda *_, **__: pytest.fail("a step was made"))
    shutil.copytree(finished / "corpus", tmp_path / "corpus")
    with pytest.raises(SwathError, match=words):
        swath.run(swath.load_recipe("quickstart", [*TINY, setting]), tmp_path)
    # nothing but the corpus was made, so that the recipe can be mended
    mended = swath.load_recipe("quickstart", [*TINY, "split.seed=7", "pretrain.training.epochs=3"])
    assert pipeline.run_folder(mended, tmp_path) == tmp_path


def test_an_arm_by_days_is_not_trained_where_it_could_not_be_judged(tmp_path, monkeypatch):
    """Training goes on without the days of some; the evaluation would have ended hours later."""
    layouts = {"sentinel-2-l2a": SensorLayout(bands=("B04", "B08"), gsd_m=10, dtype="float32")}
    rng = np.random.default_rng(0)
    with CorpusWriter(tmp_path / "corpus", layouts, 1) as writer:
        for i in range(24):
            scalars = {"kind": "ab"[i % 2], "dated": "no" if i == 0 else "yes"}
            days = [None if i == 0 else datetime(2020, month, 1) for month in (4, 8)]
            chips = [Chip(f"{i}", "sentinel-2-l2a", rng.random((2, 1, 1), np.float32), datetime=day) for day in days]
            writer.append(Part([Location(f"{i}", scalars=scalars)], chips))
        writer.finish()
    bands = ["sentinel-2-l2a/B04", "sentinel-2-l2a/B08"]
    document = {
        "name": "days",
        "corpus": {"path": str(tmp_path / "corpus")},
        "split": {"by": "location"},
        "pretrain": {
            "encoder": {"name": "series-transformer", "dim": 8, "heads": 2},
            "method": {"name": "masked-series"},
            "views": {"name": "sensor-series", "bands": bands},
            "training": {"epochs": 1, "batch_size": 4, "schedule": {"name": "constant"}},
        },
        "arms": {"series": {}},
        "tasks": {"kind": {"target": {"rule": "scalar", "column": "kind"}, "inputs": {"s2": bands}, "dates": "all"}},
    }
    monkeypatch.setattr("swath.training.fit.fit", lambda *_, **__: pytest.exit("trained"))
    with pytest.raises(RecipeError, match="by the days of a series, and sentinel-2-l2a has none of 1 labelled"):
        pipeline.pretrain(config.resolve(document), tmp_path / "run")
    document["tasks"]["kind"]["only"] = {"dated": ["yes"]}
    with pytest.raises(pytest.exit.Exception, match="trained"):
        pipeline.pretrain(config.resolve(document), tmp_path / "run")


def test_a_report_is_written_of_runs_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(SwathError, match=r"no run here(.|\n)*manifest.json"):
        pipeline.report(tmp_path / "mine")
    assert not list((tmp_path / "mine").iterdir())
    with pytest.raises(SwathError, match="no run here"):
        pipeline.report(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_a_run_whose_corpus_failed_has_a_report(tmp_path):
    recipe = config.load("hls-landcover", [f"data={tmp_path / 'none'}"])
    with pytest.raises(SwathError, match="none"):
        swath.run(recipe, tmp_path / "run")
    page = pipeline.report(tmp_path / "run").read_text()
    assert "Failed: corpus" in page
    assert "hls-landcover" in page


def test_evaluating_before_pretraining_says_so(tmp_path, finished):
    recipe = config.load("quickstart", [*TINY, f"corpus.path={finished / 'corpus'}"])
    with pytest.raises(RecipeError, match="not pre-trained"):
        pipeline.evaluate(recipe, tmp_path / "other")


def test_an_encoder_that_was_copied_into_a_run_is_not_judged_on_what_it_saw(finished, tmp_path):
    """Of the same corpus under another split, of whose test part it saw a part in its training."""
    other = [*TINY, f"corpus.path={finished / 'corpus'}", "corpus.source=null", "split.seed=1"]
    shutil.copytree(finished / "pretrain", tmp_path / "pretrain")
    with pytest.raises(RecipeError, match=r"simclr, judged on landcover, was pre-trained on \d+ of the \d+"):
        pipeline.evaluate(swath.load_recipe("quickstart", other), tmp_path)


@pytest.mark.usefixtures("short_report")
def test_an_encoder_from_anywhere_is_judged_by_a_recipe_without_arms(finished, tmp_path):
    path = pipeline.arm_folder(finished, "simclr", 0) / "encoder"
    plain = [*TINY, f"corpus.path={finished / 'corpus'}", "corpus.source=null"]
    recipe = swath.load_recipe("quickstart", plain).model_copy(update={"arms": {}})
    pipeline.evaluate(recipe, tmp_path, encoders={"mine": path})
    mine, theirs = (pd.read_csv(folder / "evaluate" / "table.csv") for folder in (tmp_path, finished))
    of_mine, of_theirs = (t.set_index("row").loc[name] for t, name in ((mine, "mine"), (theirs, "simclr")))
    assert (of_mine["role"], of_mine["value"]) == ("pretrained", of_theirs["value"])
    assert set(mine["row"]) == {"mine", *theirs["row"]} - {"simclr"}
    stage = json.loads((tmp_path / "manifest.json").read_text())["stages"][-1]
    assert list(stage["figures"]["encoders"]) == ["mine"]
    assert "mine" in pipeline.report(tmp_path).read_text()
    with pytest.raises(RecipeError, match="cannot be called 'si m'"):
        pipeline.evaluate(recipe, tmp_path, encoders={"si m": path})
    with pytest.raises(RecipeError, match="cannot be called 'simclr': that is an arm"):
        pipeline.evaluate(swath.load_recipe("quickstart", plain), tmp_path, encoders={"simclr": path})


def test_an_arm_does_not_start_from_an_encoder_that_saw_its_test_part(finished, tmp_path):
    start = pipeline.arm_folder(finished, "simclr", 0) / "encoder"
    other = [*TINY, f"corpus.path={finished / 'corpus'}", "corpus.source=null", f"pretrain.encoder.weights={start}"]
    recipe = swath.load_recipe("quickstart", [*other, "split.seed=1"])
    with pytest.raises(RecipeError, match=r"encoder that simclr starts from was pre-trained on \d+ of"):
        pipeline.pretrain(recipe, tmp_path)
    assert not list(tmp_path.glob("**/last.ckpt"))


def test_unknown_arm_and_seed_are_named(finished):
    recipe = config.load("quickstart", TINY)
    with pytest.raises(RecipeError, match="did you mean 'simclr'"):
        pipeline.pretrain(recipe, finished, arm="simcl")
    with pytest.raises(RecipeError, match="no seed 9"):
        pipeline.pretrain(recipe, finished, seed=9)


def _start(folder: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "swath", "quickstart", *TINY, "--out", str(folder)]
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True, env=os.environ.copy()
    )


def _kill_when(process: subprocess.Popen, there: Path) -> None:
    deadline = time.monotonic() + 120
    while not there.exists() and process.poll() is None:
        assert time.monotonic() < deadline, f"{there} never appeared"
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stderr.close()


@pytest.mark.slow
def test_killed_in_every_stage_and_continued_the_result_is_that_of_an_undisturbed_run(tmp_path, finished):
    folder = tmp_path / "disturbed"
    for there in ("corpus/corpus.json", "pretrain/simclr/seed-0/last.ckpt", "evaluate"):
        _kill_when(_start(folder), folder / there)
    swath.run(swath.load_recipe("quickstart", TINY), folder)
    for name in ("pretrain/simclr/seed-0/encoder.safetensors", "evaluate/table.csv", "evaluate/comparisons.csv"):
        assert (folder / name).read_bytes() == (finished / name).read_bytes(), name
    logs = [pd.read_csv(f / "pretrain/simclr/seed-0/log.csv").drop(columns="seconds") for f in (folder, finished)]
    pd.testing.assert_frame_equal(*logs)


def test_seeds_rotate_over_folds(tmp_path, finished):
    rotating = [
        *TINY,
        f"corpus.path={finished / 'corpus'}",
        "corpus.source=null",
        "seeds=[0,1]",
        "rotate=true",
        "split={by: location, folds: 2, fold: 0, fractions: [0.8, 0, 0.2]}",
    ]
    rotating += ["pretrain.training.epochs=1", "tasks.landcover.floors=[majority]"]
    swath.run(swath.load_recipe("quickstart", rotating), tmp_path)
    splits = pd.read_parquet(tmp_path / "evaluate" / "splits.parquet")
    tested = [set(part.uid) for _, part in splits[splits.split == "test"].groupby("fold")]
    assert len(tested) == 2
    assert not tested[0] & tested[1]
    table = pd.read_csv(tmp_path / "evaluate" / "table.csv")
    assert set(table.n_units) == {len(tested[0] | tested[1])}
    assert "tested on another fold" in (tmp_path / "report.html").read_text()


def test_rotation_needs_folds_and_full_rounds(tmp_path, finished):
    with pytest.raises(RecipeError, match="rotate needs folds"):
        swath.load_recipe("quickstart", ["rotate=true"])
    folds = ["rotate=true", "split={by: group, folds: 4, fold: 0}"]
    shutil.copytree(finished / "corpus", tmp_path / "corpus")
    with pytest.raises(RecipeError, match="1 seeds cannot rotate over 4 folds"):
        pipeline.pretrain(swath.load_recipe("quickstart", [*TINY, *folds]), tmp_path)


def test_the_gauge_looks_at_the_validation_part_of_the_task_that_the_recipe_names(finished):
    target = "{rule: dominant, layer: landcover, min_share: 0.6, ignore: [rapeseed]}"
    other = f"tasks.pure={{target: {target}, inputs: {{optical: [sentinel-2-l2a/B04]}}}}"
    recipe = swath.load_recipe("quickstart", [*TINY, other, "knn_task=pure"])
    corpus = swath.Corpus.open(finished / "corpus")
    parts, contract = parts_of(recipe, corpus, 0), pipeline.contract_of(recipe.arms["simclr"], corpus)
    seen = gauge_set(recipe, corpus, parts, contract)
    labelled = targets(corpus, recipe.tasks["pure"].target)
    in_part = np.isin(labelled.locations, parts["val"])
    assert seen.classes.tolist() == labelled.y[in_part].tolist()
    assert gauge_set(recipe.model_copy(update={"knn_task": None}), corpus, parts, contract) is None


def test_remarks_are_said_where_nothing_is_trained_and_a_changed_table_is_no_old_one(tmp_path, capsys):
    table = tmp_path / "stations.csv"
    lines = [f"{10 * (i % 9)},{7 * (i // 9)},{i or -9999}" for i in range(40)]
    table.write_text("\n".join(["lon,lat,t", *lines]))
    document = {
        "name": "stations",
        "corpus": {"source": {"name": "points", "file": str(table), "values": {"t": "t"}, "units": {"t": "K"}}},
        "split": {"by": "location"},
        "knn_task": None,
        "tasks": {
            "t": {
                "target": {"rule": "value", "column": "t"},
                "inputs": {"location": ["location"]},
                "probes": [{"name": "ridge"}],
                "metric": "rmse",
                "floors": ["training-mean"],
            }
        },
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(document))
    recipe = swath.load_recipe(tmp_path / "recipe.yaml")
    pipeline.evaluate(recipe, tmp_path / "run")
    said = " ".join(capsys.readouterr().err.split())
    assert "task t: an input says where locations lie, and the split is random by location" in said
    assert "task t: 1 of 40 numbers are -9999" in said
    table.write_text("\n".join(["lon,lat,t", *lines[1:]]))
    with pytest.raises(CorpusError, match="made of this file before it was changed"):
        pipeline.evaluate(recipe, tmp_path / "run")
