"""Shapes are checked under pytest only: every annotated function of swath is verified while the tests run.

The first calls in every test are, to be exact: see `sparing`.
"""

import importlib.util
import inspect
import os
import signal
from pathlib import Path

import torch

if not torch.cuda.is_available():
    # before anything imports Triton: its kernels are then run by NumPy
    os.environ.setdefault("TRITON_INTERPRET", "1")

# before the hook below, which hides the bytecode of whatever is imported while a module of swath is
import distributed  # noqa: F401
import geopandas  # noqa: F401
import lightning.pytorch  # noqa: F401
import matplotlib.figure  # noqa: F401
import pytest
import sklearn.linear_model  # noqa: F401
import timm  # noqa: F401
from hypothesis import settings
from jaxtyping import install_import_hook

from tests import sparing

# time on a shared machine says nothing about correctness
settings.register_profile("swath", deadline=None)
settings.load_profile("swath")

if importlib.util.find_spec("triton"):
    import triton

    # it compiles a function's source, and must not be given the hook's wrapper around it
    _JIT = triton.jit
    triton.jit = lambda function: _JIT(inspect.unwrap(function))

sparing.install()
_HOOK = install_import_hook("swath", "beartype.beartype")


LONGEST = (
    "test_recipes.py",
    "test_pipeline.py",
    "corpus/checks/test_planted.py",
    "corpus/sources/synth/test_synth.py",
    "training/test_distributed.py",
)
"""Files that take the longest. They come first, so that no process has one of them left when all others are done."""


def pytest_configure() -> None:
    """Answer Ctrl-C also where a shell has started the tests in the background, which ignores it for them."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long before all others; each in its own order."""
    here = Path(__file__).parent
    place = {here / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path, len(place)))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real satellite data; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("SWATH_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set SWATH_DATA to the folder that holds it")
    return folder


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Every test has its own first calls, and tests of a GPU need one."""
    sparing.calls.clear()
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
