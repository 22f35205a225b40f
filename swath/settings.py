"""The strict base of everything that a recipe can say."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """A part of a recipe: unknown keys are errors, values keep their type, and nothing changes after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)
