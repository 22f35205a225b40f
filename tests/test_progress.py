"""Progress where there is no terminal."""

import re
import time

import pytest

from swath import _progress
from swath._progress import bar, said, track


@pytest.fixture(autouse=True)
def often(monkeypatch):
    monkeypatch.setattr(_progress, "EVERY_S", 0.05)


def test_a_log_gets_a_line_with_what_is_done_and_the_time_left(capsys):
    for _ in track(range(4), 4, "storing [images]"):
        time.sleep(0.15)
    lines = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"storing \[images\]: 0/4 in 0:00:0., an unknown time left", lines[0])
    assert re.fullmatch(r"storing \[images\]: 3/4 in 0:00:0., 0:00:00 left", lines[-1])


def test_a_line_comes_even_while_one_step_takes_long(capsys):
    for _ in track(range(1), 1, "a long step"):
        time.sleep(0.3)
    assert len(capsys.readouterr().err.splitlines()) >= 3


def test_lines_within_lines_are_one(capsys):
    for _ in track(range(1), 1, "outer"):
        for _ in track(range(1), 1, "inner"):
            time.sleep(0.12)
    assert "an unknown time left; inner: 0/1" in capsys.readouterr().err
    assert not _progress._Bar.running


def test_one_of_several_processes_says_nothing(capsys, monkeypatch):
    monkeypatch.setattr(_progress._Bar, "silent", True)
    for _ in track(range(1), 1, "a long step"):
        time.sleep(0.15)
    assert not capsys.readouterr().err


def test_the_time_left_is_of_what_was_done_here(monkeypatch):
    """A training that continues at step 900 of 1,000 and did 10 steps in 50 s has 450 s to go, not 5."""
    display = bar()
    task = display.add_task("training", total=1000, completed=900)
    now = display.get_time()
    display.update(task, completed=910)
    monkeypatch.setattr(display.tasks[0], "get_time", lambda: now + 50)
    monkeypatch.setattr(display.tasks[0], "_get_time", lambda: now + 50, raising=False)
    assert said(display.tasks[0], display.begun[task]) == "training: 910/1,000 in 0:00:50, 0:07:30 left"
    unknown = display.add_task("statistics", total=None)
    assert said(display.tasks[unknown], 0.0).startswith("statistics: 0 in 0:00:")
