"""The strict base of everything that a recipe can say."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Seed = Annotated[int, Field(ge=0, lt=2**32)]
"""Of random numbers: what every library takes."""


class Settings(BaseModel):
    """A part of a recipe: unknown keys are errors, values keep their type, and nothing changes after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)
