"""Independent parts of a run side by side, each in a process of its own.

Small networks do not fill the cores that one process may use: two trainings on one core each take half as long as one
after the other on both.
"""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, TypeVar

import torch

from swath import _progress
from swath._progress import track
from swath.errors import TrainingError

T = TypeVar("T")


def side_by_side(work: Callable[..., T], calls: Sequence[tuple[Any, ...]], processes: int, said: str) -> list[T]:
    """What `work` returns for each tuple of arguments, in their order.

    The processes share the cores that torch may use here. When a call fails those under way are brought to their end,
    no other is begun, and the first error is raised.

    Args:
        work: a function of a module, so that a new process finds it.
        calls: arguments; they have to be picklable.
        processes: how many at a time.
        said: what the progress bar is called.

    Raises:
        TrainingError: a process ended without a word.
    """
    threads = max(1, torch.get_num_threads() // processes)
    # a forked process would inherit the threads of torch and TensorStore, but not what they do
    spawn = multiprocessing.get_context("spawn")
    with _threads_of_children(threads), ProcessPoolExecutor(processes, spawn, _progress.silence) as pool:
        futures = [pool.submit(work, *arguments) for arguments in calls]
        try:
            for future in track(as_completed(futures), len(futures), said):
                future.result()
        except BrokenProcessPool as error:
            raise TrainingError(
                "a process of the run ended without a word, most likely for want of memory",
                remedy="give the same command with fewer --jobs: it continues with what is missing",
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)
        return [future.result() for future in futures]


@contextmanager
def _threads_of_children(count: int) -> Iterator[None]:
    """Libraries read these variables once, when a process loads them: nothing changes in this one."""
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
