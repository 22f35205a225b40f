"""Pictures come from the corpus of the index, all dates of a location; the command opens runs and indices."""

import io
import json
import shutil

import numpy as np
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from swath import pipeline
from swath.cli import app
from swath.errors import CorpusError, SwathError
from swath.products import explore
from swath.products.draw import pictures
from swath.products.embeddings import build_index
from swath.products.explore import Explorer
from swath.products.explore._server import _location, _picture  # what is answered, without a server
from swath.recipes import source_text
from tests.products.indices import RGB, make_squares, saved


@pytest.fixture(scope="module")
def index(squares, encoder_path, tmp_path_factory):
    return build_index(encoder_path, squares, tmp_path_factory.mktemp("index") / "x.parquet", dates="each").path


def test_pictures_are_those_of_the_corpus(index, squares):
    with Explorer.open(index) as explorer:
        row = explorer.locate("square-05@2020-06-06")
        said = json.loads(_location(explorer, {"row": row})[1])
        assert (said["uid"], said["date"]) == ("square-05", "2020-06-06")
        own = squares.chips.query("uid == 'square-05'")
        assert [one["chip"] for one in said["chips"]] == own.index.tolist()
        assert [one["date"] for one in said["chips"]] == ["2020-05-06", "2020-06-06"]
        assert said["chips"][1]["row"] == row
        assert explorer.index.table["uid"].iloc[said["chips"][0]["row"]] == "square-05"
        suffix, png = _picture(explorer, {"row": row})
        assert suffix == ".png"
        assert png == _picture(explorer, {"chip": said["chips"][1]["chip"]})[1]
        pixels = np.asarray(squares.pixel_array(own["sensor"].iloc[1])[int(own["row"].iloc[1])].read().result())
        expected = pictures.stretch(own["sensor"].iloc[1], pixels[[2, 1, 0]], np.ones(pixels.shape[1:], bool))
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png))), expected)
        with pytest.raises(CorpusError, match="the corpus has no chip 999"):
            explorer.pictures.png(999)


def test_a_corpus_that_is_another_one_is_not_shown(index, tmp_path):
    other = make_squares(tmp_path / "other", n=2)
    with pytest.raises(CorpusError, match="not the one that the index was made of"):
        Explorer.open(index, labels=tmp_path / "a.jsonl", corpus=other)


@pytest.fixture
def shown(monkeypatch):
    """Explorers that were shown, instead of serving them."""
    seen = []

    def serve(explorer, port, ready):
        seen.append((explorer.index.path, [one.name for one in explorer.labels.classes], port))
        ready("http://127.0.0.1:1/x/")

    monkeypatch.setattr(explore, "serve", serve)
    return seen


def test_the_command(index, shown, tmp_path):
    own = tmp_path / "x.parquet"
    shutil.copy(index, own)
    result = CliRunner().invoke(app, ["explore", str(own), "--classes", "water, forest,water", "--port", "0"])
    assert result.exit_code == 0, result.output
    assert "http://127.0.0.1:1/x/" in result.output.split()
    assert shown == [(own, ["water", "forest"], 0)]
    again = CliRunner().invoke(app, ["explore", str(own), "--classes", "forest,crop"])
    assert again.exit_code == 0, again.output
    assert shown[1][1] == ["water", "forest", "crop"]
    with pytest.raises(SwathError, match="an index takes no --arm"):
        CliRunner().invoke(app, ["explore", str(own), "--arm", "x"], catch_exceptions=False)


def test_of_a_run_the_corpus_is_embedded_once(squares, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    # two arms, and a corpus from elsewhere
    recipe = yaml.safe_load(source_text("quickstart")[1])
    recipe |= {"seeds": [0, 1], "arms": {"a": {}, "b": {}}, "claims": []}
    (run / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    (run / "corpus").symlink_to(squares.path)
    with pytest.raises(SwathError, match="the run has no encoder yet"):
        pipeline.run_index(run)
    pipeline.arm_folder(run, "b", 1).mkdir(parents=True)
    saved(pipeline.arm_folder(run, "b", 1) / "encoder")
    path = pipeline.run_index(run)
    assert path == run / "pretrain" / "b" / "seed-1" / "embeddings.parquet"
    assert len(Explorer.open(path).index) == len(squares.locations)
    before = path.stat().st_mtime_ns
    assert pipeline.run_index(run).stat().st_mtime_ns == before
    saved(pipeline.arm_folder(run, "b", 1) / "encoder", RGB[:2])
    pipeline.run_index(run)
    assert path.stat().st_mtime_ns != before, "another encoder is there now"
    pipeline.arm_folder(run, "a", 0).mkdir(parents=True)
    saved(pipeline.arm_folder(run, "a", 0) / "encoder")
    with pytest.raises(SwathError, match="encoders of several arms: a, b"):
        pipeline.run_index(run)
    with pytest.raises(SwathError, match="no encoder of the arm 'c' is there"):
        pipeline.run_index(run, "c")
    for folder, message in ((squares.path, "a corpus alone has no embeddings"), (tmp_path, "no run here")):
        with pytest.raises(SwathError, match=message):
            pipeline.run_index(folder)
