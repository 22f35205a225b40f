"""From the text of a recipe to the typed recipe, and back."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from swath import _yaml
from swath._yaml import Lines
from swath.config._clearer import own_names, with_clearer_names
from swath.config._messages import causes, explain, short
from swath.config._overrides import apply_override
from swath.config._recipe import Recipe
from swath.corpus.splits import SplitConfig
from swath.errors import RecipeError
from swath.recipes import source_text
from swath.sensors import SensorDefinition, load_file
from swath.sensors import read as read_sensors
from swath.sweep import SweepConfig, arms_of

_DUMPER = yaml.CSafeDumper if yaml.__with_libyaml__ else yaml.SafeDumper
"""libyaml writes the same text several times as fast."""


def load(
    recipe: str | Path,
    overrides: list[str] | None = None,
    sensors: Path | None = None,
    known: Mapping[str, SensorDefinition] | None = None,
) -> Recipe:
    """Read, override and validate a recipe.

    Args:
        recipe: name of a shipped recipe, or path of a YAML file.
        overrides: `a.b=value` each, the value in YAML, applied before arms are completed from `pretrain`.
        sensors: a YAML file of sensors of one's own, which stand in the recipe then as if its `sensors` held them.
        known: sensors of one's own that are known from elsewhere, such as an encoder's card; those that the recipe
            names and does not declare stand in it likewise.

    Raises:
        RecipeError: with the line of the document, and the nearest known name where one is unknown.
    """
    where, text = source_text(recipe)
    document, lines = _parse(text, where)
    if sensors is not None:
        document["sensors"] = _with_sensors_of(sensors, _section(document.get("sensors"), "sensors", where))
    for override in overrides or []:
        apply_override(document, override)
    declared = _section(document.get("sensors"), "sensors", where)
    if needed := {name: one for name, one in (known or {}).items() if name not in declared and _names(document, name)}:
        document["sensors"] = {name: one.model_dump(mode="json") for name, one in needed.items()} | declared
    return resolve(own_names(document, {}, where)[0], where, lines)


def complete(document: dict[str, Any], overrides: Sequence[str], where: str) -> Recipe:
    """Override and validate a document that was made instead of read.

    Args:
        document: what a recipe says; it is changed.
        overrides: as `load`.
        where: for messages.

    Raises:
        RecipeError: as `load`.
    """
    for override in overrides:
        apply_override(document, override)
    return resolve(own_names(document, {}, where)[0], where)


def load_sweep(
    recipe: str | Path, axes: Sequence[str], overrides: list[str] | None = None, sensors: Path | None = None
) -> Recipe:
    """Read a recipe as a sweep: over the axes that it states, or over those that are given here.

    Args:
        recipe: as `load`; where axes are given, of one arm, which all points of the sweep start from.
        axes: `key=[value, value]` each, the values in YAML.
        overrides: as `load`.
        sensors: as `load`.

    Raises:
        RecipeError: as `load`; there is no axis, or the recipe has several arms.
    """
    where, _ = source_text(recipe)
    if not axes:
        if (given := load(recipe, overrides, sensors)).sweep is None:
            raise RecipeError(
                "the recipe states no sweep",
                where=where,
                remedy="give --axis key=[value, value], such as --axis method=[simclr, byol]",
            )
        return given
    # claims are about arms, and there will be others
    resolved = load(recipe, [*(overrides or []), "claims=null"], sensors).model_dump(mode="json", exclude={"sweep"})
    if len(resolved["arms"]) != 1:
        raise RecipeError(
            f"the recipe has {len(resolved['arms'])} arms, and a sweep starts from one",
            where=where,
            remedy="state the sweep in a recipe of your own, with what arms have in common in pretrain",
        )
    (resolved["pretrain"],) = resolved.pop("arms").values()
    for task in resolved["tasks"].values():
        task["floor_arms"] = []
    named: dict[str, Any] = {}
    for axis in axes:
        key, equals, text = axis.partition("=")
        value, _ = _yaml.read(text, f"the axis {short(axis)}") if equals else (None, None)
        if not isinstance(value, list):
            raise RecipeError(f"cannot understand the axis {short(axis)}", remedy="write key=[value, value]")
        named[key.strip()] = value
    return resolve(resolved | {"sweep": {"axes": named}}, where)


def resolve(document: dict[str, Any], where: str = "recipe", lines: Lines | None = None) -> Recipe:
    """Complete every arm from `pretrain`, name the task of the k-NN gauge, and validate the whole.

    Raises:
        RecipeError: everything that is wrong, one line each.
    """
    document = dict(document)
    common = _section(document.pop("pretrain", None), "pretrain", where)
    if document.get("sweep") is not None:
        document["arms"] = _swept(document, common, where, lines or {})
    arms = _section(document.get("arms"), "arms", where) or ({"encoder": {}} if common else {})
    document["arms"] = {name: merge(common, _section(arm, f"arms.{name}", where)) for name, arm in arms.items()}
    document.setdefault("knn_task", next(iter(_section(document.get("tasks"), "tasks", where)), None))
    try:
        # through JSON, so that validation is strict (no "3" for 3) and lists may still stand for tuples
        return Recipe.model_validate_json(json.dumps(document, default=str), strict=True)
    except ValidationError as error:
        raise _explained(error, where, lines or {}) from None


def _explained(error: ValidationError, where: str, lines: Lines, below: tuple[str, ...] = ()) -> RecipeError:
    """Everything that is wrong, a line each; what is wrong with several arms in the same way is said once.

    Args:
        error: of a recipe, or of one of its sections.
        where: the document.
        lines: of its keys.
        below: keys that lead to the section.
    """
    errors = [dict(one) | {"loc": (*below, *one["loc"])} for one in error.errors()]
    once = {_regardless_of_arm(one): one for one in reversed(causes(errors))}
    return RecipeError(
        "\n".join(explain(one, lines) for one in reversed(once.values())),
        where=where,
        remedy="`swath recipes schema` prints every key, `swath recipes show quickstart` an example",
    )


def _regardless_of_arm(error: dict[str, Any]) -> str:
    keys = error["loc"][2:] if error["loc"][:1] == ("arms",) else error["loc"]
    return f"{keys} {error['type']} {error['msg']} {short(error['input'])}"


def _swept(document: dict[str, Any], common: dict[str, Any], where: str, lines: Lines) -> dict[str, Any]:
    """The arms of a sweep; those that a resolved recipe holds already stay.

    Raises:
        RecipeError: the sweep is wrong, or the recipe states arms of its own as well.
    """
    try:
        sweep = SweepConfig.model_validate_json(json.dumps(document["sweep"], default=str), strict=True)
    except ValidationError as error:
        raise _explained(error, where, lines, ("sweep",)) from None
    stated = _section(document.get("arms"), "arms", where)
    if not stated:
        return arms_of(sweep, common, merge)
    # of a fraction an earlier swath may have chosen others, and a run that has begun keeps its own
    if not sweep.combinations().keys() >= stated.keys() or len(stated) != len(sweep.points()):
        raise RecipeError(
            "arms: a sweep makes the arms, and the recipe states others",
            where=where,
            remedy="leave out arms, or sweep",
        )
    return stated


def _with_sensors_of(path: Path, declared: dict[str, Any]) -> dict[str, Any]:
    """The sensors of a file beside those that a recipe declares; declared at once, so that messages name its lines."""
    read_sensors(path)
    return load_file(path)[0] | declared


def _names(section: Any, sensor: str) -> bool:
    """Whether a document names a sensor, alone or in the key of a band."""
    if isinstance(section, dict | list):
        parts = [*section.keys(), *section.values()] if isinstance(section, dict) else section
        return any(_names(part, sensor) for part in parts)
    return isinstance(section, str) and (section == sensor or section.startswith(f"{sensor}/"))


def merge(common: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """`common` with everything that `own` says put over it, key by key.

    A section that names another plug-in than the common one replaces it whole: the settings of one method mean nothing
    to another. What a common section without a name says is common to all plug-ins.
    """
    merged = dict(common)
    for key, value in own.items():
        base = merged.get(key)
        if (
            isinstance(base, dict)
            and isinstance(value, dict)
            and base.get("name") in (None, value.get("name", base.get("name")))
        ):
            merged[key] = merge(base, value)
        else:
            merged[key] = value
    return merged


def dump(recipe: Recipe) -> str:
    """The resolved recipe as YAML that `load` reads back to the same recipe."""
    content = recipe.model_dump(mode="json")
    return yaml.dump(content, Dumper=_DUMPER, sort_keys=False, allow_unicode=True, width=110)


def resolve_source(name: str, overrides: list[str]) -> Any:
    """Settings of a corpus source from `key=value` texts alone.

    Raises:
        RecipeError: an unknown key or a value out of range.
    """
    document: dict[str, Any] = {"name": name, "corpus": {"source": {"name": name}}}
    for override in overrides:
        apply_override(document, f"corpus.source.{override}")
    return resolve(document).corpus.source


def load_source(path: Path) -> Recipe:
    """A recipe that makes the corpus that a YAML file describes: a recipe itself, or its `corpus.source` alone.

    Raises:
        RecipeError: as `load`; or there is no source.
    """
    where, text = source_text(path)
    document, _ = _parse(text, where)
    alone = {"name": "input", "corpus": {"source": document}}
    recipe = load(path) if "corpus" in document else resolve(alone, where)
    if recipe.corpus.source is None:
        raise RecipeError("it says no source", where=where, remedy="give the corpus itself: the folder of corpus.path")
    return recipe


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
    return with_clearer_names(Recipe.model_json_schema())


def _parse(text: str, where: str) -> tuple[dict[str, Any], Lines]:
    document, lines = _yaml.read(text, where)
    if not isinstance(document, dict):
        raise RecipeError(
            "the document is not a mapping of keys to values",
            where=where,
            remedy="start from `swath recipes show quickstart`",
        )
    return own_names(document, lines, where)


def _section(value: Any, name: str, where: str) -> dict[str, Any]:
    """The section `pretrain` or `arms` of a document, before both are merged; a missing one is empty."""
    if value is not None and not isinstance(value, dict):
        raise RecipeError(f"{name}: should be a mapping of keys to values (given: {short(value)})", where=where)
    return value or {}
