"""Brightness, contrast, grey, speckle and dropped channels, each as the unit demands; nothing is ever clipped."""

from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from swath._device import send
from swath.sensors import bands
from swath.views._random import chance, factors, noise, uniform
from swath.views._settings import Augment, Speckle

UNITS = ("reflectance", "display", "dB", "K", "m", "degree", "share")
"""Units of channels, those of reflected light first."""
_DB = UNITS.index("dB")
_KELVIN = UNITS.index("K")


@cache
def _table(device: torch.device, length: int) -> Tensor:
    # what maps and coordinates are in is no light to change, as kelvin are not
    positions = [UNITS.index(band.unit) if band.unit in UNITS else _KELVIN for band in bands()[:length]]
    return send(torch.tensor(positions), device)


def units(band_ids: Int[Tensor, "b c"]) -> Int[Tensor, "b c"]:
    """Position of each channel's unit in `UNITS`."""
    return _table(band_ids.device, len(bands()))[band_ids.long()]


@dataclass(frozen=True, slots=True, eq=False)
class Colour:
    """Photometric parameters of each sample, shared by its dates. None: no sample has it."""

    unit: Int[Tensor, "b c"]
    brightness: Float[Tensor, " b"] | None
    contrast: Float[Tensor, " b"] | None
    grey: Bool[Tensor, " b"] | None

    @property
    def changes_nothing(self) -> bool:
        """Whether no sample is changed."""
        return self.brightness is None and self.contrast is None and self.grey is None

    def on(self, device: torch.device) -> "Colour":
        """The same parameters on another device."""
        numbers = (self.brightness, self.contrast, self.grey)
        return Colour(self.unit, *(None if one is None else send(one, device) for one in numbers))

    def apply(
        self, index: slice | Tensor, pixels: Float[Tensor, "n t c h w"], valid: Bool[Tensor, "n t h w"] | None
    ) -> Tensor:
        """Recolour the samples at `index`; invalid pixels become 0 unless there is nothing to do.

        `valid` None says that all are.
        """
        unit, before = self.unit[index], pixels
        if self.brightness is not None or self.contrast is not None:
            pixels = self._linear(index, unit, pixels, valid)
        if self.grey is not None and (pixels.device.type != "cpu" or self.grey[index].any()):
            pixels = torch.einsum("nij,ntjhw->ntihw", mixing(unit, self.grey[index]), pixels)
        return pixels if pixels is before else hide(pixels, valid)

    def _linear(self, index: slice | Tensor, unit: Tensor, pixels: Tensor, valid: Tensor | None) -> Tensor:
        """Brightness `x -> g x + s`, then contrast `x -> m + k (x - m)` about the resulting mean, in one pass."""
        gain, shift = brightening(unit, None if self.brightness is None else self.brightness[index])
        if self.contrast is None:
            return torch.addcmul(_over(shift), pixels, _over(gain))
        k = self.contrast[index][:, None, None]
        offset = shift[:, None] + (1 - k) * gain[:, None] * _means(pixels, valid)
        return torch.addcmul(offset[..., None, None], pixels, _over(k[:, 0] * gain))


def draw(settings: Augment, band_ids: Tensor, generator: torch.Generator) -> Colour:
    """Colour parameters of each sample."""
    n = len(band_ids)
    brightness, contrast = (
        factors(generator, n, jitter.p, jitter.factor, off=1.0) if jitter.p else None
        for jitter in (settings.brightness, settings.contrast)
    )
    grey = chance(generator, (n,), settings.grey) if settings.grey else None
    return Colour(units(band_ids), brightness, contrast, grey)


def brightening(unit: Tensor, factor: Tensor | None) -> tuple[Tensor, Tensor]:
    """Gain and shift "n c" of each channel: light and linear power times the factor; temperatures stay."""
    if factor is None:
        return torch.ones_like(unit, dtype=torch.float32), torch.zeros_like(unit, dtype=torch.float32)
    factor = factor[:, None]
    return torch.where(unit < _DB, factor, 1.0), torch.where(unit == _DB, 10 * factor.log10(), 0.0)


def mixing(unit: Tensor, grey: Tensor) -> Tensor:
    """Matrices "n c c": the mean over the channels of the same unit where grey, else the identity."""
    same = (unit[:, :, None] == unit[:, None, :]).float()
    mean = same / same.sum(dim=2, keepdim=True)
    return torch.where(grey[:, None, None], mean, torch.eye(unit.shape[1], device=unit.device))


def _means(pixels: Tensor, valid: Tensor | None) -> Tensor:
    """Mean "n t c" over the valid pixels; 0 where there are none."""
    if valid is None:
        return pixels.mean(dim=(3, 4))
    return hide(pixels, valid).sum(dim=(3, 4)) / valid.sum(dim=(2, 3)).clamp(min=1)[:, :, None]


def hide(pixels: Tensor, valid: Tensor | None) -> Tensor:
    """The same pixels, with 0 where invalid."""
    return pixels if valid is None else pixels * valid[:, :, None].to(pixels.dtype)


def _over(per_channel: Tensor) -> Tensor:
    return per_channel[:, None, :, None, None]


def speckle(settings: Speckle, pixels: Tensor, unit: Tensor, generator: torch.Generator) -> Tensor:
    """Noise that multiplies what the instrument measures: backscattered power or light."""
    n, device = len(pixels), pixels.device
    on = send(chance(generator, (n, 1), settings.p), device)
    looks = send(uniform(generator, (n,), *settings.looks), device)[:, None, None, None, None]
    normal = noise(generator, pixels.shape, device)
    power = pixels + 10 * gamma(looks, normal).log10()
    light = pixels * (1 + settings.optical * normal)
    pixels = torch.where(_over(on & (unit == _DB)), power, pixels)
    return torch.where(_over(on & (unit < _DB)), light, pixels)


def gamma(looks: Tensor, normal: Tensor) -> Tensor:
    """Gamma variates of mean 1 and variance 1 / looks, from normal ones (Wilson and Hilferty 1931); always positive."""
    return (1 - 1 / (9 * looks) + normal / (3 * looks.sqrt())).clamp(min=0.05) ** 3


def drop_channels(p: float, pixels: Tensor, valid: Tensor, generator: torch.Generator) -> Tensor:
    """Replace each channel by its own mean with probability p; at least one channel of a sample always stays."""
    n, _, c = pixels.shape[:3]
    draw = send(uniform(generator, (n, c)), pixels.device)
    dropped = (draw < p) & (draw < draw.amax(dim=1, keepdim=True))
    return torch.where(_over(dropped), _means(pixels, valid)[..., None, None], pixels)
