"""Parts of a run in processes of their own, which import this file: torch where it is used, as that takes seconds."""

import multiprocessing
import os
import signal
import sys
import threading
import time

import pytest

from swath import _progress
from swath._processes import side_by_side
from swath._signals import Stopped, answered
from swath.errors import CorpusError, TrainingError


def described(number):
    unused = "torch" not in sys.modules
    import torch

    threads = torch.get_num_threads()
    return number, os.getpid(), unused, threads, os.environ["OMP_NUM_THREADS"], _progress._Bar.silent


def failing(number, log):
    if number == 1:
        raise CorpusError("the second one fails", where="here", remedy="mend it")
    time.sleep(0.5)
    (log / str(number)).touch()


def killed():
    os.kill(os.getpid(), signal.SIGKILL)


def test_results_come_in_order_from_processes_that_share_the_cores(monkeypatch):
    import torch

    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    torch_threads = torch.get_num_threads()
    monkeypatch.setattr(torch, "get_num_threads", lambda: 5)
    found = side_by_side(described, [(k,) for k in range(6)], 2, "describing")
    monkeypatch.undo()
    assert [number for number, *_ in found] == list(range(6))
    assert {pid for _, pid, *_ in found} - {os.getpid()}
    assert all(one[3:] == (2, "2", True) for one in found)
    assert found[0][2], "a process imported torch before its work did"
    assert torch.get_num_threads() == torch_threads
    assert not _progress._Bar.silent


def test_an_error_arrives_whole_and_what_is_under_way_is_finished(tmp_path):
    with pytest.raises(CorpusError, match="the second one fails") as caught:
        side_by_side(failing, [(k, tmp_path) for k in range(12)], 2, "failing")
    assert (caught.value.where, caught.value.remedy) == ("here", "mend it")
    assert 1 <= len(list(tmp_path.iterdir())) < 11


def test_a_process_that_dies_is_an_error():
    with pytest.raises(TrainingError, match="ended without a word") as caught:
        side_by_side(killed, [(), ()], 1, "dying")
    assert "fewer --jobs" in caught.value.remedy


def sleeping(folder):
    (folder / str(os.getpid())).touch()
    time.sleep(200)


def test_ctrl_c_ends_the_processes_too(tmp_path):
    def stop():
        while not any(tmp_path.iterdir()):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=stop).start()
    started = time.monotonic()
    with pytest.raises(Stopped), answered():
        side_by_side(sleeping, [(tmp_path,)] * 3, 1, "sleeping")
    assert time.monotonic() - started < 100
    assert len(list(tmp_path.iterdir())) == 1, "another call was begun"
    assert not [child for child in multiprocessing.active_children() if child.name.startswith("SpawnProcess")]


def told_to_stop(folder):
    (folder / str(time.monotonic_ns())).touch()
    raise Stopped(signal.SIGTERM)


def test_a_process_that_was_told_to_stop_begins_nothing_more_and_the_run_ends_alike(tmp_path):
    with pytest.raises(Stopped) as stop:
        side_by_side(told_to_stop, [(tmp_path,)] * 4, 1, "stopping")
    assert stop.value.code == 143
    assert len(list(tmp_path.iterdir())) == 1
