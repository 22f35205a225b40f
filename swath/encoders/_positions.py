"""Where and when a token is, as numbers: sines and cosines of fixed frequencies."""

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from swath.batch import NO_DAY

YEAR_0 = 2000
"""Years are counted from here."""
MEAN_YEAR = 365.2425


def waves(values: Shaped[Tensor, "*n"], width: int) -> Float[Tensor, "*n w"]:
    """Sines, then cosines, of the values times 10000^(-i / (width / 2)), i from 0 on; `width` is even."""
    steps = torch.arange(width // 2, dtype=torch.float32, device=values.device)
    angles = values.float()[..., None] * 10_000.0 ** (-steps / (width // 2))
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


def of_grid(
    rows: int, columns: int, width: int, device: torch.device, scale: float | Float[Tensor, " b"] = 1.0
) -> Float[Tensor, "b n w"]:
    """Positions of patches, row by row: a half for the column, a half for the row (MAE); `width` is a multiple of 4.

    Args:
        rows: of patches.
        columns: of patches.
        width: how many numbers a position has.
        device: where they are wanted.
        scale: by what positions are multiplied, for all samples alike (then b is 1) or for each its own (Scale-MAE).
    """
    if isinstance(scale, Tensor):
        scale = scale[:, None]
    # ones of the sample axis, so that a number and a tensor of them are treated alike
    across, down = (torch.arange(size, device=device)[None] * scale for size in (columns, rows))
    x = waves(across, width // 2)[:, None].expand(-1, rows, -1, -1)
    y = waves(down, width // 2)[:, :, None].expand(-1, -1, columns, -1)
    return torch.cat([x, y], dim=-1).flatten(1, 2)


def of_days(days: Int[Tensor, "b t"], width: int) -> Float[Tensor, "b t w"]:
    """The year, from 2000 on, in one half, the month with its fraction, 0 to 12, in the other; 0 where unknown."""
    year, month = year_and_month(days)
    said = torch.cat([waves(part, width // 2) for part in (year, month)], dim=-1)
    return said.masked_fill((days == NO_DAY)[..., None], 0.0)


def year_and_month(days: Int[Tensor, "*n"]) -> tuple[Float[Tensor, "*n"], Float[Tensor, "*n"]]:
    """Years since 2000, and twelfths of the year that have passed, of days since 1970-01-01."""
    days = days.long()
    year = 1970 + (days / MEAN_YEAR).floor().long()
    year = year - (days < _first_day(year)).long()  # the mean year is off by a day at most
    year = year + (days >= _first_day(year + 1)).long()
    first = _first_day(year)
    return (year - YEAR_0).float(), 12.0 * (days - first) / (_first_day(year + 1) - first)


def _first_day(year: Int[Tensor, "*n"]) -> Int[Tensor, "*n"]:
    """Days from 1970-01-01 to the first of January of a year."""
    before = year - 1
    return 365 * (year - 1970) + before // 4 - before // 100 + before // 400 - 477
