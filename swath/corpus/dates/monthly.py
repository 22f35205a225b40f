"""One acquisition a month."""

import datetime as dt
from itertools import pairwise
from typing import Literal

from pydantic import Field

from swath.corpus.dates._types import Window, day
from swath.settings import PluginSettings


class Config(PluginSettings):
    """The best acquisition of each month, from a first month on."""

    name: Literal["monthly"] = "monthly"
    start: str = Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")
    """First month, such as `2021-01`."""
    months: int = Field(default=12, ge=1, le=600)


def windows(config: Config, uid: str) -> tuple[Window, ...]:  # noqa: ARG001
    """One window for each month, whose tag is the month."""
    year, month = map(int, config.start.split("-"))
    numbers = [12 * year + month - 1 + offset for offset in range(config.months + 1)]
    firsts = [day(dt.date(number // 12, number % 12 + 1, 1)) for number in numbers]
    return tuple(Window(f"{a:%Y-%m}", ((a, b),)) for a, b in pairwise(firsts))
