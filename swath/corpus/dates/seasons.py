"""One acquisition a season, around the equinoxes and solstices, of one year or of it and the years before.

SSL4EO-L: four dates of a year, each ± 30 days, in that year or the one before.
"""

import datetime as dt
from typing import Literal

from pydantic import Field, field_validator

from swath.corpus.dates._types import Window, around
from swath.settings import PluginSettings


class Config(PluginSettings):
    """The best acquisition around each of some dates of the year, by default the equinoxes and solstices."""

    name: Literal["seasons"] = "seasons"
    year: int = Field(ge=1972, le=2100)
    years: int = Field(default=2, ge=1, le=10)
    """How many years are searched, the last of which is `year`."""
    dates: tuple[str, ...] = Field(default=("03-20", "06-21", "09-23", "12-21"), min_length=1)
    """Month and day that a window is centred on; also the chips' tag."""
    days: float = Field(default=30, ge=0)
    """Days before and after each date that are searched."""

    @field_validator("dates")
    @classmethod
    def _exist(cls, dates: tuple[str, ...]) -> tuple[str, ...]:
        for date in dates:
            dt.date.fromisoformat(f"2023-{date}")
        return dates


def windows(config: Config, uid: str) -> tuple[Window, ...]:  # noqa: ARG001
    """A window for each date, with one period in each year."""
    years = range(config.year, config.year - config.years, -1)
    return tuple(
        Window(date, tuple(around(dt.date.fromisoformat(f"{year}-{date}"), config.days) for year in years))
        for date in config.dates
    )
