"""Clusters for builds: one of this machine, or one that runs somewhere."""

import ast
from pathlib import Path
from unittest.mock import create_autospec

import psutil
import pytest
from distributed import Client, LocalCluster, default_client
from distributed.client import ClosedClientError

import swath
from swath.corpus import cluster as clusters
from swath.corpus.cluster import active, cluster, threads
from swath.corpus.sources.stac import _run as run
from swath.errors import CorpusError


@pytest.fixture(scope="module")
def running():
    with LocalCluster(1, processes=False, dashboard_address="127.0.0.1:0") as one:
        yield one.scheduler_address


def test_a_running_cluster_is_used(running):
    with cluster(address=running) as client:
        assert isinstance(client, Client)
        assert client.submit(sum, [1, 2]).result() == 3
        assert active() is client
    assert active() is None


def test_a_worker_with_another_swath_is_an_error(running, monkeypatch):
    monkeypatch.setattr(clusters, "__version__", "9.9")
    with pytest.raises(CorpusError, match=r"the worker inproc://.* has swath 0") as caught, cluster(address=running):
        pass
    assert caught.value.remedy == "install swath 9.9 where the workers run"


def test_a_worker_without_swath_is_an_error(running, monkeypatch):
    found = {"workers": {"tcp://10.0.0.5:1": {"packages": {"swath": None}}}}
    monkeypatch.setattr(Client, "get_versions", lambda *_, **__: found)
    with pytest.raises(CorpusError, match=r"the worker tcp://10\.0\.0\.5:1 has no swath"), cluster(address=running):
        pass


def test_no_scheduler_is_an_error():
    # what was caught holds all that lived when it was raised
    with pytest.raises(CorpusError, match="no Dask scheduler answers") as caught, cluster(address="nonsense"):
        pass
    assert active() is None, caught


# -- the active client -------------------------------------------------------------------------------------------------


def test_a_client_that_never_reached_its_scheduler_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(clusters, "CONNECT_SECONDS", 0.1)
    with pytest.raises(ValueError, match="missing port number") as failed:
        Client("nonsense")
    stale = default_client()
    assert stale.status == "connecting", failed
    with pytest.raises(CorpusError, match="is connecting, not running") as caught, run._client():
        pass
    assert "default_client().close()" in caught.value.remedy
    default_client().close()
    assert active() is None


def client_that_is(status: str):
    """No real one: to close one that has just connected takes distributed a minute, now and then."""
    return create_autospec(Client, instance=True, status=status)


@pytest.mark.parametrize("status", ["closing", "closed"])
def test_a_client_that_is_not_open_is_not_used(monkeypatch, status):
    monkeypatch.setattr("distributed.default_client", lambda: client_that_is(status))
    with pytest.raises(CorpusError, match=f"is {status}, not running"), run._client():
        pass


def test_a_client_that_connects_in_time_is_used(monkeypatch):
    client = client_that_is("connecting")
    monkeypatch.setattr("distributed.default_client", lambda: client)
    monkeypatch.setattr(clusters.time, "sleep", lambda _: setattr(client, "status", "running"))
    assert active() is client


def test_a_client_that_is_lost_amid_a_build_is_an_error(monkeypatch):
    client = client_that_is("closed")
    with pytest.raises(CorpusError, match="the connection to the cluster is lost: its client is closed") as caught:
        run._threads(client)
    assert "continues" in caught.value.remedy
    monkeypatch.setattr(run, "_threads", lambda _: 1)
    client.submit.side_effect = ClosedClientError("Client is closed")
    with pytest.raises(CorpusError, match="the connection to the cluster is lost: Client is closed"):
        next(run._in_order(client, run.StacSection.model_construct(), [run.Location("a")]))


# -- who can reach it --------------------------------------------------------------------------------------------------


def listening() -> set[str]:
    """Addresses at which this process and those that it started wait for connections."""
    me = psutil.Process()
    found = [one.net_connections("inet") for one in (me, *me.children(recursive=True))]
    return {one.laddr.ip for several in found for one in several if one.status == psutil.CONN_LISTEN}


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(threads, id="threads"),
        pytest.param(run._client, id="ingest-and-run"),
        pytest.param(lambda: cluster(workers=1), id="build", marks=pytest.mark.slow),
    ],
)
def test_nothing_listens_but_on_this_machine(start):
    assert active() is None, "what was started elsewhere would be looked at"
    before = listening()
    with start() as client:
        assert client.submit(sum, [1, 2]).result() == 3
        assert listening() - before <= {"127.0.0.1", "::1"}
        assert listening()


def test_clusters_are_started_in_one_place_alone():
    """So that the test above has seen them all; the explorer's own server has tests of who can reach it."""
    root = Path(swath.__file__).parent
    names = {"LocalCluster", "Scheduler", "Worker", "Nanny", "HTTPServer", "ThreadingHTTPServer", "SSHCluster"}
    users = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom | ast.Import) and names & {one.name for one in node.names}
    }
    assert users == {"corpus/cluster.py", "products/explore/_server.py"}
