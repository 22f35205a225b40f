"""Several processes on one CPU, joined by gloo."""

import os
import signal
import socket
import warnings
from collections.abc import Callable
from functools import partial

import torch
import torch.distributed as dist

from tests.forks import Forks, fork


def run_distributed(forks: Forks, function: Callable[..., None], world: int = 2) -> int:
    """Run `function(rank, world)`, which a module of tests defines, in processes joined by gloo; 0 if all end well."""
    code = f"from {__name__} import each; from {function.__module__} import {function.__name__} as function\n"
    return forks.run(f"{code}each(function, {world})", function.__module__)


def each(function: Callable[..., None], world: int) -> None:
    """Fork a process for each rank; fails where one of them does."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    left = {fork(partial(_process, rank, world, port, function)) for rank in range(world)}
    while left:
        child, status = os.wait()
        left.remove(child)
        if status:  # the others would wait for it
            for other in left:
                os.kill(other, signal.SIGKILL)
            raise ChildProcessError(f"one of {world} processes ended with status {status}")


def _process(rank: int, world: int, port: int, function: Callable[..., None]) -> None:
    warnings.simplefilter("ignore")
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=world)
    try:
        function(rank, world)
    finally:
        dist.destroy_process_group()
