"""A Dask client for builds: processes of this machine, or any cluster by its address."""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from swath import __version__
from swath.errors import CorpusError

if TYPE_CHECKING:
    from distributed import Client


HERE = "127.0.0.1:0"
"""Address of Dask's status pages: a free port that only this machine can reach. By default they are open to the whole
network."""
CONNECT_SECONDS = 20.0
"""Seconds that a scheduler may take to answer."""


def active() -> "Client | None":
    """The Dask client that is active in this process, if there is one.

    A client that has lost its scheduler is active until it is closed, and takes tasks that nobody will ever work on.

    Raises:
        CorpusError: it is closed, or its scheduler does not answer.
    """
    from distributed import default_client

    try:
        client = default_client()
    except ValueError:
        return None
    until = time.monotonic() + CONNECT_SECONDS
    while client.status == "connecting" and time.monotonic() < until:
        time.sleep(0.1)
    if client.status != "running":
        raise CorpusError(
            f"the Dask client that is active in this process is {client.status}, not running",
            where=repr(client),
            remedy="close it by `distributed.default_client().close()` or leave its `with` block; "
            "then open one that reaches a scheduler, or none to build on threads of this process",
        )
    return client


@contextmanager
def threads() -> Iterator["Client"]:
    """A client whose work is done by threads of this process, two for every core."""
    from distributed import Client, LocalCluster

    count = 2 * (os.cpu_count() or 1)
    with (
        LocalCluster(
            1, processes=False, threads_per_worker=count, dashboard_address=HERE, worker_dashboard_address=HERE
        ) as local,
        Client(local, set_as_default=False) as client,
    ):
        yield client


@contextmanager
def cluster(workers: int | None = None, address: str | None = None) -> Iterator["Client"]:
    """The client that builds inside the block run on.

    Processes and not threads, because rasterio keeps Python's lock while a remote file is opened. They wait for the
    network most of the time, hence two for every core.

    Args:
        workers: processes to start on this machine; default two a core. Not used with an address.
        address: of a running scheduler, such as `tcp://10.0.0.5:8786`.

    Raises:
        CorpusError: no scheduler answers there, or a worker has another swath or none.
    """
    from distributed import Client, LocalCluster

    if address is None:
        count = workers or 2 * (os.cpu_count() or 1)
        # a worker that dies is started again, and what that costs is told by whoever waits for its tasks
        silent = logging.ERROR
        with (
            LocalCluster(
                count,
                threads_per_worker=1,
                dashboard_address=HERE,
                worker_dashboard_address=HERE,
                silence_logs=silent,
            ) as local,
            Client(local) as client,
        ):
            yield client
        return
    try:
        # not the default yet: what fails here would stay that, and builds in this process would wait for it
        remote = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise CorpusError(
            f"no Dask scheduler answers: {error}", where=address, remedy="start one with `dask scheduler`"
        ) from None
    with remote, remote.as_current():
        _require_swath(remote, address)
        yield remote


def _require_swath(client: "Client", address: str) -> None:
    """Raise CorpusError unless every worker has this version of swath: one that cannot import what it is sent dies, and
    so does the next one that gets the task.
    """
    versions = client.get_versions(packages=["swath"])
    assert isinstance(versions, dict)
    for worker, said in versions["workers"].items():
        if (there := said["packages"]["swath"]) != __version__:
            raise CorpusError(
                f"the worker {worker} has {f'swath {there}' if there else 'no swath'}",
                where=address,
                remedy=f"install swath {__version__} where the workers run",
            )
