"""The interface of a kind of check, and its results: findings, and measurements that a page can show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from jaxtyping import Float, UInt8
from numpy import ndarray

from swath.corpus.checks._sample import Sample


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong (error) or may be (warning)."""

    level: Literal["error", "warning"]
    what: str
    where: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}\n  where: {self.where}\n  do:    {self.remedy}"


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Numbers of which a histogram is drawn."""

    title: str
    unit: str
    """Label of the horizontal axis: the measured quantity with its unit."""
    values: Mapping[str, Float[ndarray, " _"]]
    """Numbers by series, such as one series a sensor."""


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """Curves in one diagram, such as reflectance over wavelength."""

    title: str
    x_unit: str
    y_unit: str
    lines: Mapping[str, tuple[Float[ndarray, " n"], Float[ndarray, " n"]]]
    """x and y values by series."""


@dataclass(frozen=True, slots=True, eq=False)
class Offsets:
    """Displacements in the plane, drawn as points."""

    title: str
    unit: str
    points: Float[ndarray, "n 2"]
    """Displacement of each location: pixels down and pixels right."""
    centre: tuple[float, float]
    """Displacement of all locations together: pixels down and right."""
    limit: float
    """Radius up to which a displacement is accepted."""


@dataclass(frozen=True, slots=True, eq=False)
class Gallery:
    """Pictures shown side by side."""

    title: str
    pictures: Sequence[tuple[str, UInt8[ndarray, "y x 3"]]]
    """Caption and picture."""


Chart = Histogram | Lines | Offsets | Gallery


@dataclass(frozen=True, slots=True, eq=False)
class Section:
    """The outcome of one kind of check."""

    title: str
    meaning: str
    """One or two sentences on what was looked at, and how to read it."""
    findings: list[Finding] = field(default_factory=list)
    table: list[dict[str, Any]] = field(default_factory=list)
    """Rows with the same keys; values are strings, numbers or None."""
    charts: Sequence[Chart] = ()
    idle: str = ""
    """Why nothing was looked at, if so: then the absence of findings is no praise."""


@runtime_checkable
class CheckPlugin(Protocol):
    """A module of this folder, or one that an installed package offers."""

    STAGE: int
    """When it runs: 0 for the index and the arrays, 1 for the stored bytes, 2 for what they mean, 3 for what is only
    meaningful once the pixels are right."""

    def inspect(self, sample: Sample) -> Section:
        """Everything that this kind of check finds and measures in the chosen locations of a corpus."""
        ...
