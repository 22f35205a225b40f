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
    """Dates at equal distances that end at a day of the location's own, drawn at random: SeCo, SSL4EO-S12."""

    name: Literal["shift"] = "shift"
    until: dt.date
    """The latest date of a location whose shift is 0."""
    count: int = Field(default=4, ge=1, le=100)
    """Number of dates per location."""
    spacing_days: float = Field(default=91.25, gt=0)
    days: float = Field(default=15, ge=0)
    """Days before and after each date that are searched."""
    most_days: int = Field(default=365, ge=0)
    """Largest shift towards the past, in days."""
    seed: Seed = 0


def windows(config: Config, uid: str) -> tuple[Window, ...]:
    """A window for each date, the latest first, with the tags `0`, `1`, ..."""
    digest = hashlib.blake2b(f"{config.seed} {uid}".encode(), digest_size=8).digest()
    shift = int.from_bytes(digest, "little") % (config.most_days + 1)
    latest = config.until - dt.timedelta(days=shift)
    dates = [latest - dt.timedelta(days=round(number * config.spacing_days)) for number in range(config.count)]
    return tuple(Window(str(number), (around(date, config.days),)) for number, date in enumerate(dates))
