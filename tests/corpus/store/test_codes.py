"""Class codes of every type of map, however large, negative or far apart."""

import numpy as np
import pytest

from swath.corpus import LabelLayer
from swath.corpus.store.codes import codes_of_map, positions, undeclared

WHEAT, MAIZE = 3301010301, 3301010600
"""Of EuroCrops' taxonomy: beyond 31 bits."""


@pytest.mark.parametrize(
    ("declared", "kind"),
    [
        ((0, 7, 255), "uint8"),
        ((-1, 0, 1), "int16"),
        ((-9999, 3, 30_000), "int32"),
        ((1, WHEAT, MAIZE), "int64"),
        ((1, WHEAT, MAIZE), "uint32"),
        ((-(2**63), 0, 2**63 - 1), "int64"),
    ],
)
def test_a_code_is_looked_up_not_taken_for_a_position(declared, kind):
    codes = np.random.default_rng(0).choice(np.array(declared, kind), (3, 4))
    expected = [[declared.index(code) for code in line] for line in codes.tolist()]
    np.testing.assert_array_equal(positions(codes, declared), expected)
    assert undeclared(codes, declared) == {}
    strange = codes.copy()
    strange[0, :2], strange[2, 3] = 5, 2
    assert undeclared(strange, declared) == {2: 1, 5: 2}
    assert (positions(strange, declared)[0, :2] == -1).all()
    assert (positions(codes, ()) == -1).all()


@pytest.mark.parametrize("kind", ["uint8", "int16", "uint16", "uint32", "int64", "uint64", "float32", "float64"])
def test_a_map_of_any_type_gives_its_codes(kind):
    values = np.array([[0, 7], [100, 7]], kind)
    codes = codes_of_map(values, (0, 7, 100), 0)
    assert codes.dtype == np.int64
    np.testing.assert_array_equal(codes, [[0, 7], [100, 7]])


def test_not_a_number_is_void():
    values = np.array([[np.nan, 7.0], [np.nan, -1.0]])
    np.testing.assert_array_equal(codes_of_map(values, (-9999, -1, 7), -9999), [[-9999, 7], [-9999, -1]])
    with pytest.raises(ValueError, match="holds NaN at 2 pixels, and the layer has no void code"):
        codes_of_map(values, (-1, 7), None)


def test_real_numbers_that_cannot_tell_codes_apart():
    values = np.array([2**24 + 1, 3], np.float32)  # which holds 2**24
    with pytest.raises(ValueError, match="cannot tell the code 16777217 from 16777216"):
        codes_of_map(values, (3, 2**24, 2**24 + 1), None)
    np.testing.assert_array_equal(codes_of_map(values.astype(float), (3, 2**24, 2**24 + 1), None), [2**24, 3])
    np.testing.assert_array_equal(codes_of_map(values[1:], (3, 2**24 + 1), None), [3])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.array([0.5, 1.0]), "not whole, such as 0.5"),
        (np.array([np.inf, 1.0], "float32"), "not whole, such as inf"),
        (np.array([1e30, 1.0]), "not whole, such as 1e"),
        (np.array([2**63], "uint64"), "holds the code 9223372036854775808, beyond 64 bits"),
        (np.array([1j]), "holds complex128 values"),
        (np.array([1, 4, 4, 4, 9]), r"the code 4 at 3 pixels \(and 1 others\), which is not declared.*declared: 1, 2"),
    ],
)
def test_what_is_no_declared_code_is_named_and_counted(values, words):
    with pytest.raises(ValueError, match=words):
        codes_of_map(values, (1, 2), 2)


def test_stored_codes_have_room():
    kinds = {(0, 255): "uint8", (-1, 1): "int32", (0, 256): "int32", (0, WHEAT): "int64", (-(2**31) - 1, 0): "int64"}
    for (low, high), kind in kinds.items():
        layer = LabelLayer(classes={low: "a", high: "b"})
        assert layer.dtype == kind
        assert np.array(layer.codes, layer.dtype).tolist() == [low, high]


def test_void_is_no_label_whatever_it_is_called():
    assert LabelLayer(classes={3: "b", 0: "unlabelled", 1: "a"}, void=0).labelled == {1: "a", 3: "b"}
