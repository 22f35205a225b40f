"""Where in the chip each view pixel lies: crop, flips, turns and rotation as one affine map per sample."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from swath.errors import RecipeError
from swath.views._random import chance, log_uniform, uniform
from swath.views._settings import Augment, Crop

_TRIES = 10
# Columns are the images of the view's x and y axes after k quarter turns.
_TURNS = (((1, 0), (0, 1)), ((0, -1), (1, 0)), ((-1, 0), (0, -1)), ((0, 1), (-1, 0)))


@dataclass(frozen=True, slots=True, eq=False)
class Geometry:
    """The crop of each sample, on the host. Exact zeros in the affine tell axis-aligned views from rotated ones."""

    affine: Float[Tensor, "b 2 3"]
    """View pixel centres (x, y) -> chip pixel centres."""
    view: tuple[int, int]
    """Height and width of the view."""
    chip: tuple[int, int]
    """Height and width of the chips that the affine refers to."""

    def on(self, chip: tuple[int, int]) -> "Geometry":
        """The same footprints for chips that are sampled on another grid."""
        if chip == self.chip:
            return self
        factor = self.affine.new_tensor([chip[1] / self.chip[1], chip[0] / self.chip[0]])[:, None]
        linear, offset = self.affine[:, :, :2] * factor, (self.affine[:, :, 2:] + 0.5) * factor - 0.5
        return replace(self, affine=torch.cat([linear, offset], dim=2), chip=chip)


def draw(settings: Augment, n: int, chip: tuple[int, int], generator: torch.Generator) -> Geometry:
    """Draw the geometry of n samples.

    Raises:
        RecipeError: quarter turns of a view that is not square.
    """
    size = settings.crop.size
    view = chip if size is None else (size, size)
    if settings.quarter_turns and view[0] != view[1]:
        raise RecipeError(
            f"views of {view[0]} × {view[1]} pixels cannot be turned by 90 degrees",
            where="quarter_turns",
            remedy="set crop.size, or use hflip and vflip",
        )
    x, y, w, h = _boxes(settings.crop, n, view, chip, generator).unbind(dim=1)
    linear = _orientation(settings, n, generator) * torch.stack([w / view[1], h / view[0]], dim=1)[:, :, None]
    linear = _rotations(settings, n, generator) @ linear
    box = torch.stack([x + (w - 1) / 2, y + (h - 1) / 2], dim=1)
    centre = linear.new_tensor([(view[1] - 1) / 2, (view[0] - 1) / 2])
    return Geometry(torch.cat([linear, (box - linear @ centre)[:, :, None]], dim=2), view, chip)


def _boxes(crop: Crop, n: int, view: tuple[int, int], chip: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Whole-pixel boxes (x, y, width, height): the first of ten that fits, else the largest central one."""
    height, width = chip
    aspect = view[1] / view[0]
    central = _central(width, height, aspect)
    if crop.scale == (1.0, 1.0):
        return central.expand(n, 4)
    area = uniform(generator, (n, _TRIES), *crop.scale) * height * width
    ratio = log_uniform(generator, (n, _TRIES), *crop.ratio) * aspect
    w, h = (area * ratio).sqrt().round(), (area / ratio).sqrt().round()
    fits = (w >= 1) & (w <= width) & (h >= 1) & (h <= height)
    first = fits.int().argmax(dim=1, keepdim=True)
    w, h = w.gather(1, first)[:, 0], h.gather(1, first)[:, 0]
    x = (uniform(generator, (n,)) * (width - w + 1)).floor().minimum(width - w)
    y = (uniform(generator, (n,)) * (height - h + 1)).floor().minimum(height - h)
    return torch.where(fits.any(dim=1)[:, None], torch.stack([x, y, w, h], dim=1), central)


def _central(width: int, height: int, aspect: float) -> Tensor:
    w, h = min(width, max(1, round(height * aspect))), min(height, max(1, round(width / aspect)))
    return torch.tensor([(width - w) // 2, (height - h) // 2, w, h], dtype=torch.float32)


def _orientation(settings: Augment, n: int, generator: torch.Generator) -> Tensor:
    """Signed permutations "n 2 2": flips of the view, then quarter turns."""
    turned = chance(generator, (n,), settings.quarter_turns)
    if settings.quarter_turns:
        turned = turned * (1 + (uniform(generator, (n,)) * 3).long().clamp(max=2))
    table = torch.tensor(_TURNS, dtype=torch.float32)
    flips = [1.0 - 2.0 * chance(generator, (n,), p).float() for p in (settings.hflip, settings.vflip)]
    return table[turned.long()] * torch.stack(flips, dim=1)[:, None, :]


def _rotations(settings: Augment, n: int, generator: torch.Generator) -> Tensor:
    """Rotation matrices "n 2 2"; exactly the identity where there is no rotation."""
    angle = torch.zeros(n)
    on = chance(generator, (n,), settings.rotation.p)
    if settings.rotation.p:
        drawn = uniform(generator, (n,), *settings.rotation.degrees).deg2rad()
        angle = torch.where(on, drawn, angle)
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([cos, -sin, sin, cos], dim=1).reshape(n, 2, 2)


def scales(geometry: Geometry) -> Float[Tensor, "b 2"]:
    """Chip pixels per view pixel along the chip's x and y axes."""
    return geometry.affine[:, :, :2].square().sum(dim=2).sqrt()


def largest_scale(geometry: Geometry) -> float:
    """An upper bound of every scale: no box exceeds its chip. It reads no drawn values, so no device has to be
    waited for.
    """
    height, width = geometry.chip
    return max(1.0, height / geometry.view[0], width / geometry.view[1])
