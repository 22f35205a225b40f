"""Shapes are checked under pytest only: every annotated function of swath is verified while the tests run.

The first calls in every test are, to be exact: see `sparing`.
"""

import argparse
import atexit
import functools
import gc
import importlib
import importlib.util
import inspect
import logging
import os
import signal
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

from tests import sparing
from tests.forks import Forks

# time on a shared machine says nothing about correctness
settings.register_profile("swath", deadline=None)
settings.load_profile("swath")

FIRST = (
    "torch",
    "distributed",
    "geopandas",
    "lightning.pytorch",
    "matplotlib.figure",
    "sklearn.linear_model",
    "timm",
)
"""Imported before the hook below, which hides the bytecode of whatever is imported while a module of swath is."""


def runs_tests() -> bool:
    """Whether this process runs tests itself: one that hands all of them to others waits for no imports."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("-n", "--numprocesses", default="0")
    return "PYTEST_XDIST_WORKER" in os.environ or parser.parse_known_args(sys.argv[1:])[0].numprocesses == "0"


def prepare() -> None:
    """Import what is large, and have Triton's kernels run by NumPy where there is no GPU."""
    torch = importlib.import_module("torch")
    if not torch.cuda.is_available():
        # before anything imports Triton
        os.environ.setdefault("TRITON_INTERPRET", "1")
    for name in FIRST:
        importlib.import_module(name)
    # whenever a trainer is made, Lightning asks all installed packages anew whether they have callbacks for it
    registry = importlib.import_module("lightning.fabric.utilities.registry")
    registry.entry_points = functools.cache(registry.entry_points)
    if importlib.util.find_spec("triton"):
        triton = importlib.import_module("triton")
        # it compiles a function's source, and must not be given the hook's wrapper around it
        compiled = triton.jit
        triton.jit = lambda function: compiled(inspect.unwrap(function))


if runs_tests():
    # what is imported stays: Python would look for garbage in it again and again
    gc.disable()
    prepare()
    FORKS = Forks()
sparing.install()
_HOOK = install_import_hook("swath", "beartype.beartype")


LONGEST = (
    "test_recipes.py",
    "corpus/sources/published/test_every_format.py",
    "test_pipeline.py",
    "corpus/checks/test_planted.py",
    "training/test_fit.py",
    "products/report/test_report.py",
    "corpus/sources/synth/test_synth.py",
    "tasks/run/test_evaluate.py",
    "corpus/sources/stac/test_run.py",
    "corpus/sources/published/test_worldcereal_patches.py",
    "corpus/sources/landsat/test_landsat_c2.py",
    "tasks/statistics/test_summary.py",
    "test_documents.py",
    "corpus/store/test_writer.py",
    "testing/test_checks.py",
    "tasks/test_supervised.py",
    "training/test_distributed.py",
)
"""Files that take the longest. They come first, so that no process has one of them left when all others are done."""


def pytest_configure() -> None:
    """Answer Ctrl-C also where a shell has started the tests in the background, which ignores it for them.

    No file is waited for until it lies on the disk: what that guards against is the loss of power, which no test has.
    """
    os.fsync = lambda _: None
    # what libraries log is not collected, as no test looks at it, and goes nowhere else
    logging.getLogger().addHandler(logging.NullHandler())
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Of two processes that run the tests, one imports the files from the first to the last, the other the other way.

    In a fresh checkout nothing is compiled yet: each compiles half of the files, and finds the other half.
    """
    report = yield
    if isinstance(collector, pytest.Directory) and _number() % 2:
        report.result.reverse()
    return report


def _number() -> int:
    """Of this process among those that run the tests, from 0."""
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


# first: pytest itself sorts the tests by the fixtures that they share, and all processes have to come to one order
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long before all others; each in its own order."""
    here = Path(__file__).parent
    place = {here / name: number for number, name in enumerate(LONGEST)}
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: item.path)
    items.sort(key=lambda item: place.get(item.path, len(place)))


def pytest_collection_finish() -> None:
    """What is imported and collected stays to the end: no search for garbage looks at it again."""
    gc.enable()
    gc.collect()
    gc.freeze()
    # libraries in C++ look at what is left when a process ends; pytest itself searches for garbage before that
    atexit.register(gc.unfreeze)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real satellite data; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("SWATH_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set SWATH_DATA to the folder that holds it")
    return folder


@pytest.fixture(scope="session")
def forks() -> Forks:
    """Runs code in processes of its own, which need not import torch anew."""
    return FORKS


@pytest.fixture
def short_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports of one section: to draw the others takes longer than all else of a tiny run."""
    report = importlib.import_module("swath.products.report")
    every = report.all_sections
    monkeypatch.setattr(report, "all_sections", lambda problems: {"result": every(problems)["result"]})


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Every test has its own first calls, and tests of a GPU need one."""
    sparing.calls.clear()
    if item.get_closest_marker("gpu") and not importlib.import_module("torch").cuda.is_available():
        pytest.skip("no CUDA device")
