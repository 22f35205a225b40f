"""The strict base of everything that a recipe can say."""

from collections.abc import Iterator, Mapping
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


def differences(was: Any, now: Any, path: str = "") -> Iterator[str]:
    """Every leaf in which two nested settings differ, as `a.b: was 1, is 2`."""
    if isinstance(was, dict) and isinstance(now, dict):
        for key in {**was, **now}:
            yield from differences(was.get(key), now.get(key), f"{path}.{key}" if path else key)
    elif was != now:
        yield f"{path}: was {was}, is {now}"


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
