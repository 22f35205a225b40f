"""Shapes and types are checked at the first calls of a function in every test, not at all of them.

A check costs some 25 microseconds, and small functions are called ten thousands of times: checking every call took
about a third of the time of the tests that were measured. A function without arrays in its signature has no shapes to
compare: beartype alone checks its types, which takes half as long to prepare and a tenth to do.
"""

import functools
import inspect
import typing
from collections import Counter
from collections.abc import Callable
from typing import Any

import jaxtyping
from beartype import beartype

CHECKED = 8
"""Calls of each function that every test checks."""

calls: Counter[Callable[..., Any]] = Counter()
"""Calls of each function in the test that runs."""


def install() -> None:
    """Have jaxtyping's import hook, which has to be installed afterwards, check the first calls only."""
    thorough = jaxtyping.jaxtyped
    jaxtyping.jaxtyped = lambda *, typechecker: functools.partial(_sparing, thorough(typechecker=typechecker))


def _sparing(check: Callable[..., Any], function: Any) -> Any:
    if not inspect.isfunction(function) or inspect.isgeneratorfunction(function):
        return check(function)
    # made when it is called first: most functions are not called in most processes
    checked = functools.cache(lambda: (check if _has_arrays(function) else beartype)(function))

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if calls[call] >= CHECKED:
            return function(*args, **kwargs)
        calls[call] += 1
        return checked()(*args, **kwargs)

    return call


def _has_arrays(function: Any) -> bool:
    """Whether an annotation may speak of an array: one of a name that only type checkers import may."""
    try:
        annotations = typing.get_type_hints(function, include_extras=True)
    except NameError:
        return True
    return any("jaxtyping" in repr(annotation) for annotation in annotations.values())
