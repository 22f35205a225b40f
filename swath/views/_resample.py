"""Crop, flip, turn and blur as two matrix products; only a free rotation needs a general resampling.

Resizing and the Gaussian act on rows and columns separately, and a flip reverses a matrix, so that everything but a
free rotation is one small matrix per axis and sample: `view = rows @ chip @ cols`. Where pixels are invalid the same
operator is applied to the validity, and the quotient is a mean over valid pixels (normalised convolution, Knutsson and
Westin 1993). Shrinking widens the kernel (as `antialias=True` does in torch and as PIL always did): in this form it
costs nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil, floor, sqrt

import torch
import torch.nn.functional as F
from torch import Tensor

from swath._device import send
from swath.views._geometry import Geometry, largest_scale, scales

_SHARP = 1e-6
"""A sigma so small that its kernel is exactly (0, 1, 0)."""
_TOUCH = 1e-3
"""A source pixel with less weight than this counts as untouched: such weights are rounding of the affine."""
_LEAST = 0.1
"""Least share of a view pixel's weight that must come from valid pixels for it to be valid."""
_WINDOWED = 2**15
"""Number of values per sample from which a CPU works sample by sample: in cache, and only where weights are."""
_BLOCK = 32
"""Number of view pixels per block of a banded product."""

Blocks = list[tuple[slice, slice]] | None
"""Blocks (rows, columns) that contain all weights of a banded matrix; None: anywhere."""


@dataclass(frozen=True, slots=True)
class Part:
    """Samples that are resampled in the same way."""

    index: slice | Tensor
    turned: bool
    rotated: bool


class Resampler:
    """A batch's geometry and blur, ready to be applied part by part."""

    def __init__(self, geometry: Geometry, sigma: Tensor | None, kernel: int | None, interpolation: str):
        """Prepare the interpolation matrices.

        Args:
            geometry: of all samples, on their device.
            sigma: blur "b" in view pixels, 0 for none; None: no sample is blurred.
            kernel: odd width of the blur; None: a tenth of the view.
            interpolation: `bilinear` or `bicubic`.
        """
        self.geometry, self.sigma, self.interpolation = geometry, sigma, interpolation
        self.radius = (kernel // 2) if kernel else min(geometry.view) // 10 // 2
        self.support = 1.0 if interpolation == "bilinear" else 2.0
        affine = geometry.affine
        self.turned = affine[:, 0, 0] == 0
        self.rotated = ~self.turned & (affine[:, 0, 1] != 0)
        # The view's x runs along the chip's y in a turned sample.
        along = torch.where(self.turned[:, None, None], affine.flip(1), affine)
        self.x_line, self.y_line = along[:, 0, ::2], along[:, 1, 1:]

    @cached_property
    def cols(self) -> Tensor:
        """Weights "b view chip" that make each column of a view from columns of the chip."""
        return self._matrices(self.x_line, axis=1)

    @cached_property
    def rows(self) -> Tensor:
        """Weights "b view chip" that make each row of a view from rows of the chip."""
        return self._matrices(self.y_line, axis=0)

    def of(self, index: Tensor, device: torch.device) -> "Resampler":
        """The geometry and blur of the samples at these positions, on a device."""
        geometry = replace(self.geometry, affine=send(self.geometry.affine[index], device))
        sigma = None if self.sigma is None else send(self.sigma[index], device)
        return Resampler(geometry, sigma, 2 * self.radius + 1, self.interpolation)

    @property
    def changes_nothing(self) -> bool:
        """Whether every view equals its chip."""
        return not bool(self.rotated.any()) and self._leaves_alone(Part(slice(None), False, bool(self.turned.any())))

    def _matrices(self, line: Tensor, axis: int) -> Tensor:
        """Weights "b view chip" along one axis of the view, whose positions in the chip are `step * i + start`."""
        step, start = line[:, :1], line[:, 1:]
        sides = torch.tensor(self.geometry.chip, device=line.device)
        length = torch.where(self.turned, sides[1 - axis], sides[axis])[:, None, None]
        position = start + step * torch.arange(self.geometry.view[axis], device=line.device)
        width = step.abs().clamp(min=1)
        taps = ceil(2 * self.support * largest_scale(self.geometry)) + 1
        index = (position - self.support * width).ceil()[:, :, None] + torch.arange(taps, device=line.device)
        weights = _KERNELS[self.interpolation]((index - position[:, :, None]) / width[:, :, None])
        weights = weights * ((index >= 0) & (index < length))
        weights = weights / weights.sum(dim=2, keepdim=True)
        index = index.long().clamp(min=0).minimum(length - 1)
        return weights.new_zeros(*position.shape, max(self.geometry.chip)).scatter_add_(2, index, weights)

    def parts(self, values_per_sample: int) -> Iterator[Part]:
        """Groups of samples that are treated together: single samples on a CPU, samples of one kind on an
        accelerator.
        """
        _ = self.rows, self.cols  # made here, once, not by every thread that works on a part
        if self.turned.device.type == "cpu" and values_per_sample >= _WINDOWED:
            kinds = zip(self.turned.tolist(), self.rotated.tolist(), strict=True)
            yield from (Part(slice(i, i + 1), turned, rotated) for i, (turned, rotated) in enumerate(kinds))
            return
        for turned, rotated in ((False, False), (True, False), (False, True)):
            chosen = (self.turned == turned) & (self.rotated == rotated)
            index = chosen.nonzero()[:, 0]
            if len(index) == len(chosen):
                yield Part(slice(None), turned, rotated)
            elif len(index):
                yield Part(index, turned, rotated)

    def __call__(self, part: Part, pixels: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Resample one part; invalid pixels influence nothing.

        Args:
            part: one of `parts`.
            pixels: the part's pixels "n t c h w".
            valid: the part's validity "n t h w"; None: all are valid.

        Returns:
            Pixels "n t c view_h view_w" and validity "n t view_h view_w", None if all are.
        """
        if self._leaves_alone(part):
            return pixels, valid
        if valid is None and not part.rotated:
            return self._align(part, pixels, self._blur(part)), None
        apply, missing = (
            (self._rotate, self._missing_under_rotation) if part.rotated else (self._align, self._missing_when_aligned)
        )
        known = torch.ones_like(pixels[:, :, :1]) if valid is None else valid[:, :, None].to(pixels.dtype)
        stack = torch.cat([pixels * known, known], dim=2)
        total, weight = apply(part, stack, self._blur(part)).split([pixels.shape[2], 1], dim=2)
        kept = (missing(part, known) < _TOUCH) & (weight > _LEAST)
        return total * torch.where(kept, 1 / weight, 0.0), kept[:, :, 0]

    def _leaves_alone(self, part: Part) -> bool:
        geometry = self.geometry
        if geometry.view != geometry.chip or part.rotated or part.turned:
            return False
        same = (geometry.affine[part.index] == torch.eye(2, 3, device=geometry.affine.device)).all()
        return bool(same if self.sigma is None else same & (self.sigma[part.index] == 0).all())

    def _blur(self, part: Part) -> Tensor | None:
        """The part's sigmas; None if no sample of it is blurred."""
        if self.sigma is None:
            return None
        sigma = self.sigma[part.index]
        return None if sigma.device.type == "cpu" and not sigma.any() else sigma

    def _align(self, part: Part, planes: Tensor, sigma: Tensor | None) -> Tensor:
        rows, cols = self.rows[part.index], self.cols[part.index]
        if sigma is not None:
            rows, cols = (self._blurred(matrix, sigma) for matrix in (rows, cols))
        return self._product(part, planes, rows, cols, self.radius if sigma is not None else 0)

    def _blurred(self, matrix: Tensor, sigma: Tensor) -> Tensor:
        blocks = _blocks(1.0, 0.0, matrix.shape[1], matrix.shape[1], self.radius) if _alone(matrix) else None
        return left(gaussian(sigma, matrix.shape[1], self.radius), matrix[:, None, None], blocks)[:, 0, 0]

    def _product(self, part: Part, planes: Tensor, rows: Tensor, cols: Tensor, radius: int) -> Tensor:
        """`rows @ planes @ cols`, of transposed planes in a turned part; a lone sample only where it has weights."""
        planes = planes.mT if part.turned else planes
        height, width = planes.shape[-2:]
        rows, cols = rows[:, :, :height], cols[:, :, :width]
        if not _alone(planes):
            return left(rows, right(planes, cols, None), None)
        x = self._band(self.x_line[part.index], radius, cols)
        y = self._band(self.y_line[part.index], radius, rows)
        first, last = min(cut.start for _, cut in y), max(cut.stop for _, cut in y)
        y = [(out, slice(cut.start - first, cut.stop - first)) for out, cut in y]
        return left(rows[:, :, first:last], right(planes[..., first:last, :], cols, x), y)

    def _band(self, line: Tensor, radius: int, matrix: Tensor) -> list[tuple[slice, slice]]:
        step, start = line[0].tolist()
        reach = self.support * max(abs(step), 1.0) + radius * abs(step) + 1
        return _blocks(step, start, matrix.shape[1], matrix.shape[2], reach)

    def _missing_when_aligned(self, part: Part, known: Tensor) -> Tensor:
        """Weight of invalid source pixels under each view pixel, before any blur."""
        return self._product(part, 1 - known, self.rows[part.index].abs(), self.cols[part.index].abs(), 0)

    def _missing_under_rotation(self, part: Part, known: Tensor) -> Tensor:
        return 1 - self._sample(part, known, "bilinear")

    def _rotate(self, part: Part, planes: Tensor, sigma: Tensor | None) -> Tensor:
        view = self._sample(part, self._antialias(part, planes), self.interpolation)
        return view if sigma is None else smooth(view, sigma, sigma, self.radius)

    def _antialias(self, part: Part, planes: Tensor) -> Tensor:
        """Low-pass before shrinking, as wide as the widened bilinear kernel: a triangle's variance is a sixth."""
        largest = largest_scale(self.geometry)
        if largest <= 1:
            return planes
        x, y = ((scales(self.geometry)[part.index].square() - 1).clamp(min=0) / 6).sqrt().unbind(dim=1)
        return smooth(planes, y, x, ceil(4 * sqrt((largest**2 - 1) / 6)))

    def _sample(self, part: Part, planes: Tensor, mode: str) -> Tensor:
        """General resampling; outside of the chip everything is 0, validity included."""
        (height, width), (chip_h, chip_w) = self.geometry.view, self.geometry.chip
        y, x = torch.meshgrid(
            torch.arange(height, device=planes.device), torch.arange(width, device=planes.device), indexing="ij"
        )
        pixel = torch.stack([x, y, torch.ones_like(x)], dim=-1).to(planes.dtype)
        source = pixel.flatten(0, 1) @ self.geometry.affine[part.index].mT
        grid = (2 * source + 1) / send(torch.tensor([chip_w, chip_h], dtype=source.dtype), source.device) - 1
        flat = F.grid_sample(planes.flatten(1, 2), grid.unflatten(1, (height, width)), mode=mode, align_corners=False)
        return flat.unflatten(1, planes.shape[1:3])


def _alone(planes: Tensor) -> bool:
    return len(planes) == 1 and planes.device.type == "cpu"


def _blocks(step: float, start: float, n: int, length: int, reach: float | int) -> list[tuple[slice, slice]]:
    """Blocks of a matrix "n length" whose row i has weights within `reach` of column `step * i + start`."""
    blocks = []
    for first in range(0, n, _BLOCK):
        last = min(first + _BLOCK, n)
        ends = sorted((step * first + start, step * (last - 1) + start))
        low, high = max(0, floor(ends[0] - reach)), min(length, ceil(ends[1] + reach) + 1)
        blocks.append((slice(first, last), slice(low, high)))
    return blocks


def left(matrix: Tensor, planes: Tensor, blocks: Blocks) -> Tensor:
    """`matrix @ planes` per sample: "n i h" and "n t c h w" give "n t c i w"."""
    if blocks is None:
        return matrix[:, None, None] @ planes
    out = planes.new_empty(*planes.shape[:3], matrix.shape[1], planes.shape[4])
    for rows, cols in blocks:
        out[..., rows, :] = matrix[0, rows, cols] @ planes[..., cols, :]
    return out


def right(planes: Tensor, matrix: Tensor, blocks: Blocks) -> Tensor:
    """`planes @ matrix.mT` per sample: "n t c h w" and "n j w" give "n t c h j"."""
    if blocks is None:
        return planes @ matrix.mT[:, None, None]
    out = planes.new_empty(*planes.shape[:4], matrix.shape[1])
    for rows, cols in blocks:
        out[..., rows] = planes[..., cols] @ matrix[0, rows, cols].mT
    return out


def smooth(planes: Tensor, y_sigma: Tensor, x_sigma: Tensor, radius: int) -> Tensor:
    """Gaussian blur of "n t c h w" with one sigma per sample and axis."""
    height, width = planes.shape[-2:]
    y, x = (_blocks(1.0, 0.0, n, n, radius) if _alone(planes) else None for n in (height, width))
    return left(gaussian(y_sigma, height, radius), right(planes, gaussian(x_sigma, width, radius), x), y)


def gaussian(sigma: Tensor, length: int, radius: int) -> Tensor:
    """Blur matrices "n length length"; at the border the kernel is renormalised, as beside invalid pixels."""
    distance = torch.arange(1 - length, length, device=sigma.device)
    exponent = -0.5 * (distance / sigma.clamp(min=_SHARP)[:, None]).square()
    kernel = torch.where(distance.abs() <= radius, exponent.exp(), 0.0)
    toeplitz = kernel.unfold(1, length, 1).flip(1)
    return toeplitz / toeplitz.sum(dim=2, keepdim=True)


def _triangle(u: Tensor) -> Tensor:
    return (1 - u.abs()).clamp(min=0)


def _cubic(u: Tensor) -> Tensor:
    """Keys (1981) with a = -0.5: exact for parabolas, and what PIL and torch's antialiased bicubic use."""
    u = u.abs()
    near, far = (1.5 * u - 2.5) * u * u + 1, ((-0.5 * u + 2.5) * u - 4) * u + 2
    return torch.where(u <= 1, near, torch.where(u < 2, far, 0.0))


_KERNELS = {"bilinear": _triangle, "bicubic": _cubic}
