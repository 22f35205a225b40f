"""A disk that fills at any moment of a build by command: a plain error, nothing committed lost, and the same end."""

import errno
import json
import os

import numpy as np
import pandas as pd
import pytest
from distributed import Client, LocalCluster

from swath import cli
from swath.corpus import Corpus
from swath.corpus.sources.stac import _run as runs
from swath.corpus.sources.stac._site import Failure
from tests.corpus.sources.stac.conftest import World


@pytest.fixture(scope="module")
def scheduler():
    """A cluster of threads: what a disk does to this process is what counts."""
    options = {"processes": False, "threads_per_worker": 2, "protocol": "tcp://", "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(1, **options) as cluster, Client(cluster):
        yield cluster.scheduler_address


@pytest.fixture
def build(served: World, scheduler, tmp_path, monkeypatch, capsys):
    """`swath corpus build` into a folder: its exit code, and what it said. Every location is a part."""
    monkeypatch.setattr(runs, "PART_SECONDS", 0.0)
    where = {"name": "uniform", "area": [8.93, 47.82, 9.05, 47.845], "count": 4}
    section = served.section(where=where)
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(json.dumps({"name": "mine", "corpus": {"source": json.loads(section.model_dump_json())}}))

    def run(out) -> tuple[int, str]:
        monkeypatch.setattr(
            "sys.argv", ["swath", "corpus", "build", str(recipe), "--out", str(out), "--cluster", scheduler]
        )
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return int(stop.value.code or 0), capsys.readouterr().err

    return run


def table(folder) -> list[dict]:
    return pd.read_parquet(folder / "failures.parquet").sort_values(["uid", "window"]).to_dict("records")


@pytest.mark.parametrize("moments", [3, pytest.param(None, marks=pytest.mark.slow)])
def test_a_disk_that_fills_at_any_moment(moments, build, tmp_path, monkeypatch):
    """Everything that is to last is flushed, so a flush that fails is where a full disk may show."""
    flush, flushed = os.fsync, 0
    full_at = None

    def limited(handle):
        nonlocal flushed
        flushed += 1
        if full_at is not None and flushed >= full_at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flush(handle)

    monkeypatch.setattr(os, "fsync", limited)
    assert build(tmp_path / "whole")[0] == 0
    wanted = Corpus.open(tmp_path / "whole" / "corpus")
    assert 0 < len(wanted) < 4  # some locations fail, so there is a log to write
    for moment in np.linspace(1, flushed, moments or flushed).astype(int).tolist():
        full_at = moment
        out = tmp_path / f"full-{moment}"
        flushed = 0
        code, said = build(out)
        assert code == 2, moment
        assert "No space left on device" in said or "the disk is full" in said, said
        assert str(out) in said.replace("\n", ""), said
        assert "Traceback" not in said
        before = Corpus.open(out / "corpus") if (out / "corpus" / "corpus.json").exists() else None
        stored = [] if before is None else before.locations["uid"].tolist()
        assert stored == wanted.locations["uid"].tolist()[: len(stored)]
        full_at = None
        assert build(out)[0] == 0
        after = Corpus.open(out / "corpus")
        assert after.content_hash == wanted.content_hash, moment
        assert table(out / "corpus") == table(tmp_path / "whole" / "corpus")


def test_what_follows_a_line_that_was_cut_off_is_not_lost(tmp_path):
    """A full disk leaves half a line; the next line must not run on from it."""
    (tmp_path / runs.LOG).write_text('{"uid": "a", "left_out": true, "failures": []}\n{"uid": "b", "lef')
    failure = Failure("c", "sentinel-2-l2a", "spring", "no scene", False, 9.0, 48.0)
    runs.FailureLog(tmp_path).add([runs.Outcome(None, (), (failure,))])
    assert runs.FailureLog(tmp_path).settled == {"a", "c"}
