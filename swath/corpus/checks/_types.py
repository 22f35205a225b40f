"""What a kind of check hands back: findings, and what was measured, as plain data that a page can show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from jaxtyping import Float, UInt8
from numpy import ndarray


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
    """How often something has which size."""

    title: str
    unit: str
    """Of the horizontal axis."""
    values: Mapping[str, Float[ndarray, " _"]]
    """By series, such as one a sensor."""


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """Something over something, such as reflectance over wavelength."""

    title: str
    x_unit: str
    y_unit: str
    lines: Mapping[str, tuple[Float[ndarray, " n"], Float[ndarray, " n"]]]
    """x and y by series."""


@dataclass(frozen=True, slots=True, eq=False)
class Offsets:
    """Displacements in the plane."""

    title: str
    unit: str
    points: Float[ndarray, "n 2"]
    """Down and right, one a location."""
    centre: tuple[float, float]
    """Down and right, of all together."""
    limit: float
    """Radius up to which a displacement is accepted."""


@dataclass(frozen=True, slots=True, eq=False)
class Gallery:
    """Pictures beside one another."""

    title: str
    pictures: Sequence[tuple[str, UInt8[ndarray, "y x 3"]]]
    """Caption and picture."""


Chart = Histogram | Lines | Offsets | Gallery


@dataclass(frozen=True, slots=True, eq=False)
class Section:
    """The outcome of one kind of check."""

    title: str
    meaning: str
    """One or two sentences: what is looked at, and how to read it."""
    findings: list[Finding] = field(default_factory=list)
    table: list[dict[str, Any]] = field(default_factory=list)
    """Rows with the same keys; values are strings, numbers or None."""
    charts: Sequence[Chart] = ()
    idle: str = ""
    """Why nothing was looked at, if that is so: nothing found is then no praise."""
