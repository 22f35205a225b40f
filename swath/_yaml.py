"""YAML as recipes are written in: plain data only, within limits that no document of a person comes near.

What YAML would let pass is refused: a key that is given twice (the last would win), a key or a number that means
something else than it looks like (`no` is false), and references that unfold a page of text into gigabytes.
"""

import re
from collections.abc import Iterator
from typing import Any

import yaml

from swath.errors import UNPRINTABLE, RecipeError

MOST_CHARACTERS, MOST_VALUES, DEEPEST = 1_000_000, 100_000, 50
"""Limits of a document: characters of text, values after all references are unfolded, and depth of nesting."""
Lines = dict[tuple[str, ...], int]
"""Line number, from 1, of each key, by the key's path."""

_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("map", "seq", "str", "int", "float", "bool", "null", "timestamp")}
_KINDS = {"int": "whole number", "float": "number", "bool": "true or false", "timestamp": "date"}
_OTHER_BASE = re.compile(r"[-+]?(0_*[0-9][0-9_]*|[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?)")
"""Numbers that YAML 1.1 reads in base 8 (010 is eight) or base 60 (1:30 is ninety)."""
_MERGE = "tag:yaml.org,2002:merge"
_QUOTE = "put quotes around a value that starts with *, which YAML takes for a reference: files: '*.tif'"


def read(text: str, where: str | None = None) -> tuple[Any, Lines]:
    """The content of a document, and where its keys are.

    Args:
        text: of the document.
        where: what messages call it.

    Raises:
        RecipeError: it is no YAML, or goes beyond what this module allows; the message names the line.
    """
    if len(text) > MOST_CHARACTERS:
        raise RecipeError(
            f"the document has {len(text):,} characters, {MOST_CHARACTERS:,} are read",
            where=where,
            remedy="give a recipe; long lists belong in files that it names",
        )
    try:
        return _read(text)
    except yaml.MarkedYAMLError as error:
        remedy = _QUOTE if "alias" in f"{error.context} {error.problem}" else "mend the line named above"
        raise RecipeError(f"not valid YAML: {_said(error, text)}", where=where, remedy=remedy) from None
    except yaml.YAMLError as error:
        said = str(error).partition("\n")[0]
        raise RecipeError(f"not valid YAML: {said}", where=where, remedy="remove that character") from None


def _read(text: str) -> tuple[Any, Lines]:
    """Parse with libyaml, which is several times as fast, and with Python's parser to word the errors that it finds."""
    if yaml.__with_libyaml__:
        try:
            return _built(text, _FastLoader)
        except yaml.YAMLError:
            pass
    return _built(text, _Loader)


def _built(text: str, kind: "type[_Loader | _FastLoader]") -> tuple[Any, Lines]:
    _check_depth(text, kind)
    loader = kind(text)  # pyright: ignore[reportCallIssue] - both take the text, as their stubs do not know
    root = loader.get_single_node()
    if root is None:
        return None, {}
    _Check(loader).size(root)
    lines = dict(_lines(root))
    return loader.construct_document(root), lines


def _said(error: yaml.MarkedYAMLError, text: str) -> str:
    """The problem in words, with its line."""
    mark = error.problem_mark or error.context_mark
    problem = error.problem or error.context or "it cannot be read"
    if mark is None:
        return problem
    lines = text.splitlines()
    shown = f": {lines[mark.line].strip()[:60]!r}" if mark.line < len(lines) else ""
    return f"line {mark.line + 1}: {problem}{shown}"


def _refuse(node: yaml.Node | yaml.Event, problem: str) -> yaml.MarkedYAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


class _Plain(yaml.constructor.SafeConstructor):
    """A YAML constructor of plain data, for which a value that does not fit its tag is an error with a line."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
        # what int(), datetime() and the like answer to a text that only looks like one
        except (ValueError, KeyError, AttributeError):
            kind = _KINDS.get(node.tag.rpartition(":")[2], "such value")
            raise _refuse(node, f"this is no {kind}; put quotes around what is meant as text") from None
        if isinstance(value, int) and value.bit_length() > 63:
            raise _refuse(node, "the number is too large")
        return value


class _Loader(_Plain, yaml.SafeLoader):
    """The parser written in Python."""


class _FastLoader(_Plain, yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader):  # pyright: ignore
    """The parser of libyaml, in C."""


def _check_depth(text: str, kind: "type[_Loader | _FastLoader]") -> None:
    """Refuse deep nesting before anything recursive sees the document."""
    depth = 0
    for event in yaml.parse(text, kind):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise _refuse(event, f"more than {DEEPEST} sections stand within each other")


class _Check:
    """Refuse what YAML would let pass, before any value is built."""

    def __init__(self, loader: "_Loader | _FastLoader"):
        self.loader = loader
        self.known: dict[int, tuple[int, int]] = {}
        """Number of values below each node seen so far, and its depth, with all references unfolded."""
        self.open: set[int] = set()

    def size(self, node: yaml.Node) -> tuple[int, int]:
        """Number of values below a node, and the depth of the deepest."""
        if id(node) in self.open:
            raise _refuse(node, "a reference leads to a section that it is a part of")
        if id(node) not in self.known:
            self.open.add(id(node))
            self._check(node)
            inner = [self.size(child) for child in self._children(node)]
            self.open.remove(id(node))
            self.known[id(node)] = 1 + sum(n for n, _ in inner), 1 + max((d for _, d in inner), default=0)
        values, depth = self.known[id(node)]
        if values > MOST_VALUES or depth > DEEPEST + 1:
            raise _refuse(node, f"its references unfold to more than {MOST_VALUES:,} values or {DEEPEST} levels")
        return values, depth

    def _check(self, node: yaml.Node) -> None:
        if node.tag not in _TAGS:
            raise _refuse(node, f"the tag {node.tag} means nothing in a recipe")
        if isinstance(node, yaml.ScalarNode) and UNPRINTABLE.search(node.value):
            raise _refuse(node, "the text holds a control character, or what is no UTF-8")
        if node.tag.endswith((":int", ":float")) and _OTHER_BASE.fullmatch(node.value):
            meant = self.loader.construct_object(node)
            raise _refuse(node, f"{node.value} is {meant} to YAML: write {meant}, or put quotes around it")

    def _children(self, node: yaml.Node) -> Iterator[yaml.Node]:
        if isinstance(node, yaml.SequenceNode):
            yield from node.value
        if isinstance(node, yaml.MappingNode):
            seen: set[Any] = set()
            for key, value in node.value:
                self._check_key(key, seen)
                yield value

    def _check_key(self, node: yaml.Node, seen: set[Any]) -> None:
        if node.tag == _MERGE:
            key: Any = "<<"
        else:
            self._check(node)
            key = self.loader.construct_object(node) if isinstance(node, yaml.ScalarNode) else None
        if isinstance(key, bool) or not isinstance(key, str | int):
            said = f"{node.value!r} is no name here" if isinstance(node, yaml.ScalarNode) else "this is no name"
            raise _refuse(node, f"{said}: a key is text or a whole number; put quotes around it")
        if key in seen:
            raise _refuse(node, f"key {key!r} is given twice")
        seen.add(key)


def _lines(node: yaml.Node, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield (*path, str(key.value)), key.start_mark.line + 1
            yield from _lines(value, (*path, str(key.value)))
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            yield (*path, str(i)), value.start_mark.line + 1
            yield from _lines(value, (*path, str(i)))
