"""What a corpus knows of an image beside its pixels, as a method predicts it."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from swath.batch import NO_DAY, View

NONE = -1
"""Instead of a class, where none is known."""
_ERA = 146_097
"""Days in 400 years."""


@dataclass(frozen=True, slots=True)
class Target:
    """Something to predict, with what the locations that are trained on say of it."""

    name: str
    kind: Literal["map", "layer", "class", "numbers", "month", "latitude", "longitude"]
    """As `swath.views.Wanted` says it."""
    of: tuple[str, ...] = ()
    """Likewise."""
    codes: tuple[float, ...] = ()
    """What stands for each class of a layer or of a column, ascending."""
    mean: tuple[float, ...] = ()
    """Mean of each number of the other kinds, or of each band of a map."""
    std: tuple[float, ...] = ()
    """Standard deviation of these."""

    @property
    def size(self) -> int:
        """How many numbers say it, of a pixel or of the image: logits, or values."""
        return len(self.codes or self.mean)

    @property
    def of_pixels(self) -> bool:
        """Whether every pixel has its own."""
        return self.kind in ("map", "layer")


def classes(values: Tensor, codes: Tensor) -> Int[Tensor, "..."]:
    """Positions in the ascending codes; NONE for whatever is not among them, NaN too."""
    place = torch.searchsorted(codes, values.contiguous()).clamp(max=len(codes) - 1)
    return place.masked_fill(codes[place] != values, NONE)


def numbers(target: Target, view: View) -> Float64[Tensor, "b k"]:
    """The values of a target that is of the image as a whole and no class; NaN where unknown."""
    if target.kind == "month":
        return cycle(months(view.image.days[:, 0]) / 12)
    if target.kind == "numbers":
        return torch.stack([view.targets[column] for column in target.of], dim=1)
    device = view.image.pixels.device
    if view.lonlat is None:
        return torch.full((len(view.image), 2), torch.nan, dtype=torch.float64, device=device)
    return cycle(view.lonlat[:, ["longitude", "latitude"].index(target.kind)] / 360)


def cycle(turns: Float[Tensor, " b"]) -> Float64[Tensor, "b 2"]:
    """Sine and cosine of an angle in whole turns."""
    angle = turns.double() * (2 * torch.pi)
    return torch.stack([angle.sin(), angle.cos()], dim=1)


def months(days: Int[Tensor, " b"]) -> Float64[Tensor, " b"]:
    """Months (1 to 12) of days since 1970-01-01; NaN where the day is unknown.

    Counted from 1 March, so that a leap day ends the year (Hinnant, "chrono-compatible low-level date algorithms").
    """
    day = (days.long() + 719_468) % _ERA
    year = (day - day // 1460 + day // 36_524 - day // 146_096) // 365
    of_year = day - (365 * year + year // 4 - year // 100)
    since_march = (5 * of_year + 2) // 153
    return ((since_march + 2) % 12 + 1).double().masked_fill(days == NO_DAY, torch.nan)
