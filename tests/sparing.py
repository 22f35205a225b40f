"""Shapes and types are checked at the first calls of a function in every test, not at all of them.

A check costs some 25 microseconds, and small functions are called ten thousands of times: checking every call took
about a third of the time of the tests that were measured. beartype checks alone: jaxtyping would bind the arguments of
each call and check them twice, and only gives the axes of arrays the call that their names are of.
"""

import dataclasses
import functools
import inspect
import typing
from collections import Counter
from collections.abc import Callable
from typing import Any

import jaxtyping
from beartype import beartype
from beartype.roar import BeartypeCallHintViolation

CHECKED = 8
"""Calls of each function that every test checks."""

calls: Counter[int] = Counter()
"""Calls of each function in the test that runs, by the identity of its code: a function that is made anew whenever
another is called is the same one."""

_scope = jaxtyping.jaxtyped
"""`_scope("context")`: inside, axes of one name have one length."""


def install() -> None:
    """Have jaxtyping's import hook, which has to be installed afterwards, check the first calls only."""
    jaxtyping.jaxtyped = lambda *, typechecker: functools.partial(_sparing, _scope(typechecker=typechecker))


def _sparing(check: Callable[..., Any], function: Any) -> Any:
    if inspect.isclass(function):
        return _with_sparing_init(check, function)
    if not inspect.isfunction(function):
        return check(function)
    code = id(function.__code__)
    # made when it is called first: most functions are not called in most processes
    checked = functools.cache(lambda: _checked(check, function))

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if calls[code] >= CHECKED:
            return function(*args, **kwargs)
        calls[code] += 1
        return checked()(*args, **kwargs)

    return call


def _with_sparing_init(check: Callable[..., Any], one: Any) -> Any:
    """The class, whose fields are checked when it is a dataclass that has not inherited how it is made."""
    made = vars(one).get("__init__")
    if dataclasses.is_dataclass(one) and inspect.isfunction(made) and made.__globals__ is not globals():
        one.__init__ = _sparing(check, made)
    return one


def _checked(check: Callable[..., Any], function: Any) -> Any:
    """The function with its types checked; `check` is jaxtyping's own way, for what only that understands."""
    try:
        annotations = typing.get_type_hints(function, include_extras=True)
    except NameError:  # a name that only type checkers import
        return check(function)
    if not any("jaxtyping" in repr(annotation) for annotation in annotations.values()):
        return beartype(function)
    return check(function) if inspect.isgeneratorfunction(function) else _with_axes(beartype(function))


def _with_axes(checked: Any) -> Any:
    """The function, at each call of which axes of one name have one length."""

    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            with _scope("context"):
                return checked(*args, **kwargs)
        except BeartypeCallHintViolation as error:
            raise jaxtyping.TypeCheckError(str(error)) from error

    return call
