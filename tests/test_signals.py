"""Being told to stop."""

import multiprocessing
import os
import pickle
import signal
import time

import pytest

from swath._signals import Stopped, answered, follow_parent, left_to_others

SPAWN = multiprocessing.get_context("spawn")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_becomes_the_exit_code_of_a_shell(number, code):
    before = signal.getsignal(number)
    with pytest.raises(Stopped, match=f"stopped by {number.name}") as stop, answered():
        signal.raise_signal(number)
    assert stop.value.code == code
    assert pickle.loads(pickle.dumps(stop.value)).code == code
    assert signal.getsignal(number) == before


def test_what_is_ignored_stays_so():
    """As in the background of a shell, or under nohup."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with answered():
            assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_library_finds_the_signal_free():
    with answered():
        ours = signal.getsignal(signal.SIGTERM)
        with left_to_others(signal.SIGTERM):
            assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
        assert signal.getsignal(signal.SIGTERM) == ours


def works(said):
    follow_parent()
    said.send(os.getpid())
    time.sleep(100)


def has_a_worker(said):
    SPAWN.Process(target=works, args=(said,)).start()
    said.close()
    time.sleep(100)


def test_a_worker_ends_when_its_parent_is_killed():
    heard, said = SPAWN.Pipe(duplex=False)
    parent = SPAWN.Process(target=has_a_worker, args=(said,))
    parent.start()
    said.close()
    assert heard.poll(60)
    worker = heard.recv()
    os.kill(worker, signal.SIGINT)  # a terminal sends Ctrl-C to all; the parent answers it
    assert not heard.poll(0.3)
    parent.kill()
    parent.join()
    assert heard.poll(30), "the worker lives on"
    with pytest.raises(EOFError):
        heard.recv()
