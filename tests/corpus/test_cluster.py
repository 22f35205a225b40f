"""Clusters for builds: one of this machine, or one that runs somewhere."""

import pytest
from distributed import Client, LocalCluster

from swath.corpus import cluster as clusters
from swath.corpus.cluster import cluster
from swath.errors import CorpusError


@pytest.fixture(scope="module")
def running():
    with LocalCluster(1, processes=False, dashboard_address="127.0.0.1:0") as one:
        yield one.scheduler_address


def test_a_running_cluster_is_used(running):
    with cluster(address=running) as client:
        assert isinstance(client, Client)
        assert client.submit(sum, [1, 2]).result() == 3


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
    with pytest.raises(CorpusError, match="no Dask scheduler answers"), cluster(address="nonsense"):
        pass
