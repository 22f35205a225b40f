"""From the text of a recipe to the typed recipe, and back."""

import json
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from swath import _yaml
from swath._yaml import Lines
from swath.config._messages import causes, explain, short
from swath.config._overrides import apply_override
from swath.config._recipe import Recipe
from swath.corpus.splits import SplitConfig
from swath.errors import RecipeError
from swath.recipes import source_text
from swath.sensors import load_file
from swath.sensors import read as read_sensors


def load(recipe: str | Path, overrides: list[str] | None = None, sensors: Path | None = None) -> Recipe:
    """Read, override and validate a recipe.

    Args:
        recipe: name of a shipped recipe, or path of a YAML file.
        overrides: `a.b=value` each, the value in YAML, applied before arms are completed from `pretrain`.
        sensors: a YAML file of sensors of one's own, which stand in the recipe then as if its `sensors` held them.

    Raises:
        RecipeError: with the line of the document, and the nearest known name where one is unknown.
    """
    where, text = source_text(recipe)
    document, lines = _parse(text, where)
    if sensors is not None:
        document["sensors"] = _with_sensors_of(sensors, _section(document.get("sensors"), "sensors", where))
    for override in overrides or []:
        apply_override(document, override)
    return resolve(document, where, lines)


def resolve(document: dict[str, Any], where: str = "recipe", lines: Lines | None = None) -> Recipe:
    """Complete every arm from `pretrain`, name the task of the k-NN gauge, and validate the whole.

    Raises:
        RecipeError: everything that is wrong, one line each.
    """
    document = dict(document)
    common = _section(document.pop("pretrain", None), "pretrain", where)
    arms = _section(document.get("arms"), "arms", where) or ({"encoder": {}} if common else {})
    document["arms"] = {name: merge(common, _section(arm, f"arms.{name}", where)) for name, arm in arms.items()}
    document.setdefault("knn_task", next(iter(_section(document.get("tasks"), "tasks", where)), None))
    try:
        # through JSON, so that validation is strict (no "3" for 3) and lists may still stand for tuples
        return Recipe.model_validate_json(json.dumps(document, default=str), strict=True)
    except ValidationError as error:
        raise RecipeError(
            "\n".join(explain(e, lines or {}) for e in causes([dict(e) for e in error.errors()])),
            where=where,
            remedy="`swath recipes schema` prints every key, `swath recipes show quickstart` an example",
        ) from None


def _with_sensors_of(path: Path, declared: dict[str, Any]) -> dict[str, Any]:
    """The sensors of a file beside those that a recipe declares; declared at once, so that messages name its lines."""
    read_sensors(path)
    return load_file(path)[0] | declared


def merge(common: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """`common` with everything that `own` says put over it, key by key.

    A section that names another plug-in replaces the common section whole: the settings of one method mean nothing to
    another.
    """
    merged = dict(common)
    for key, value in own.items():
        base = merged.get(key)
        if (
            isinstance(base, dict)
            and isinstance(value, dict)
            and value.get("name", base.get("name")) == base.get("name")
        ):
            merged[key] = merge(base, value)
        else:
            merged[key] = value
    return merged


def dump(recipe: Recipe) -> str:
    """The resolved recipe as YAML that `load` reads back to the same recipe."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=110)


def resolve_source(name: str, overrides: list[str]) -> Any:
    """Settings of a corpus source from `key=value` texts alone.

    Raises:
        RecipeError: an unknown key or a value out of range.
    """
    document: dict[str, Any] = {"name": name, "corpus": {"source": {"name": name}}}
    for override in overrides:
        apply_override(document, f"corpus.source.{override}")
    return resolve(document).corpus.source


def resolve_split(overrides: list[str]) -> SplitConfig:
    """Settings of a split from `key=value` texts alone, such as `by=block`.

    Raises:
        RecipeError: an unknown key or a value out of range.
    """
    document: dict[str, Any] = {"name": "split", "corpus": {"path": "."}, "split": {}}
    for override in overrides:
        apply_override(document, f"split.{override}")
    return resolve(document).split


def schema() -> dict[str, Any]:
    """JSON schema of a resolved recipe, for editors."""
    return Recipe.model_json_schema()


def _parse(text: str, where: str) -> tuple[dict[str, Any], Lines]:
    document, lines = _yaml.read(text, where)
    if not isinstance(document, dict):
        raise RecipeError(
            "the document is not a mapping of keys to values",
            where=where,
            remedy="start from `swath recipes show quickstart`",
        )
    return document, lines


def _section(value: Any, name: str, where: str) -> dict[str, Any]:
    """What `pretrain` or `arms` says, before both are one; nothing at all is an empty section."""
    if value is not None and not isinstance(value, dict):
        raise RecipeError(f"{name}: should be a mapping of keys to values (given: {short(value)})", where=where)
    return value or {}
