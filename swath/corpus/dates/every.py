"""Every acquisition of a period: time series."""

import datetime as dt
from typing import Literal

from pydantic import model_validator

from swath.corpus.dates._types import Window, day
from swath.settings import PluginSettings


class Config(PluginSettings):
    """A time series: every acquisition between two days."""

    name: Literal["every"] = "every"
    start: dt.date
    """First day of the period."""
    end: dt.date
    """Last day of the period."""

    @model_validator(mode="after")
    def _forward(self) -> "Config":
        if self.end < self.start:
            raise ValueError(f"the period ends ({self.end}) before it starts ({self.start})")
        return self


def windows(config: Config, uid: str) -> tuple[Window, ...]:  # noqa: ARG001
    """A single window, of which all acquisitions are wanted."""
    return (Window(None, ((day(config.start), day(config.end) + dt.timedelta(days=1)),), every=True),)
