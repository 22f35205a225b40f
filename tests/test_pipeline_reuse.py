"""Pre-trainings that another run has made already are taken over where they are the same, and only there."""

import json
import shutil
from pathlib import Path

import pytest

import swath
from swath import pipeline
from swath.errors import CheckpointError, RecipeError
from swath.pipeline import _reuse
from tests.test_pipeline import TINY

SHORT = [*TINY, "pretrain.training.epochs=1", "tasks.landcover.floors=[majority]"]


def recipe(*overrides: str):
    return swath.load_recipe("quickstart", [*SHORT, *overrides])


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("reuse") / "made"
    pipeline.pretrain(recipe("seeds=[0,1]"), folder)
    return folder


@pytest.fixture
def there(made, tmp_path) -> Path:
    """The folder of another run, whose corpus is there."""
    shutil.copytree(made / "corpus", tmp_path / "corpus")
    return tmp_path


def weights(run: Path, arm: str, seed: int = 0) -> bytes:
    return (run / "pretrain" / arm / f"seed-{seed}" / "encoder.safetensors").read_bytes()


def stages(run: Path) -> dict[str, dict]:
    found = json.loads((run / "manifest.json").read_text())["stages"]
    return {f"{one['arm']} {one['seed']}": one for one in found if one["stage"] == "pretrain"}


ARMS = "arms={same: {}, longer: {training: {epochs: 2}}}"


def test_the_same_training_is_copied_under_its_new_name_and_another_is_made(made, there, capsys):
    paths = pipeline.pretrain(recipe(ARMS), there, reuse=[made])
    assert [path.is_file() for path in paths] == [True, True]
    assert weights(there, "same") == weights(made, "simclr")
    assert weights(there, "longer") != weights(made, "simclr")
    copied, trained = stages(there)["same 0"], stages(there)["longer 0"]
    assert copied["figures"]["taken from"] == "made, simclr"
    assert copied["seconds"] == stages(made)["simclr 0"]["seconds"]
    assert "taken from" not in trained["figures"]
    said = " ".join(capsys.readouterr().err.split())
    assert "1 of 2 pre-trainings are taken from" in said
    assert "longer is trained here, seed 0: nearest is simclr of" in said
    assert "training.epochs: was 1, is 2" in said


def test_what_is_copied_is_what_would_have_been_trained(made, there):
    pipeline.pretrain(recipe(), there)
    assert weights(there, "simclr") == weights(made, "simclr")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("split.seed=5", "other locations among"),
        ("pretrain.method.temperature=0.3", "method.temperature"),
        ("seeds=[7]", "there is none of that seed"),
    ],
)
def test_what_differs_is_trained_and_the_difference_said(made, there, capsys, change, reason):
    changed = recipe(change)
    pipeline.pretrain(changed, there, reuse=[made])
    assert reason in " ".join(capsys.readouterr().err.split())
    assert "taken from" not in stages(there)[f"simclr {changed.seeds[0]}"]["figures"]


def test_what_another_version_trained_is_trained_anew(made, there, monkeypatch, capsys):
    monkeypatch.setattr(_reuse, "__version__", "9.0")
    pipeline.pretrain(recipe(), there, reuse=[made])
    assert "swath: was" in " ".join(capsys.readouterr().err.split())


def test_an_arm_that_begins_with_a_file_is_trained_anew(made, there, capsys):
    start = made / "pretrain" / "simclr" / "seed-0" / "encoder"
    begun = recipe(f"arms={{begun: {{encoder: {{weights: {start}}}}}}}", "seeds=[1]")
    assert _reuse._wanted(begun, swath.Corpus.open(there / "corpus"), "begun", 1) is None


def test_a_damaged_encoder_is_not_taken(made, there, tmp_path_factory):
    damaged = tmp_path_factory.mktemp("damaged") / "run"
    shutil.copytree(made, damaged)
    file = damaged / "pretrain" / "simclr" / "seed-0" / "encoder.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(CheckpointError):
        pipeline.pretrain(recipe(), there, reuse=[damaged])
    assert not (there / "pretrain" / "simclr" / "seed-0" / "encoder.json").exists()


def test_a_folder_without_a_run_and_the_run_itself_are_refused(made, there):
    with pytest.raises(RecipeError, match="no run here"):
        pipeline.pretrain(recipe(), there, reuse=[there / "corpus"])
    with pytest.raises(RecipeError, match="this is the run itself"):
        pipeline.pretrain(recipe("seeds=[0,1,2]"), made, reuse=[made])
