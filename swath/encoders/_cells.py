"""A picture of which only some square cells are looked at: what masked convolutions work on."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Which cells of each sample are seen. Those of a sample are stacked into one tall picture, a cell wide.

    On that picture, whatever works position by position, or on squares that no cell's edge cuts, gives what it gives on
    the seen part of the whole picture: layer norms, linear layers, sums over all positions, convolutions whose stride
    is their width. What looks further is given the cells where they belong, between zeros (`spread`), and its result is
    stacked again (`stack`): a submanifold sparse convolution.
    """

    kept: Int[Tensor, "b k"]
    """Positions of the seen cells of each sample, row by row."""
    grid: tuple[int, int]
    """Cells of a picture, down and across."""

    def stack(self, picture: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c _ _"]:
        """The seen cells of a whole picture, one below the other."""
        b, c, height, _ = picture.shape
        (down, across), side = self.grid, height // self.grid[0]
        cells = picture.permute(0, 2, 3, 1).reshape(b, down, side, across, side, c).transpose(2, 3)
        seen = cells.reshape(b * down * across, side, side, c).index_select(0, self._rows())
        return seen.view(b, self.kept.shape[1] * side, side, c).permute(0, 3, 1, 2)

    def spread(self, stacked: Float[Tensor, "b c s w"]) -> Float[Tensor, "b c _ _"]:
        """The whole picture, zero where it is not seen."""
        b, c, _, side = stacked.shape
        down, across = self.grid
        seen = stacked.permute(0, 2, 3, 1).reshape(-1, side, side, c)
        cells = seen.new_zeros(b * down * across, side, side, c).index_copy(0, self._rows(), seen)
        whole = cells.view(b, down, across, side, side, c).transpose(2, 3).reshape(b, down * side, across * side, c)
        return whole.permute(0, 3, 1, 2)

    def _rows(self) -> Int[Tensor, " n"]:
        """Positions of the seen cells among those of all samples."""
        first = torch.arange(len(self.kept), device=self.kept.device)[:, None] * (self.grid[0] * self.grid[1])
        return (first + self.kept).flatten()
