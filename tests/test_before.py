"""What an earlier swath left still opens: tests/before holds a run's recipe and a corpus, as they were written then.

They are of the day before sensors, sources and plug-ins were given their rooms; nothing in the folder is ever written
anew. Saved encoders of before are in tests/encoders/format_1, tables of before in tests/tasks/test_schema.py.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr

from swath import config
from swath.corpus import Corpus, Reader, build, check
from swath.errors import CorpusError, RecipeError
from swath.pipeline._folder import run_folder

BEFORE = Path(__file__).parent / "before" / "run"
SYNTH = ["locations=2", "chip_px=8", "dates_optical=2", "dates_radar=1"]


@pytest.fixture
def run(tmp_path):
    """A copy of the run, one of whose pre-trainings has begun."""
    shutil.copytree(BEFORE, tmp_path / "run")
    (tmp_path / "run" / "pretrain" / "s4" / "seed-0").mkdir(parents=True)
    (tmp_path / "run" / "pretrain" / "s4" / "seed-0" / "last.ckpt").touch()
    return tmp_path / "run"


def test_a_corpus_of_before_opens_and_nothing_is_wrong_with_it():
    corpus = Corpus.open(BEFORE / "corpus")
    assert (len(corpus.locations), len(corpus.chips)) == (2, 6)
    assert not [finding for finding in check(corpus) if finding.level == "error"]


def test_pixels_of_before_are_those_that_zarr_reads():
    corpus = Corpus.open(BEFORE / "corpus")
    optical = np.flatnonzero(corpus.chips["sensor"] == "sentinel-2-l2a")
    reader = Reader(corpus, {"sentinel-2-l2a": ["B04", "B8A"]})
    image = reader.read({"sentinel-2-l2a": optical[:, None]})["sentinel-2-l2a"]
    layout = corpus.info.sensors["sentinel-2-l2a"]
    counts = zarr.open_group(BEFORE / "corpus" / "pixels" / "sentinel-2-l2a.zarr", mode="r")["pixels"][:]
    wanted = counts[:, [layout.bands.index("B04"), layout.bands.index("B8A")]] * 1e-4 - 0.1
    wanted = wanted[corpus.chips["row"].to_numpy()[optical]]
    np.testing.assert_allclose(image.pixels[:, 0].numpy(), np.where(image.valid.numpy(), wanted, 0), atol=1e-6)
    assert image.valid.any()


def test_a_corpus_of_before_is_not_built_anew_and_other_settings_are_refused(run):
    stored = (run / "corpus" / "corpus.json").read_bytes()
    build(config.resolve_source("synth", [*SYNTH, "seed=3"]), run / "corpus")
    assert (run / "corpus" / "corpus.json").read_bytes() == stored
    with pytest.raises(CorpusError, match="seed"):
        build(config.resolve_source("synth", [*SYNTH, "seed=4"]), run / "corpus")


def test_a_run_of_before_goes_on_with_the_shipped_recipe(run):
    assert run_folder(config.load("s4-belgium"), run) == run


def test_a_run_of_before_is_refused_to_another_recipe_with_what_to_do(run):
    stored = (run / "recipe.yaml").read_bytes()
    with pytest.raises(RecipeError, match=r"arms\.s4\.training\.epochs: was 60, is 2") as refusal:
        run_folder(config.load("s4-belgium", ["pretrain.training.epochs=2"]), run)
    assert "give another folder with --out" in refusal.value.remedy
    assert (run / "recipe.yaml").read_bytes() == stored
