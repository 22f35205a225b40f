"""How a wrong recipe is explained: the line, the key, and the nearest name that exists."""

import json
import types
import typing
from typing import Any

from swath import plugins
from swath._yaml import Lines
from swath.config._recipe import Recipe
from swath.errors import nearest
from swath.settings import Settings, plainly


def causes(errors: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The errors of pydantic that are causes, without those that merely follow from others.

    A list is not "too short" because its entries are wrong, and where a value may be of several types, what comes
    nearest to one of them was meant.
    """
    errors = [error | {"loc": tuple(part for part in error["loc"] if "[" not in str(part))} for error in errors]
    wrong = [error["loc"] for error in errors]
    return [
        error
        for error in errors
        if not (error["type"].endswith(("too_short", "_type")) and any(_below(loc, error["loc"]) for loc in wrong))
    ]


def explain(error: dict[str, Any], lines: Lines) -> str:
    keys = tuple(str(part) for part in error["loc"])
    line = _line_of(keys, lines)
    key = ".".join(keys) or "recipe"
    at = f"line {line}: " if line else ""
    if error["type"] == "extra_forbidden":
        return f"{at}{key}: unknown key; {nearest(keys[-1], _known_keys(error['loc'][:-1]))}"
    if error["type"] == "union_tag_invalid":
        expected = [name.strip(" '") for name in error["ctx"]["expected_tags"].split(",")]
        given = error["input"].get("name") if isinstance(error["input"], dict) else None
        return f"{at}{key}.name: unknown name {short(given)}; {nearest(str(given), expected)}"
    if error["type"] == "union_tag_not_found":
        return f"{at}{key}: says no name"
    if error["type"] == "missing" and (choices := _choices(error["loc"])):
        return f"{at}{key}: is missing; one of {', '.join(choices)}"
    given = "" if error["type"] == "missing" else f" (given: {short(error['input'])})"
    return f"{at}{key}: {plainly(error)}{given}"


def short(value: Any) -> str:
    """A value as it would appear in a recipe."""
    try:
        text = repr(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, TypeError, RecursionError):
        text = type(value).__name__
    return text if len(text) <= 60 else f"{text[:57]}..."


def _line_of(keys: tuple[str, ...], lines: Lines) -> int | None:
    """Line of the deepest part of the path that the document holds.

    It does not hold the tags of unions, nor what an arm got from `pretrain`.
    """
    candidates = [keys]
    if keys[:1] == ("arms",):
        candidates.append(("pretrain", *keys[2:]))
    best: tuple[int, int] | None = None
    for candidate in candidates:
        line, current = None, ()
        for key in candidate:
            if (*current, key) in lines:
                current = (*current, key)
                line = lines[current]
        if line and (best is None or len(current) > best[0]):
            best = (len(current), line)
    return best[1] if best else None


def _known_keys(location: tuple[str | int, ...]) -> list[str]:
    """The keys that the model at an error's location knows."""
    candidates: list[Any] = [Recipe]
    for part in location:
        # the tag of a union is no key: it names one of the candidates
        candidates = [child for kind in candidates for child in _children(kind, part)] or candidates
    return sorted({key for kind in candidates if _is_settings(kind) for key in kind.model_fields})


def _choices(location: tuple[str | int, ...]) -> list[str]:
    """The values that a key may have, where they are a fixed list."""
    candidates: list[Any] = [Recipe]
    for part in location:
        candidates = [child for kind in candidates for child in _children(kind, part)]
    literals = [kind for kind in candidates if typing.get_origin(kind) is typing.Literal]
    return [str(value) for kind in literals for value in typing.get_args(kind)]


def _below(inner: tuple[str | int, ...], outer: tuple[str | int, ...]) -> bool:
    return len(inner) > len(outer) and inner[: len(outer)] == outer


def _is_settings(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Settings)


def _children(kind: Any, part: str | int) -> list[Any]:
    if _is_settings(kind):
        if part in kind.model_fields:
            return _members(kind.model_fields[str(part)].rebuild_annotation())
        # the tag of a discriminated union: it names the member, which is where we already are
        name = kind.model_fields.get("name")
        return [kind] if name is not None and name.default == part else []
    if typing.get_origin(kind) is typing.Literal:
        return []
    arguments = [argument for argument in typing.get_args(kind) if argument is not Ellipsis]
    return _members(arguments[-1]) if arguments else []


def _members(annotation: Any) -> list[Any]:
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        plain, *more = typing.get_args(annotation)
        lists = [one.settings() for one in more if isinstance(one, plugins.AnyOf)]
        return lists[0] if lists else _members(plain)
    if origin in {typing.Union, types.UnionType}:
        return [member for argument in typing.get_args(annotation) for member in _members(argument)]
    return [annotation]
