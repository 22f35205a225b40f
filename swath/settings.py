"""The strict base of everything that a recipe can say."""

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Seed = Annotated[int, Field(ge=0, lt=2**32)]
"""Of random numbers: what every library takes."""


class Settings(BaseModel):
    """A part of a recipe: unknown keys are errors, values keep their type, and nothing changes after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)


def differences(was: Any, now: Any, path: str = "") -> Iterator[str]:
    """Every leaf in which two nested settings differ, as `a.b: was 1, is 2`."""
    if isinstance(was, dict) and isinstance(now, dict):
        for key in {**was, **now}:
            yield from differences(was.get(key), now.get(key), f"{path}.{key}" if path else key)
    elif was != now:
        yield f"{path}: was {was}, is {now}"
