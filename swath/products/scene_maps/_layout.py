"""Overlapping windows over a raster, what each of them is for, and with what weights they are joined.

Neighbours share a strip of `overlap` pixels. Its outer quarter on either side is not used: there a network sees the
window's border. In between one weight falls from 1 to 0 as the other rises, so that weights sum to 1 at every pixel. A
window owns what lies between its own start and that of the next one; the rest of it goes to those to the right and
below.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from swath.errors import RecipeError
from swath.products.windows import Span

UNUSED = 4
"""Share of the overlap, as its divisor, next to a window's border that has no weight."""


@dataclass(frozen=True)
class Layout:
    """The windows of a raster, in pixels of what is written."""

    height: int
    width: int
    window: int
    """Side of a window; those at the right and lower edge are smaller."""
    overlap: int = 0
    """Pixels that neighbours share."""
    multiple: int = 1
    """Windows begin and end at multiples of so many pixels, so that a network that halves its input sees the same
    positions as in the whole raster. The last ones may reach beyond the raster."""
    fixed: bool = False
    """All windows have the whole size, however far the last ones reach beyond the raster."""

    def __post_init__(self) -> None:
        if self.window % self.multiple or self.overlap % self.multiple or not 0 <= 2 * self.overlap < self.window:
            raise RecipeError(
                f"windows of {self.window} pixels that share {self.overlap} cannot be laid",
                where="window, overlap",
                remedy=f"give multiples of {self.multiple} pixels, the overlap less than half of the window",
            )

    @cached_property
    def rows(self) -> list[tuple[int, int]]:
        """First pixel and length of the windows from top to bottom."""
        return list(self._axis(self.height))

    @cached_property
    def columns(self) -> list[tuple[int, int]]:
        """First pixel and length of the windows from left to right."""
        return list(self._axis(self.width))

    def _axis(self, size: int) -> Iterator[tuple[int, int]]:
        start = 0
        while True:
            rest = -(-(size - start) // self.multiple) * self.multiple
            yield start, self.window if self.fixed else min(self.window, rest)
            start += self.window - self.overlap
            if size - start <= self.overlap:
                return

    def __len__(self) -> int:
        return len(self.rows) * len(self.columns)

    def position(self, number: int) -> tuple[int, int]:
        """Row and column of a window among the windows."""
        return divmod(number, len(self.columns))

    def number(self, row: int, column: int) -> int | None:
        """Number of the window in that row and column of windows; None where there is none."""
        inside = 0 <= row < len(self.rows) and 0 <= column < len(self.columns)
        return row * len(self.columns) + column if inside else None

    def span(self, number: int) -> Span:
        """What the network sees of the raster, or beyond it."""
        row, column = self.position(number)
        (top, height), (left, width) = self.rows[row], self.columns[column]
        return Span(top, left, height, width)

    def owned(self, number: int) -> Span:
        """What the window is written for."""
        row, column = self.position(number)
        top, bottom = _between(self.rows, row, self.height)
        left, right = _between(self.columns, column, self.width)
        return Span(top, left, bottom - top, right - left)

    def before(self, number: int) -> tuple[int | None, int | None, int | None]:
        """The windows to the left, above, and above to the left: those that share what this one owns."""
        row, column = self.position(number)
        return self.number(row, column - 1), self.number(row - 1, column), self.number(row - 1, column - 1)

    def after(self, number: int) -> list[int]:
        """The window itself and those that have it before them."""
        row, column = self.position(number)
        around = [self.number(row + down, column + right) for down in (0, 1) for right in (0, 1)]
        return [one for one in around if one is not None]

    def weights(self, number: int) -> Float32[ndarray, "h w"]:
        """The weight of each of a window's pixels."""
        row, column = self.position(number)
        down = self._taper(self.rows[row][1], row > 0, row + 1 < len(self.rows))
        across = self._taper(self.columns[column][1], column > 0, column + 1 < len(self.columns))
        return down[:, None] * across[None]

    def _taper(self, length: int, has_before: bool, has_after: bool) -> Float32[ndarray, " n"]:
        weight = np.ones(length, np.float32)
        unused = self.overlap // UNUSED
        rising = np.clip((np.arange(self.overlap) + 0.5 - unused) / max(1, self.overlap - 2 * unused), 0, 1)
        if self.overlap and has_before:
            weight[: self.overlap] = rising
        if self.overlap and has_after:
            weight[-self.overlap :] = 1 - rising.astype(np.float32)
        return weight


def _between(axis: list[tuple[int, int]], position: int, end: int) -> tuple[int, int]:
    return axis[position][0], axis[position + 1][0] if position + 1 < len(axis) else end
