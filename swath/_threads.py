"""Independent pieces of work side by side on a CPU: each thread takes one piece, such as a sample, from start to end.

torch's own threads split every small operation and meet after each: thousands of meetings a batch, each as slow as the
slowest thread, and a factor of ten lost where the cores are shared. The pieces are independent, so nobody waits here.
"""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Barrier
from typing import TypeVar

import torch

T = TypeVar("T")


def each(work: Callable[[T], None], items: Iterable[T]) -> None:
    """Call `work` on every item, without gradients, on as many threads as torch may use."""
    items = list(items)
    threads = min(torch.get_num_threads(), len(items)) if torch.backends.openmp.is_available() else 1
    if threads == 1:
        for item in items:
            work(item)
    else:
        for _ in _pool(torch.get_num_threads()).map(torch.no_grad()(work), items):
            pass


def _keep_to_itself() -> None:
    torch.get_num_threads()  # else the thread's first operation would still set it to torch's own number
    torch.set_num_threads(1)


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Threads inside which torch operations run on a single core.

    OpenMP keeps the number of threads for each caller on its own, but torch remembers the last one that anybody set for
    threads to come: so all threads are started here, and the number is set back.
    """
    pool = ThreadPoolExecutor(threads, "swath", initializer=_keep_to_itself)
    started = Barrier(threads)
    for _ in pool.map(lambda _: started.wait(), range(threads)):
        pass
    torch.set_num_threads(threads)
    return pool


if hasattr(os, "register_at_fork"):  # a forked process inherits the pool but not its threads
    os.register_at_fork(after_in_child=_pool.cache_clear)
