"""The strict base of everything that a recipe can say."""

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Seed = Annotated[int, Field(ge=0, lt=2**32)]
"""Seed of random numbers: the range that every library takes."""


class Settings(BaseModel):
    """A part of a recipe: unknown keys are errors, values keep their type, and nothing changes after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)


class PluginSettings(Settings):
    """Base of every plug-in's `Config`: `name` tells the plug-ins of a kind apart."""

    name: str
    """The module's name with hyphens; each `Config` narrows it to its own, `name: Literal["mine"] = "mine"`."""


class Counts(Enum):
    """For whether results are computed anew when a setting changes; one without a mark always counts.

    A mark stands in the setting's annotation: `metric: Annotated[str, Counts.NEVER]`.
    """

    NEVER = "never"
    """It changes no result, or each result that it changes says so itself."""
    WHERE_GIVEN = "where given"
    """It counts where it is not the default: what was computed before there was such a setting stays."""


def counting(settings: Settings) -> dict[str, Any]:
    """The settings that results depend on, as plain data, those in sections of their own too; see `Counts`."""
    said = settings.model_dump(mode="json")
    for name in said:
        if isinstance(section := getattr(settings, name), Settings) and isinstance(said[name], dict):
            said[name] = counting(section)
    return {name: value for name, value in said.items() if _counts(settings, name)}


def _counts(settings: Settings, name: str) -> bool:
    setting = type(settings).model_fields[name]
    if Counts.WHERE_GIVEN in setting.metadata:
        return getattr(settings, name) != setting.get_default(call_default_factory=True)
    return Counts.NEVER not in setting.metadata


def differences(was: Any, now: Any, path: str = "") -> Iterator[str]:
    """Every leaf in which two nested settings differ, as `a.b: was 1, is 2`."""
    if isinstance(was, dict) and isinstance(now, dict):
        for key in {**was, **now}:
            yield from differences(was.get(key), now.get(key), f"{path}.{key}" if path else str(key))
    elif _mappings(was) and _mappings(now) and len(was) == len(now):
        yield from differences(dict(enumerate(was)), dict(enumerate(now)), path)
    elif was != now:
        yield f"{path}: was {was}, is {now}"


def _mappings(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(one, dict) for one in value)


_WANTED = {
    ("string",): "should be text",
    ("int",): "should be a whole number",
    ("float",): "should be a number",
    ("bool",): "should be true or false",
    ("list", "tuple", "set"): "should be a list",
    ("dict", "model"): "should be a mapping of keys to values",
    ("finite",): "should be a finite number",
}
"""What pydantic calls a "valid array" or "object" in the words of a document."""


def plainly(error: Mapping[str, Any]) -> str:
    """What is wrong with a value, in the words of a document and not of pydantic, whose error it is."""
    if error["type"].endswith(("_type", "int_from_float", "_parsing", "finite_number")):
        kind = error["type"].partition("_")[0]
        for kinds, wanted in _WANTED.items():
            if kind in kinds:
                return wanted
    message = error["msg"].removeprefix("Value error, ").removesuffix(" after validation")
    message = message.replace(" after validation,", ",").replace("Dictionary", "The section").replace("Input", "It")
    return message[0].lower() + message[1:]
