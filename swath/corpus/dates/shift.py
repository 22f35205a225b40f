"""Dates at equal distances, shifted by a random number of days at every location.

SeCo and SSL4EO-S12: so that a corpus does not show every place in the same few weeks. SSL4EO-S12: four dates, windows
of ± 15 days, shift up to a year; SeCo: five dates, ± 7.5 days.
"""

import datetime as dt
import hashlib
from typing import Literal

from pydantic import Field

from swath.corpus.dates._types import Window, around
from swath.settings import PluginSettings, Seed


class Config(PluginSettings):
    """Settings of the rule."""

    name: Literal["shift"] = "shift"
    until: dt.date
    """The latest date of a location that is not shifted."""
    count: int = Field(default=4, ge=1, le=100)
    """Dates a location."""
    spacing_days: float = Field(default=91.25, gt=0)
    days: float = Field(default=15, ge=0)
    """Before and after a date."""
    most_days: int = Field(default=365, ge=0)
    """Largest shift, towards the past."""
    seed: Seed = 0


def windows(config: Config, uid: str) -> tuple[Window, ...]:
    """One window a date, latest first; tags `0`, `1`, ..."""
    digest = hashlib.blake2b(f"{config.seed} {uid}".encode(), digest_size=8).digest()
    shift = int.from_bytes(digest, "little") % (config.most_days + 1)
    latest = config.until - dt.timedelta(days=shift)
    dates = [latest - dt.timedelta(days=round(number * config.spacing_days)) for number in range(config.count)]
    return tuple(Window(str(number), (around(date, config.days),)) for number, date in enumerate(dates))
