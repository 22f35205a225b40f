"""Recipe keys that have a clearer alias beside the key that code and digests use."""

from typing import Any

from swath._yaml import Lines
from swath.errors import RecipeError

CLEARER = {"max_dates": "most"}
"""The alias of each key, for the largest number of dates of a series."""
_SECTIONS = (("pretrain", "views"), ("arms", "*", "views"), ("tasks", "*"))
"""Sections in which such keys occur; `*` is any name."""


def own_names(document: dict[str, Any], lines: Lines, where: str) -> tuple[dict[str, Any], Lines]:
    """A document in which every key has its own name, and its lines.

    Raises:
        RecipeError: a section says a key by both of its names.
    """
    renamed = _renamed(document, (), where)
    return renamed, {own_path(path): line for path, line in lines.items()}


def own_path(path: tuple[str, ...]) -> tuple[str, ...]:
    """The path of a key with aliases replaced."""
    return (*path[:-1], CLEARER[path[-1]]) if _may_be_clearer(path) else path


def with_clearer_names(schema: dict[str, Any]) -> dict[str, Any]:
    """A JSON schema in which the clearer names stand beside the keys."""
    for section in schema["$defs"].values():
        keys = section.get("properties", {})
        for clearer, own in CLEARER.items():
            if own in keys:
                keys[clearer] = keys[own] | {"description": f"The same as `{own}`, which it has to stand without."}
    return schema


def _renamed(section: Any, path: tuple[str, ...], where: str) -> Any:
    if not isinstance(section, dict):
        return section
    result: dict[str, Any] = {}
    for key, value in section.items():
        own = own_path((*path, key))[-1]
        if own in result:
            clearer = next(name for name in CLEARER if CLEARER[name] == own)
            raise RecipeError(f"{'.'.join(path)} says {own} and {clearer}, which are one key", where=where)
        result[own] = _renamed(value, (*path, key), where)
    return result


def _may_be_clearer(path: tuple[str, ...]) -> bool:
    return bool(path) and path[-1] in CLEARER and any(_fits(path[:-1], section) for section in _SECTIONS)


def _fits(path: tuple[str, ...], section: tuple[str, ...]) -> bool:
    return len(path) == len(section) and all(part in {"*", key} for key, part in zip(path, section, strict=True))
