import importlib
import inspect

import pytest

import swath.corpus


@pytest.mark.parametrize(
    ("former", "name"),
    [("targets", "Dominant"), ("split", "split"), ("leakage", "leakage"), ("info", "info"), ("reader", "Reader")],
)
def test_modules_are_found_by_their_former_names_and_functions_stay_functions(former, name):
    module = importlib.import_module(f"swath.corpus.{former}")
    assert inspect.ismodule(module)
    assert inspect.getmodule(vars(module)[name]) is module
    assert not inspect.ismodule(vars(swath.corpus).get(former))
