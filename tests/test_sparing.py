"""Shapes are checked at the first calls of a function in every test."""

from collections.abc import Iterator
from dataclasses import dataclass

import jaxtyping
import numpy as np
import pytest
from beartype import beartype
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import Float

from swath.encoders import Encoder
from tests import sparing


def test_functions_of_swath_are_checked_at_their_first_calls_and_then_left_alone():
    right, wrong = np.zeros((2, 3)), np.zeros((2, 4))

    @jaxtyping.jaxtyped(typechecker=beartype)
    def width(values: Float[np.ndarray, "n 3"]) -> int:
        return values.shape[1]

    for _ in range(sparing.CHECKED - 1):
        assert width(right) == 3
    with pytest.raises(jaxtyping.TypeCheckError):
        width(wrong)
    assert width(wrong) == 4, "the first calls are over"
    sparing.calls.clear()  # as before every test
    with pytest.raises(jaxtyping.TypeCheckError):
        width(wrong)


@pytest.mark.parametrize("annotation", [int, "int", Float[np.ndarray, "n 3"] | int])
def test_types_are_checked_with_and_without_arrays(annotation):
    def twice(value):
        return 2 * value

    twice.__annotations__ = {"value": annotation}
    checked = jaxtyping.jaxtyped(typechecker=beartype)(twice)
    assert checked(2) == 4
    with pytest.raises((jaxtyping.TypeCheckError, BeartypeCallHintViolation), match="value"):
        checked("no number")


def test_axes_of_one_name_have_one_length_in_a_call_and_what_it_returns():
    @jaxtyping.jaxtyped(typechecker=beartype)
    def joined(
        first: Float[np.ndarray, " n"], second: Float[np.ndarray, " n"], *, drop: int
    ) -> Float[np.ndarray, " n"]:
        return (first + second)[drop:]

    two, three = np.zeros(2), np.zeros(3)
    assert len(joined(two, two, drop=0)) == 2
    assert len(joined(three, three, drop=0)) == 3, "another call has other lengths"
    with pytest.raises(jaxtyping.TypeCheckError, match="second"):
        joined(two, three, drop=0)
    with pytest.raises(jaxtyping.TypeCheckError, match="return"):
        joined(two, two, drop=1)


def test_fields_of_dataclasses_and_generators_are_checked_at_the_first_calls_too():
    @jaxtyping.jaxtyped(typechecker=beartype)
    @dataclass
    class Place:
        row: int

    @jaxtyping.jaxtyped(typechecker=beartype)
    def rows(until: int) -> Iterator[int]:
        yield from range(int(until))

    for call, found in ((Place, "row"), (lambda one: list(rows(one)), "until")):
        for _ in range(sparing.CHECKED - 1):
            call(2)
        with pytest.raises(BeartypeCallHintViolation, match=found):
            call("2")
        assert call("2") in (Place("2"), [0, 1]), "the first calls are over"


def test_the_import_hook_uses_it():
    assert Encoder.check.__code__ is width_of_hook().__code__
    assert Encoder.check.__wrapped__.__name__ == "check"


def width_of_hook():
    return jaxtyping.jaxtyped(typechecker=lambda function: function)(lambda: None)
