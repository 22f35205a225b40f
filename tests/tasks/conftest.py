import importlib
import sys
import textwrap

import pytest

from tests.tasks import fakes


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    return fakes.make(tmp_path_factory.mktemp("corpus") / "small")


@pytest.fixture(scope="session")
def fields(tmp_path_factory):
    return fakes.make_fields(tmp_path_factory.mktemp("corpus") / "fields")


@pytest.fixture
def add_plugin(monkeypatch, tmp_path):
    """Puts a new file beside the plug-ins of a package, for one test."""
    added = []

    def add(package, name, source):
        folder = tmp_path / package
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.py").write_text(textwrap.dedent(source))
        home = importlib.import_module(package)
        if str(folder) not in home.__path__:
            monkeypatch.setattr(home, "__path__", [*home.__path__, str(folder)])
        importlib.invalidate_caches()
        added.append(f"{package}.{name}")
        return importlib.import_module(added[-1])

    yield add
    for name in added:
        sys.modules.pop(name, None)
