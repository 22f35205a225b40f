"""The windows of a raster: what each is written for, and the margin around it that a network sees as well."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """A rectangle of a raster, in pixels."""

    row: int
    column: int
    height: int
    width: int

    def inside(self, outer: "Span") -> tuple[slice, slice]:
        """Rows and columns of this rectangle in an array of a larger one."""
        top, left = self.row - outer.row, self.column - outer.column
        return slice(top, top + self.height), slice(left, left + self.width)


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of a raster that is written at once, and is written once."""

    number: int
    """Position in the order of all tiles, row by row."""
    core: Span
    """What is written."""


def tiles(shape: tuple[int, int], px: int) -> Iterator[Tile]:
    """Squares of `px` pixels that cover a raster of this height and width, row by row; smaller ones at the edge."""
    corners = ((row, column) for row in range(0, shape[0], px) for column in range(0, shape[1], px))
    for number, (row, column) in enumerate(corners):
        yield Tile(number, Span(row, column, min(px, shape[0] - row), min(px, shape[1] - column)))
