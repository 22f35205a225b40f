"""A location while it is being built: what was looked up for it, and the resulting chips and failures."""

import datetime as dt
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Shaped
from numpy import ndarray

from swath.corpus.dates import Window
from swath.corpus.sources.stac._hosts import Patience
from swath.corpus.sources.stac._read import LocationGrid
from swath.corpus.sources.stac._section import Product, StacSection
from swath.corpus.store import Chip, Location, SensorLayout


@dataclass(frozen=True, slots=True)
class Failure:
    """A chip that the corpus lacks, and the reason."""

    uid: str
    sensor: str
    window: str | None
    """Season, month or other tag; None also for an unusable item, whose window is unknown."""
    reason: str
    transient: bool
    """Whether another attempt may succeed, because a host did not answer."""
    lon: float
    lat: float


@dataclass(frozen=True, slots=True)
class Clouds:
    """A mask's statement about an acquisition."""

    cloudy: Bool[ndarray, "y x"]
    unknown: Bool[ndarray, "y x"]
    """True where the mask says nothing."""

    @property
    def share(self) -> float:
        """Share of the chip that is known to be cloudy, 0 to 1."""
        return float(self.cloudy.mean())


class UnusableError(Exception):
    """An acquisition that cannot become a chip, and the reason."""


@dataclass(slots=True)
class Site:
    """A location, and everything that is looked up for it."""

    section: StacSection
    layouts: dict[str, SensorLayout]
    """How each sensor is stored."""
    location: Location
    grid: LocationGrid
    patience: Patience
    chosen: dict[tuple[str, str | None], dt.datetime] = field(default_factory=dict)
    """Time at which a sensor's chip of a window was taken, which radar follows."""
    masks: dict[tuple[str, str], "Clouds | None"] = field(default_factory=dict)
    """Cloud masks by sensor and acquisition, so that a mask that was compared is not made again."""
    counts: dict[str, Shaped[ndarray, "y x"]] = field(default_factory=dict)
    """Counts by file address in the current window: bands that a mask was made from are not read again for the chip."""
    chips: list[Chip] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    malformed: dict[tuple[str, str], Failure] = field(default_factory=dict)
    """Items that cannot be used, by sensor and reason; no chip is missing for that alone."""

    def fail(self, product: Product, window: Window, reason: str, *, transient: bool = False) -> None:
        """Record that a chip is missing, and why."""
        self.failures.append(self._failure(product, window.tag, reason, transient))

    def leave_out(self, product: Product, reason: str) -> None:
        """Record an unusable item, once, however often it is found."""
        self.malformed[product.sensor, reason] = self._failure(product, None, reason, transient=False)

    def _failure(self, product: Product, tag: str | None, reason: str, transient: bool) -> Failure:
        lon, lat = self.location.lonlat or (np.nan, np.nan)
        return Failure(self.location.uid, product.sensor, tag, reason, transient, lon, lat)
