"""Independent parts of a run side by side, each in a process of its own.

Small networks do not fill the cores that one process may use: two trainings on one core each take half as long as one
after the other on both.
"""

import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from swath import _progress
from swath._progress import track
from swath._signals import Stopped, follow_parent
from swath.errors import TrainingError

T = TypeVar("T")

GRACE_S = 20.0
"""Seconds that a process told to stop gets before it is killed; batch systems allow about 30."""
_ENDED: list[Stopped] = []
"""Signals that told this worker process to stop, if any."""


def side_by_side(work: Callable[..., T], calls: Sequence[tuple[Any, ...]], processes: int, said: str) -> list[T]:
    """Call `work` with each tuple of arguments, in processes of their own; the results are in the order of the calls.

    The processes share the cores that torch may use here. When a call fails those under way are brought to their end,
    no other is begun, and the first error is raised. When this process is told to stop it tells them, and when it is
    killed they end too.

    Args:
        work: a function of a module, so that a new process finds it.
        calls: arguments; they have to be picklable.
        processes: how many at a time.
        said: what the progress bar is called.

    Raises:
        TrainingError: a process ended without a word.
    """
    return _results(work, calls, processes, _begin, lambda done: track(done, len(calls), said))


def together(work: Callable[..., None], calls: Sequence[tuple[Any, ...]]) -> None:
    """Run calls that wait for one another, all at the same time; when one fails the others are killed and its error is
    raised.

    Otherwise as `side_by_side`.
    """
    _results(work, calls, len(calls), follow_parent, iter, joined=True)


def _results(
    work: Callable[..., T],
    calls: Sequence[tuple[Any, ...]],
    processes: int,
    begin: Callable[[], None],
    watch: Callable[[Iterable[Future[T]]], Iterable[Future[T]]],
    *,
    joined: bool = False,
) -> list[T]:
    import torch  # not above: every process imports this module, and seconds of torch only if its work does

    threads = max(1, torch.get_num_threads() // processes)
    # a forked process would inherit the threads of torch and TensorStore, but not what they do
    spawn = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    with _threads_of_children(threads), ProcessPoolExecutor(processes, spawn, begin) as pool:
        futures = [pool.submit(_call, work, *arguments) for arguments in calls]
        try:
            for future in watch(as_completed(futures)):
                future.result()
        except BrokenProcessPool as error:
            if joined:
                # the pool asks them to end and waits, and they may wait for ever for the one that died
                _stop(set(multiprocessing.active_children()) - others, 0.0)
            raise TrainingError(
                "a process of the run ended without a word, most likely for want of memory",
                remedy="give the same command, with fewer --jobs if you gave any: it continues with what is missing",
            ) from error
        except (KeyboardInterrupt, SystemExit):
            pool.shutdown(wait=False, cancel_futures=True)
            _stop(set(multiprocessing.active_children()) - others, GRACE_S)
            raise
        except Exception:
            if joined:
                _stop(set(multiprocessing.active_children()) - others, 0.0)
            raise
        finally:
            pool.shutdown(cancel_futures=True)
        return [future.result() for future in futures]


def _begin() -> None:
    """Prepare a new worker process before its first call."""
    _progress.silence()
    follow_parent()


def _call(work: Callable[..., T], *arguments: Any) -> T:
    """Run one call in a worker process, unless the process was told to stop."""
    if _ENDED:
        raise _ENDED[0]
    try:
        return work(*arguments)
    except Stopped as stop:
        _ENDED.append(stop)
        raise


def _stop(children: Iterable[BaseProcess], grace_s: float) -> None:
    """Tell processes to stop, and give them time to write their checkpoints; then kill them."""
    for child in children:
        child.terminate()
    until = time.monotonic() + grace_s
    for child in children:
        child.join(max(0.0, until - time.monotonic()))
        child.kill()


@contextmanager
def _threads_of_children(count: int) -> Iterator[None]:
    """Set the number of threads for processes to come; libraries read these variables once, when they load."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, str(count)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
