import sys

import pytest
from pydantic import TypeAdapter, ValidationError

from swath import plugins
from swath.errors import RecipeError

FRUIT = """
from typing import Literal
from swath.settings import Settings
class Config(Settings):
    name: Literal["{name}"] = "{name}"
    weight: float = 1.0
"""


@pytest.fixture
def fruits(tmp_path, monkeypatch):
    """A package with two plug-ins, a helper and a file that is no module."""
    folder = tmp_path / "swath_test_fruits"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "_peel.py").write_text("raise RuntimeError('helpers are not imported')")
    (folder / "notes.txt").touch()
    for name in ("blood_orange", "apple"):
        (folder / f"{name}.py").write_text(FRUIT.format(name=name.replace("_", "-")))
    monkeypatch.syspath_prepend(tmp_path)
    yield "swath_test_fruits"
    for module in [name for name in sys.modules if name.startswith("swath_test_fruits")]:
        del sys.modules[module]


def test_names_are_modules_without_helpers(fruits):
    assert plugins.names(fruits) == ["apple", "blood-orange"]


def test_listing_names_imports_none_of_them(fruits):
    plugins.names(fruits)
    assert f"{fruits}.apple" not in sys.modules


@pytest.mark.parametrize("spelling", ["blood-orange", "blood_orange"])
def test_hyphen_and_underscore_are_the_same(fruits, spelling):
    assert plugins.find(fruits, spelling).Config().name == "blood-orange"


def test_an_unknown_name_suggests_the_nearest(fruits):
    with pytest.raises(RecipeError, match="'aple'") as error:
        plugins.find(fruits, "aple")
    assert error.value.remedy == "did you mean 'apple'? known: apple, blood-orange"


@pytest.mark.parametrize("name", ["_peel", "-peel", "notes", "", "apple.Config", "../apple"])
def test_helpers_and_paths_are_no_plugins(fruits, name):
    with pytest.raises(RecipeError, match="unknown"):
        plugins.find(fruits, name)


def test_a_new_file_is_found_without_being_registered(fruits, tmp_path):
    (tmp_path / fruits / "cherry.py").write_text(FRUIT.format(name="cherry"))
    assert plugins.names(fruits) == ["apple", "blood-orange", "cherry"]


def test_settings_are_told_apart_by_name(fruits):
    adapter = TypeAdapter(plugins.union(fruits))
    config = adapter.validate_python({"name": "apple", "weight": 2.0})
    assert (type(config).__module__, config.weight) == (f"{fruits}.apple", 2.0)
    with pytest.raises(ValidationError, match="aple"):
        adapter.validate_python({"name": "aple"})
    with pytest.raises(ValidationError, match="heft"):
        adapter.validate_python({"name": "apple", "heft": 2.0})


def test_a_plugin_may_be_a_package_and_lie_in_a_family(fruits, tmp_path):
    for folder in ("mango", "berries", "berries/_jam"):
        (tmp_path / fruits / folder).mkdir()
        (tmp_path / fruits / folder / "__init__.py").write_text("")
    (tmp_path / fruits / "mango/__init__.py").write_text(FRUIT.format(name="mango"))
    (tmp_path / fruits / "mango/_stone.py").touch()
    (tmp_path / fruits / "berries/black_currant.py").write_text(FRUIT.format(name="black-currant"))
    (tmp_path / fruits / "berries/_jam/sugar.py").touch()
    assert plugins.names(fruits) == ["apple", "black-currant", "blood-orange", "mango"]
    assert not [name for name in sys.modules if name.startswith(f"{fruits}.")], "listing imports nothing"
    assert plugins.find(fruits, "black-currant").__name__ == f"{fruits}.berries.black_currant"
    assert plugins.find(fruits, "mango").Config().name == "mango"
    with pytest.raises(RecipeError, match="unknown"):
        plugins.find(fruits, "berries")
