"""Training on several devices: one of the processes is killed, and the run continues to the same result."""

import multiprocessing
import os
import signal
import threading
import time

import pytest
import torch

import swath
from swath import pipeline
from swath.errors import RecipeError, TrainingError
from swath.training import distributed
from swath.training.config import Optimizer
from swath.training.fit import fit
from swath.training.plan import Plan, Stream
from tests.methods import fakes
from tests.training import helpers


def train(out, **changes):
    fit(fakes.method("moco-v2"), helpers.settings(**changes), helpers.FakeLoader, out, devices=2)


def kill_one_after(log, rows: int, before: set) -> None:
    """`kill -9` for one of the processes that this one starts, once the log has so many rows."""
    while not (log.exists() and len(log.read_text().splitlines()) > rows):
        time.sleep(0.002)
    victim = (set(multiprocessing.active_children()) - before).pop()
    os.kill(victim.pid or 0, signal.SIGKILL)


@pytest.mark.slow
def test_one_of_two_processes_is_killed_and_the_run_continues_to_the_same_result(tmp_path):
    changes = {"epochs": 30, "checkpoint_every": 7, "collapse": None}
    train(tmp_path / "whole", **changes)
    killed = tmp_path / "killed"
    arguments = (killed / "log.csv", 9, set(multiprocessing.active_children()))
    threading.Thread(target=kill_one_after, args=arguments, daemon=True).start()
    with pytest.raises(TrainingError, match="a process of the run ended without a word"):
        train(killed, **changes)
    assert 9 <= len(helpers.losses(killed)) < 180
    train(killed, **changes)
    assert helpers.losses(killed) == helpers.losses(tmp_path / "whole")
    assert len(helpers.losses(killed)) == 180
    states = [
        torch.load(tmp_path / name / "last.ckpt", weights_only=True)["state_dict"] for name in ("whole", "killed")
    ]
    for label, tensor in states[0].items():
        torch.testing.assert_close(states[1][label], tensor, rtol=0, atol=0, equal_nan=True, msg=label)


@pytest.mark.slow
def test_an_error_of_a_process_is_the_error_of_the_call(tmp_path):
    wild = Optimizer(lr=1e9, scale_lr=False)
    with pytest.raises(TrainingError, match=r"collapsed|became"):
        train(tmp_path, optimizer=wild, gauge_every=1, epochs=6)


@pytest.mark.parametrize("worlds", [(1, 2), (2, 1), (2, 4)])
def test_continued_on_another_number_of_processes_every_step_sees_the_same_locations(monkeypatch, worlds):
    def seen(world: int, done: int) -> list[list[float]]:
        train, shares = helpers.settings(), []
        monkeypatch.setattr(distributed, "world", lambda: world)
        for rank in range(world):
            monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
            stream = Stream(helpers.FakeLoader, train, Plan.of(train, helpers.BATCHES), done)
            shares.append([batch.images["sentinel-2-l2a"].pixels[:, 0, 0, 0, 0].tolist() for batch in stream])
        return [[value for part in parts for value in part] for parts in zip(*shares, strict=True)]

    before, after = worlds
    whole = seen(before, 0)
    assert len(whole) == 18
    assert seen(after, 7) == whole[7:]


def test_a_batch_has_to_divide(tmp_path):
    with pytest.raises(TrainingError, match="a batch of 8 cannot be divided among 3 devices"):
        fit(fakes.method("byol"), helpers.settings(), helpers.FakeLoader, tmp_path, devices=3)


def test_jobs_and_devices_are_not_had_together(tmp_path):
    with pytest.raises(RecipeError, match="several devices for each"):
        pipeline.pretrain(swath.load_recipe("quickstart"), tmp_path, jobs=2, devices=2)


def test_a_launcher_trains_on_a_corpus_that_is_there(tmp_path, monkeypatch):
    """The other processes would wait, until they give up, for one that makes it."""
    monkeypatch.setattr("swath.pipeline._pretrain.launch", lambda: distributed.Launch(2, 2, 1, 1, "torchrun"))
    with pytest.raises(RecipeError, match=r"the corpus is not there yet[\s\S]*swath corpus ingest"):
        pipeline.pretrain(swath.load_recipe("quickstart"), tmp_path)
