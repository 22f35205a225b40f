"""The manifest is whole, adds up, and says what went wrong."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from swath.errors import TrainingError
from swath.training.manifest import Manifest


def test_a_stage_is_recorded(tmp_path):
    with Manifest.stage(tmp_path, "pretrain", "byol", 3) as stage:
        stage.figures = {"loss": 1.5}
    content = json.loads((tmp_path / "manifest.json").read_text())
    assert next(iter(content)) == "format"
    assert content["stages"] == [
        {"stage": "pretrain", "arm": "byol", "seed": 3, "seconds": content["stages"][0]["seconds"], "jobs": 1,
         "status": "done", "figures": {"loss": 1.5}},
    ]  # fmt: skip
    assert content["machine"]["cores"] >= 1
    assert content["packages"]["torch"]
    assert content["created"] <= content["updated"]


def test_an_exception_is_recorded_and_handed_on(tmp_path):
    with pytest.raises(ValueError, match="bad"), Manifest.stage(tmp_path, "evaluate"):
        raise ValueError("bad")
    assert Manifest.open(tmp_path).find("evaluate").status == "failed"


def test_attempts_add_up_and_replace(tmp_path):
    for _ in range(2):
        with Manifest.stage(tmp_path, "corpus") as stage:
            time.sleep(0.02)
            stage.figures = {"chips": 7}
    manifest = Manifest.open(tmp_path)
    assert len(manifest.stages) == 1
    assert manifest.find("corpus").seconds >= 0.04


def test_other_entries_survive_a_stage(tmp_path):
    manifest = Manifest.open(tmp_path)
    manifest.recipe, manifest.corpus = {"name": "x"}, {"hash": "abc"}
    manifest.write(tmp_path)
    with Manifest.stage(tmp_path, "report"):
        pass
    again = Manifest.open(tmp_path)
    assert (again.recipe, again.corpus, again.name) == ({"name": "x"}, {"hash": "abc"}, tmp_path.name)


def test_newer_and_damaged_manifests(tmp_path):
    Manifest.open(tmp_path).write(tmp_path)
    path = tmp_path / "manifest.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "format": 2}))
    with pytest.raises(TrainingError, match="format 2"):
        Manifest.open(tmp_path)
    path.write_text("{")
    with pytest.raises(TrainingError, match="cannot be read"):
        Manifest.open(tmp_path)


def test_processes_that_write_at_once_lose_nothing(tmp_path):
    def note(seed):
        with Manifest.stage(tmp_path, "pretrain", "byol", seed):
            pass

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(note, range(40)))
    assert {stage.seed for stage in Manifest.open(tmp_path).stages} == set(range(40))
