"""Shapes are checked at the first calls of a function in every test."""

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


def test_the_import_hook_uses_it():
    assert Encoder.check.__code__ is width_of_hook().__code__
    assert Encoder.check.__wrapped__.__name__ == "check"


def width_of_hook():
    return jaxtyping.jaxtyped(typechecker=lambda function: function)(lambda: None)
