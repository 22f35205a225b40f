"""YAML within limits."""

import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from swath import _yaml
from swath.errors import RecipeError

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9)
)
CHAIN = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 300))
REFUSED = {
    "a key given twice": ("a: 1\nb: 2\na: 3\n", "line 3: key 'a' is given twice"),
    "in flow": ("a: {b: 1, b: 2}\n", "line 1: key 'b' is given twice"),
    "merge twice": ("a: {<<: {b: 1}, <<: {b: 2}}\n", "key '<<' is given twice"),
    "merge of a number": ("a: {<<: 5}\n", "expected a mapping or list of mappings for merging"),
    "30 February": ("a: 1\nwhen: 2021-02-30\n", "line 2: this is no date; put quotes"),
    "no is false": ("a:\n  no: 1\n", "line 2: 'no' is no name here: a key is text or a whole number; put quotes"),
    "null as a key": ("null: 1\n", "'null' is no name here"),
    "a date as a key": ("2021-01-01: 1\n", "'2021-01-01' is no name here"),
    "a list as a key": ("? [a, b]\n: 1\n", "this is no name"),
    "references that unfold": (BOMB, "unfold to more than 100,000 values"),
    "a chain of references": (CHAIN, "unfold to more than"),
    "a reference to itself": ("a: &a {b: *a}\n", "a section that it is a part of"),
    "an unknown reference": ("a: *.tif\n", "put quotes around a value that starts with *"),
    "deep lists": ("a: " + "[" * 3000 + "]" * 3000, "more than 50 sections"),
    "deep sections": ("".join("  " * i + f"k{i}:\n" for i in range(400)), "line 51: more than 50 sections"),
    "long numbers": (f"a: {'9' * 5000}\n", "this is no whole number"),
    "large numbers": (f"a: {2**63}\n", "the number is too large"),
    "a number to the base 8": ("classes:\n  010: snow\n", "line 2: 010 is 8 to YAML: write 8, or put quotes"),
    "a number to the base 60": ("at: 1:30\n", "line 1: 1:30 is 90 to YAML: write 90, or put quotes"),
    "code": ("a: !!python/object/apply:os.system ['true']\n", "means nothing in a recipe"),
    "bytes": ("a: !!binary aGVsbG8=\n", "means nothing in a recipe"),
    "a set": ("a: !!set {b, c}\n", "means nothing in a recipe"),
    "no number": ("a: !!int b\n", "this is no whole number"),
    "no truth": ("a: !!bool b\n", "this is no true or false"),
    "NUL": ('a: "b\\0c"\n', "control character"),
    "a raw NUL": ("a: b\0c\n", "unacceptable character"),
    "half a character": ('a: "\\ud800"\n', "no UTF-8"),
    "escape sequences": ('a: "\\e[2J"\n', "control character"),
    "tabs": ("a: 1\n\tb: 2\n", "line 2: found character"),
    "two documents": ("a: 1\n---\nb: 2\n", "another document"),
    "too long": ("a: 1\n" * 200_001, "1,000,005 characters, 1,000,000 are read"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_said_with_its_line(name):
    text, said = REFUSED[name]
    started = time.monotonic()
    with pytest.raises(RecipeError) as caught:
        _yaml.read(text, "mine.yaml")
    assert said in str(caught.value)
    assert "where: mine.yaml" in str(caught.value)
    assert "<unicode string>" not in str(caught.value)
    assert time.monotonic() - started < 30


def test_references_and_merges_mean_what_yaml_says():
    text = "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: {<<: [{z: 4}, *a], x: 5}\nd: [*a, *a]\n"
    read, lines = _yaml.read(text)
    assert read == yaml.safe_load(text)
    assert read["b"] == {"x": 1, "y": 3}
    assert lines["b", "y"] == 2


def test_a_merged_section_may_be_merged_and_used_again():
    text = "a: &a {x: 1}\nb: &b {<<: *a, x: 2}\nc: *b\nd: {<<: *b}\n"
    assert _yaml.read(text)[0]["c"] == {"x": 2}


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**62), 2**62)
    | st.floats(allow_nan=False)
    | st.text("abc: #-'\"\n", max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=100)
@given(PLAIN)
def test_plain_data_is_read_as_it_was_written(data):
    assert _yaml.read(yaml.safe_dump(data))[0] == data
