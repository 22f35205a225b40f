"""Names of plug-ins as values of settings."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic_core import core_schema


@dataclass(frozen=True)
class OneOf:
    """Annotation for a setting that takes one of some names, which are looked up when settings are first validated."""

    names: Callable[[], list[str]]

    def __get_pydantic_core_schema__(self, *_: Any) -> core_schema.CoreSchema:
        return core_schema.literal_schema(self.names())
