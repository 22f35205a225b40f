"""Being told to stop, by Ctrl-C or by the SIGTERM that batch systems send.

Python turns Ctrl-C into `KeyboardInterrupt`, which libraries answer in their own ways (Lightning exits with 1), and
SIGTERM kills it without a word. A command of swath turns both into `Stopped`, which ends it with the shell's exit code.
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
    """Raise `Stopped` in the main thread when Ctrl-C or SIGTERM arrives inside the block; an ignored signal (nohup)
    stays ignored.
    """
    wanted = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) != signal.SIG_IGN]
    with ExitStack() as stack:
        for number in wanted:
            stack.enter_context(_handled(number, _stop))
        yield


def left_to_others(number: signal.Signals) -> AbstractContextManager[None]:
    """Leave a signal to a library inside the block: one that looks for an unused signal handler finds it."""
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
    """Make this process a worker of its parent: it ignores Ctrl-C, and ends when the parent does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if parent := multiprocessing.parent_process():
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    """End this process when its parent ends, however that happens, `kill -9` included."""
    wait([sentinel])
    os.kill(os.getpid(), signal.SIGKILL)
