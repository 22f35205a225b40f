"""`a.b=value` texts put over a recipe."""

from typing import Any

from swath import _yaml
from swath.config._clearer import own_path
from swath.config._messages import short
from swath.errors import RecipeError


def apply_override(document: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys) or len(keys) > _yaml.DEEPEST:
        raise RecipeError(
            f"cannot understand the override {short(override)}",
            remedy="write key.key=value, such as training.epochs=5",
        )
    keys = list(own_path(tuple(keys)))
    value, _ = _yaml.read(text, f"the override {short(override)}")
    section: Any = document
    for depth, key in enumerate(keys[:-1]):
        section = _step(section, key, ".".join(keys[: depth + 1]))
    if isinstance(section, list):
        section[_index(section, keys[-1], path)] = value
    else:
        section[keys[-1]] = value


def _step(section: Any, key: str, path: str) -> Any:
    if isinstance(section, list):
        return section[_index(section, key, path)]
    child = section.get(key)
    if child is None:
        child = section[key] = {}
    if not isinstance(child, dict | list):
        raise RecipeError(f"{path} is {short(child)}, which has no keys below it", remedy=f"override {path} itself")
    return child


def _index(section: list[Any], key: str, path: str) -> int:
    if not (key.isascii() and key.isdigit()) or len(key) > 6 or int(key) >= len(section):
        raise RecipeError(f"{path}: {key!r} is not a position in a list of {len(section)}", remedy="count from 0")
    return int(key)
