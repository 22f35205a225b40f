"""Being told to stop: Ctrl-C, and SIGTERM as batch systems send it.

Python turns Ctrl-C into `KeyboardInterrupt`, which libraries answer as they like (Lightning leaves with 1), and dies of
SIGTERM without a word. A command of swath's turns both into `Stopped`, which ends it by the shell's exit code.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from multiprocessing.connection import wait
from types import FrameType


class Stopped(SystemExit):
    """A signal told this process to stop; the exit code is 128 + its number: 130 for Ctrl-C, 143 for SIGTERM."""

    def __init__(self, number: int):
        super().__init__(128 + number)
        self.number = number

    def __reduce__(self):
        return Stopped, (self.number,)

    def __str__(self) -> str:
        return f"stopped by {signal.Signals(self.number).name}"


def _stop(number: int, _: FrameType | None) -> None:
    raise Stopped(number)


@contextmanager
def answered() -> Iterator[None]:
    """Inside, Ctrl-C and SIGTERM raise `Stopped` in the main thread; one that is ignored (nohup) stays so."""
    wanted = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) != signal.SIG_IGN]
    with ExitStack() as stack:
        for number in wanted:
            stack.enter_context(_handled(number, _stop))
        yield


def left_to_others(number: signal.Signals) -> AbstractContextManager[None]:
    """Inside, a signal is not answered by this module: a library that looks for a free signal takes it."""
    return _handled(number, signal.SIG_DFL)


@contextmanager
def _handled(number: signal.Signals, handler: Callable[..., None] | signal.Handlers) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # Python lets no other thread decide
        yield
        return
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


def follow_parent() -> None:
    """For a process that works for another: Ctrl-C is the parent's to answer, and this one ends when that one does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if parent := multiprocessing.parent_process():
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    """However the parent ends, `kill -9` included; all that a run does can be killed at any moment."""
    wait([sentinel])
    os.kill(os.getpid(), signal.SIGKILL)
