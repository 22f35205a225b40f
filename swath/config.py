"""Recipes: typed, strict, and resolved to exactly defaults + document + overrides.

A recipe names things (`method: {name: byol}`), never import paths, so reading one runs no code of its author's.
"""

import hashlib
import json
import types
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from swath import _yaml, plugins
from swath._files import LONGEST
from swath._yaml import Lines
from swath.corpus.split import SplitConfig
from swath.corpus.subset import Only
from swath.errors import RecipeError, nearest
from swath.recipes import source_text
from swath.settings import Seed, Settings, plainly
from swath.tasks import TaskConfig
from swath.training.config import TrainConfig

if TYPE_CHECKING:
    SourceConfig: TypeAlias = Settings
    MethodConfig: TypeAlias = Settings
    ViewsConfig: TypeAlias = Settings
    EncoderConfig: TypeAlias = Settings
else:
    SourceConfig = plugins.union("swath.corpus.sources")
    MethodConfig = plugins.union("swath.methods")
    ViewsConfig = plugins.union("swath.views.policies")
    EncoderConfig = plugins.union("swath.encoders")


class CorpusConfig(Settings):
    """Where the chips are, and how to make them if they are not there yet."""

    path: Path | None = None
    """Folder of the corpus; the run's own folder if not given."""
    source: SourceConfig | None = None
    """How to make the corpus where it does not exist."""


class ArmConfig(Settings):
    """One way to pre-train an encoder."""

    encoder: EncoderConfig
    method: MethodConfig
    views: ViewsConfig
    training: TrainConfig = TrainConfig()
    only: Only = Field(default_factory=dict)
    """Of the training part only some locations: values by scalar column, such as `region: [france]`."""


class Recipe(Settings):
    """Everything about one experiment."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=LONGEST)
    """Names the run's folder."""
    description: str = ""
    """What is asked, for the report."""
    data: Path | None = None
    """Folder of the source data, for sources that read one: `data=PATH` on the command line."""
    seeds: list[Seed] = Field(default_factory=lambda: [0], min_length=1)
    """One pre-training and one probe per arm and seed."""
    corpus: CorpusConfig
    split: SplitConfig = SplitConfig()
    """Which locations train, validate and test; only the training part is ever pre-trained on."""
    rotate: bool = False
    """Cross-validate: each seed tests the next fold of `split` (pre-trained without it), and a round over all folds is
    one result. Needs folds, and a multiple of their number of seeds."""
    arms: dict[str, ArmConfig] = Field(default_factory=dict)
    """The encoders to compare, by name; `pretrain` holds what they have in common."""
    tasks: dict[str, TaskConfig] = Field(default_factory=dict)
    """What the encoders are judged on, by name."""

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) != len(seeds):
            raise ValueError("seeds must differ from each other")
        return seeds

    @field_validator("arms", "tasks")
    @classmethod
    def _are_folder_names(cls, named: dict[str, Any]) -> dict[str, Any]:
        for name in named:
            if not is_name(name):
                raise ValueError(
                    f"{name[:60]!r} is not a usable name: letters, digits, '-' and '_' only, {LONGEST} bytes at most"
                )
        return named

    @model_validator(mode="after")
    def _has_folds_to_rotate(self) -> "Recipe":
        if self.rotate and self.split.fold is None:
            raise ValueError("rotate needs folds: give split.folds and split.fold: 0, or by: column with fold: 0")
        return self

    @model_validator(mode="after")
    def _floors_are_of_its_arms(self) -> "Recipe":
        for name, task in self.tasks.items():
            for arm in task.floor_arms:
                if arm not in self.arms:
                    raise ValueError(f"tasks.{name}.floor_arms: no arm {arm!r}; {nearest(arm, list(self.arms))}")
        return self

    @model_validator(mode="after")
    def _has_chips(self) -> "Recipe":
        if self.corpus.path is None and self.corpus.source is None:
            raise ValueError("corpus: give a path, a source, or both")
        return self

    @property
    def digest(self) -> str:
        """Hash of the resolved recipe without the place of its data."""
        content = self.model_dump(mode="json", exclude={"data"})
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def is_name(text: str) -> bool:
    """Whether an arm or a task may be called that: letters, digits, '-' and '_', and not too long for a file's name."""
    return text.replace("-", "").replace("_", "").isalnum() and len(text.encode()) <= LONGEST


def load(recipe: str | Path, overrides: list[str] | None = None) -> Recipe:
    """Read, override and validate a recipe.

    Args:
        recipe: name of a shipped recipe, or path of a YAML file.
        overrides: `a.b=value` each, the value in YAML, applied before arms are completed from `pretrain`.

    Raises:
        RecipeError: with the line of the document, and the nearest known name where one is unknown.
    """
    where, text = source_text(recipe)
    document, lines = _parse(text, where)
    for override in overrides or []:
        _override(document, override)
    return resolve(document, where, lines)


def resolve(document: dict[str, Any], where: str = "recipe", lines: Lines | None = None) -> Recipe:
    """Complete every arm from `pretrain` and validate the whole.

    Raises:
        RecipeError: everything that is wrong, one line each.
    """
    document = dict(document)
    common = _section(document.pop("pretrain", None), "pretrain", where)
    arms = _section(document.get("arms"), "arms", where) or ({"encoder": {}} if common else {})
    document["arms"] = {name: merge(common, _section(arm, f"arms.{name}", where)) for name, arm in arms.items()}
    try:
        # through JSON, so that validation is strict (no "3" for 3) and lists may still stand for tuples
        return Recipe.model_validate_json(json.dumps(document, default=str), strict=True)
    except ValidationError as error:
        raise RecipeError(
            "\n".join(_explain(e, lines or {}) for e in _causes([dict(e) for e in error.errors()])),
            where=where,
            remedy="`swath recipes schema` prints every key, `swath recipes show quickstart` an example",
        ) from None


def _section(value: Any, name: str, where: str) -> dict[str, Any]:
    """What `pretrain` or `arms` says, before both are one; nothing at all is an empty section."""
    if value is not None and not isinstance(value, dict):
        raise RecipeError(f"{name}: should be a mapping of keys to values (given: {_short(value)})", where=where)
    return value or {}


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
        _override(document, f"corpus.source.{override}")
    return resolve(document).corpus.source


def resolve_split(overrides: list[str]) -> SplitConfig:
    """Settings of a split from `key=value` texts alone, such as `by=block`.

    Raises:
        RecipeError: an unknown key or a value out of range.
    """
    document: dict[str, Any] = {"name": "split", "corpus": {"path": "."}, "split": {}}
    for override in overrides:
        _override(document, f"split.{override}")
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


def _override(document: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys) or len(keys) > _yaml.DEEPEST:
        raise RecipeError(
            f"cannot understand the override {_short(override)}",
            remedy="write key.key=value, such as training.epochs=5",
        )
    value, _ = _yaml.read(text, f"the override {_short(override)}")
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
        raise RecipeError(f"{path} is {_short(child)}, which has no keys below it", remedy=f"override {path} itself")
    return child


def _index(section: list[Any], key: str, path: str) -> int:
    if not (key.isascii() and key.isdigit()) or len(key) > 6 or int(key) >= len(section):
        raise RecipeError(f"{path}: {key!r} is not a position in a list of {len(section)}", remedy="count from 0")
    return int(key)


def _causes(errors: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without what follows from the rest.

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


def _below(inner: tuple[str | int, ...], outer: tuple[str | int, ...]) -> bool:
    return len(inner) > len(outer) and inner[: len(outer)] == outer


def _explain(error: dict[str, Any], lines: Lines) -> str:
    keys = tuple(str(part) for part in error["loc"])
    line = _line_of(keys, lines)
    place = ".".join(keys) or "recipe"
    at = f"line {line}: " if line else ""
    if error["type"] == "extra_forbidden":
        return f"{at}{place}: unknown key; {nearest(keys[-1], _known_keys(error['loc'][:-1]))}"
    if error["type"] == "union_tag_invalid":
        expected = [name.strip(" '") for name in error["ctx"]["expected_tags"].split(",")]
        given = error["input"].get("name") if isinstance(error["input"], dict) else None
        return f"{at}{place}.name: unknown name {_short(given)}; {nearest(str(given), expected)}"
    if error["type"] == "union_tag_not_found":
        return f"{at}{place}: says no name"
    if error["type"] == "missing" and (choices := _choices(error["loc"])):
        return f"{at}{place}: is missing; one of {', '.join(choices)}"
    given = "" if error["type"] == "missing" else f" (given: {_short(error['input'])})"
    return f"{at}{place}: {plainly(error)}{given}"


def _short(value: Any) -> str:
    """A value as it would stand in a recipe."""
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
        found, current = None, ()
        for key in candidate:
            if (*current, key) in lines:
                current = (*current, key)
                found = lines[current]
        if found and (best is None or len(current) > best[0]):
            best = (len(current), found)
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


def _is_settings(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Settings)


def _children(kind: Any, part: str | int) -> list[Any]:
    if _is_settings(kind):
        if part in kind.model_fields:
            return _members(kind.model_fields[str(part)].annotation)
        # the tag of a discriminated union: it names the member, which is where we already are
        return [kind] if getattr(kind.model_fields.get("name"), "default", None) == part else []
    if typing.get_origin(kind) is typing.Literal:
        return []
    arguments = [argument for argument in typing.get_args(kind) if argument is not Ellipsis]
    return _members(arguments[-1]) if arguments else []


def _members(annotation: Any) -> list[Any]:
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _members(typing.get_args(annotation)[0])
    if origin in {typing.Union, types.UnionType}:
        return [member for argument in typing.get_args(annotation) for member in _members(argument)]
    return [annotation]
