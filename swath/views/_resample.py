"""Crop, flip, turn and blur as two matrix products; only a free rotation needs a general resampling.

Resizing and the Gaussian act on rows and columns separately, and a flip reverses a matrix, so that everything but a free
rotation is one small matrix per axis and sample: `view = rows @ chip @ cols`. Where pixels are invalid the same operator is
applied to the validity, and the quotient is a mean over valid pixels (normalised convolution, Knutsson and Westin 1993).
Shrinking widens the kernel (as `antialias=True` does in torch and as PIL always did): it costs nothing in this form.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import torch
import torch.nn.functional as F
from torch import Tensor

from swath.views._geometry import Geometry, largest_scale, scales

_SHARP = 1e-6
"""A sigma so small that its kernel is exactly (0, 1, 0)."""
_TOUCH = 1e-3
"""A source pixel of less weight than this does not count as touched: it is rounding of the affine, not data."""
_LEAST = 0.1
"""Least share of a view pixel's weight that must lie on valid pixels."""
_WINDOWED = 2**15
"""Values per sample from which a CPU works sample by sample: in cache, and on the crop's window only."""

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
        affine = geometry.affine
        self.turned = affine[:, 0, 0] == 0
        self.rotated = ~self.turned & (affine[:, 0, 1] != 0)
        # The view's x runs along the chip's y in a turned sample.
        along = torch.where(self.turned[:, None, None], affine.flip(1), affine)
        self.cols, self.x_window = self._matrices(along[:, 0, 0], along[:, 0, 2], axis=1)
        self.rows, self.y_window = self._matrices(along[:, 1, 1], along[:, 1, 2], axis=0)

    def _matrices(self, step: Tensor, start: Tensor, axis: int) -> tuple[Tensor, Tensor]:
        """Weights "b view chip" along one axis of the view, and the first and last chip index "b 2" that has any."""
        sides = torch.tensor(self.geometry.chip, device=step.device)
        length = torch.where(self.turned, sides[1 - axis], sides[axis])[:, None, None]
        position = start[:, None] + step[:, None] * torch.arange(self.geometry.view[axis], device=step.device)
        width = step.abs().clamp(min=1)[:, None]
        support = 1.0 if self.interpolation == "bilinear" else 2.0
        taps = ceil(2 * support * largest_scale(self.geometry)) + 1
        index = (position - support * width).ceil()[:, :, None] + torch.arange(taps, device=step.device)
        weights = _KERNELS[self.interpolation]((index - position[:, :, None]) / width[:, :, None])
        weights = weights * ((index >= 0) & (index < length))
        weights = weights / weights.sum(dim=2, keepdim=True)
        index = index.long().clamp(min=0).minimum(length - 1)
        dense = weights.new_zeros(*position.shape, max(self.geometry.chip)).scatter_add_(2, index, weights)
        return dense, torch.stack([index.amin(dim=(1, 2)), index.amax(dim=(1, 2))], dim=1)

    def parts(self, values_per_sample: int) -> Iterator[Part]:
        """Samples to be treated together: one by one on a CPU, by kind on an accelerator."""
        if self.rows.device.type == "cpu" and values_per_sample >= _WINDOWED:
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

    def __call__(self, part: Part, pixels: Tensor, valid: Tensor, complete: bool) -> tuple[Tensor, Tensor]:
        """Resample one part; invalid pixels influence nothing.

        Args:
            part: one of `parts`.
            pixels: the part's pixels "n t c h w".
            valid: the part's validity "n t h w".
            complete: every pixel of the batch is valid.

        Returns:
            Pixels "n t c view_h view_w" and validity "n t view_h view_w".
        """
        if self._leaves_alone(part):
            return pixels, valid
        apply = self._rotate if part.rotated else self._align
        if complete and not part.rotated:
            values = apply(part, pixels, self._blur(part))
            return values, valid.new_ones(*valid.shape[:2], *self.geometry.view)
        known = valid[:, :, None].to(pixels.dtype)
        stack = torch.cat([pixels.masked_fill(~valid[:, :, None], 0.0), known], dim=2)
        total, weight = apply(part, stack, self._blur(part)).split([pixels.shape[2], 1], dim=2)
        missing = self._missing_under_rotation if part.rotated else self._missing_when_aligned
        kept = (missing(part, known) < _TOUCH) & (weight > _LEAST)
        return torch.where(kept, total / weight, 0.0), kept[:, :, 0]

    def _leaves_alone(self, part: Part) -> bool:
        geometry = self.geometry
        if geometry.view != geometry.chip or part.rotated or part.turned:
            return False
        same = (geometry.affine[part.index] == torch.eye(2, 3, device=geometry.affine.device)).all()
        return bool(same if self.sigma is None else same & (self.sigma[part.index] == 0).all())

    def _blur(self, part: Part) -> tuple[Tensor, Tensor] | None:
        """The blur's matrices "n view_h view_h" and "n view_w view_w"; None if no sample of the part is blurred."""
        if self.sigma is None:
            return None
        sigma = self.sigma[part.index]
        if sigma.device.type == "cpu" and not sigma.any():
            return None
        height, width = (gaussian(sigma, side, self.radius) for side in self.geometry.view)
        return height, width

    def _align(self, part: Part, planes: Tensor, blur: tuple[Tensor, Tensor] | None) -> Tensor:
        rows, cols = self.rows[part.index], self.cols[part.index]
        if blur:
            rows, cols = blur[0] @ rows, blur[1] @ cols
        return self._product(part, planes, rows, cols)

    def _product(self, part: Part, planes: Tensor, rows: Tensor, cols: Tensor) -> Tensor:
        """`rows @ planes @ cols`, transposed planes in a turned part; only the window that has weights if it is one sample."""
        if part.turned:
            planes = planes.mT
        (y0, y1), (x0, x1) = (0, planes.shape[-2] - 1), (0, planes.shape[-1] - 1)
        if len(planes) == 1 and planes.device.type == "cpu":
            (y0, y1), (x0, x1) = self.y_window[part.index][0].tolist(), self.x_window[part.index][0].tolist()
        window = planes[..., y0 : y1 + 1, x0 : x1 + 1]
        return separable(window, rows[..., y0 : y1 + 1], cols[..., x0 : x1 + 1])

    def _missing_when_aligned(self, part: Part, known: Tensor) -> Tensor:
        """Weight of invalid source pixels under each view pixel, before any blur."""
        return self._product(part, 1 - known, self.rows[part.index].abs(), self.cols[part.index].abs())

    def _missing_under_rotation(self, part: Part, known: Tensor) -> Tensor:
        return 1 - self._sample(part, known, "bilinear")

    def _rotate(self, part: Part, planes: Tensor, blur: tuple[Tensor, Tensor] | None) -> Tensor:
        view = self._sample(part, self._antialias(part, planes), self.interpolation)
        return separable(view, *blur) if blur else view

    def _antialias(self, part: Part, planes: Tensor) -> Tensor:
        """Low-pass before shrinking, as wide as the widened bilinear kernel: a triangle's variance is a sixth."""
        if largest_scale(self.geometry) <= 1:
            return planes
        x, y = ((scales(self.geometry)[part.index].square() - 1).clamp(min=0) / 6).sqrt().unbind(dim=1)
        height, width = planes.shape[-2:]
        return separable(planes, gaussian(y, height, height), gaussian(x, width, width))

    def _sample(self, part: Part, planes: Tensor, mode: str) -> Tensor:
        """General resampling; outside of the chip everything is 0, validity included."""
        (height, width), (chip_h, chip_w) = self.geometry.view, self.geometry.chip
        y, x = torch.meshgrid(
            torch.arange(height, device=planes.device), torch.arange(width, device=planes.device), indexing="ij"
        )
        pixel = torch.stack([x, y, torch.ones_like(x)], dim=-1).to(planes.dtype)
        source = pixel.flatten(0, 1) @ self.geometry.affine[part.index].mT
        grid = (2 * source + 1) / source.new_tensor([chip_w, chip_h]) - 1
        flat = F.grid_sample(planes.flatten(1, 2), grid.unflatten(1, (height, width)), mode=mode, align_corners=False)
        return flat.unflatten(1, planes.shape[1:3])


def separable(planes: Tensor, rows: Tensor, cols: Tensor) -> Tensor:
    """`rows @ planes @ cols.mT` per sample: "n t c h w", "n i h" and "n j w" give "n t c i j"."""
    if len(planes) == 1:  # a plain product is faster than a batched one with a batch of one
        return torch.matmul(rows[0], torch.matmul(planes, cols[0].mT))
    return rows[:, None, None] @ (planes @ cols.mT[:, None, None])


def gaussian(sigma: Tensor, length: int, radius: int) -> Tensor:
    """Blur matrices "n length length"; at the border the kernel is renormalised, as beside invalid pixels."""
    place = torch.arange(length, device=sigma.device)
    distance = place[:, None] - place[None, :]
    exponent = -0.5 * (distance / sigma.clamp(min=_SHARP)[:, None, None]).square()
    kernel = exponent.exp() * (distance.abs() <= radius)
    return kernel / kernel.sum(dim=2, keepdim=True)


def _triangle(u: Tensor) -> Tensor:
    return (1 - u.abs()).clamp(min=0)


def _cubic(u: Tensor) -> Tensor:
    """Keys (1981) with a = -0.5: exact for parabolas, and what PIL and torch's antialiased bicubic use."""
    u = u.abs()
    near, far = (1.5 * u - 2.5) * u * u + 1, ((-0.5 * u + 2.5) * u - 4) * u + 2
    return torch.where(u <= 1, near, torch.where(u < 2, far, 0.0))


_KERNELS = {"bilinear": _triangle, "bicubic": _cubic}
