"""The benchmarks of a GPU, which nobody runs until one is there: each runs on a pretended one, with small sizes."""

import json

import pytest
import torch

from benchmarks import __main__ as benchmarks
from benchmarks import _gpu, gpu_dense, gpu_read, gpu_step, gpu_views
from swath.encoders.timm import Config as Timm
from tests.pretended_gpu import pretended

NAMES = [name for name in benchmarks.names() if name.startswith("gpu_")]
SIZES = {"CHIP": 24, "VIEW": 16, "BATCH": 8, "SMALL": 16, "LARGE": 32, "LOCATIONS": 16, "BYTES": 7 * 24 * 24}


@pytest.mark.parametrize("name", ["gpu", *NAMES])
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
def test_without_a_gpu_they_say_so(name, capsys):
    assert benchmarks.main([name, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"gpu": "no GPU"}


def once(clock):
    """The clock, of a single call."""
    return lambda work, *_, **__: clock(work, runs=1, warm=0)


@pytest.fixture
def small(monkeypatch):
    for module in (_gpu, gpu_dense, gpu_read, gpu_step, gpu_views):
        for name, size in SIZES.items():
            if hasattr(module, name):
                monkeypatch.setattr(module, name, size)
    for function, default in ((_gpu.loader, (8,)), (_gpu.resident, (8,)), (gpu_step._complete, (8, None))):
        monkeypatch.setattr(function, "__defaults__", default)
    made = gpu_step._settings  # a CPU's bfloat16 gradients of so small pictures are not defined
    monkeypatch.setattr(gpu_step, "_settings", lambda *said: made(*said).model_copy(update={"precision": "32"}))
    monkeypatch.setattr(gpu_step, "MODELS", ("test_resnet",))
    monkeypatch.setattr(gpu_step, "Timm", lambda **_: Timm(model="test_resnet"))
    for module in (_gpu, gpu_dense, gpu_read, gpu_step, gpu_views):
        for clock in ("device_seconds", "wall_seconds"):
            if timed := getattr(module, clock, None):
                monkeypatch.setattr(module, clock, once(timed))
    monkeypatch.setattr(gpu_views, "SMALL", 2)
    monkeypatch.setattr(gpu_views, "find_spec", lambda _: None)  # no peer
    monkeypatch.setattr("swath.views._augment.find_spec", lambda _: None)  # no kernels


SLOW = [pytest.param(name, marks=pytest.mark.slow) if name == "gpu_step" else name for name in NAMES]
"""Three whole trainings by Lightning take a quarter of a minute on a pretended GPU."""


@pytest.mark.parametrize("name", SLOW)
@pytest.mark.usefixtures("small")
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a real one")
@pytest.mark.filterwarnings("ignore")
def test_each_runs(name):
    with pretended():
        result = benchmarks._here(name, quick=True)
    assert result["setting"]["gpu"] == "pretended"
    assert result["ours"] > 0
    json.dumps(result)
