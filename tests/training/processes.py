"""Several processes on one CPU, joined by gloo."""

import multiprocessing
import os
import socket
import warnings
from collections.abc import Callable

import torch
import torch.distributed as dist
import torch.multiprocessing as mp


def run_distributed(function: Callable[..., None], *args, world: int = 2) -> None:
    """Run `function(rank, world, *args)` in processes joined by gloo; an exception in one is an exception here."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # torch and swath are imported by one process that has no threads, and the others are forked from it
    multiprocessing.set_forkserver_preload([function.__module__])
    mp.start_processes(_process, (world, port, function, args), nprocs=world, start_method="forkserver")


def _process(rank: int, world: int, port: int, function: Callable[..., None], args: tuple) -> None:
    warnings.simplefilter("ignore")
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=world)
    try:
        function(rank, world, *args)
    finally:
        dist.destroy_process_group()
