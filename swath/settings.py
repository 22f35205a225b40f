"""The strict base class of all settings in a recipe."""

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Seed = Annotated[int, Field(ge=0, lt=2**32)]
"""Seed of random numbers, within the range that every library accepts."""


class Settings(BaseModel):
    """A section of a recipe: unknown keys are errors, values are not converted, nothing changes after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)


class PluginSettings(Settings):
    """Base of every plug-in's `Config`: `name` tells the plug-ins of a kind apart."""

    name: str
    """The module's name with hyphens; each `Config` narrows it to its own, `name: Literal["mine"] = "mine"`."""


class Counts(Enum):
    """Marks whether changing a setting makes finished results invalid; a setting without a mark always does.

    A mark stands in the setting's annotation: `metric: Annotated[str, Counts.NEVER]`.
    """

    NEVER = "never"
    """Changing it changes no result, or only results that record the change themselves."""
    WHERE_GIVEN = "where given"
    """It matters only where it differs from its default, so results from before the setting existed stay valid."""


def counting(settings: Settings) -> dict[str, Any]:
    """The settings that results depend on, as plain data, nested sections included; see `Counts`."""
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
    """Every leaf in which two nested mappings differ, worded `a.b: was 1, is 2`."""
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
"""Words for what pydantic calls a "valid array" or "object", as a user of YAML would say them."""


def plainly(error: Mapping[str, Any]) -> str:
    """What is wrong with a value according to pydantic, in the words of the user's document."""
    if error["type"].endswith(("_type", "int_from_float", "_parsing", "finite_number")):
        kind = error["type"].partition("_")[0]
        for kinds, wanted in _WANTED.items():
            if kind in kinds:
                return wanted
    message = error["msg"].removeprefix("Value error, ").removesuffix(" after validation")
    message = message.replace(" after validation,", ",").replace("Dictionary", "The section").replace("Input", "It")
    return message[0].lower() + message[1:]
