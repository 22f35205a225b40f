"""Augment a batch: geometry in one resampling, colour in the same pass, each sample with its own parameters."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec

import torch
from torch import Tensor

from swath._device import send
from swath._threads import each
from swath.batch import NO_DAY, Image, View
from swath.views import _colour, _geometry
from swath.views._colour import Colour
from swath.views._geometry import Geometry
from swath.views._invalidate import erased, kept_dates
from swath.views._random import factors
from swath.views._resample import Part, Resampler
from swath.views._settings import Augment


@torch.no_grad()
def augment(
    image: Image, settings: Augment, generator: torch.Generator, role: str, geometry: Geometry | None = None
) -> View:
    """A random view of every sample, on the image's device and in its units.

    All dates of a sample share its parameters. Nothing is clipped. A view pixel is valid if all pixels that its
    interpolation touches are; blur, contrast and all else ignore invalid pixels. Settings that change nothing return
    the input bit by bit.

    Args:
        image: chips; not modified.
        settings: what may happen, and how likely.
        generator: where all randomness comes from; lives on the host, whatever the image's device.
        role: what the method uses the view for.
        geometry: crop of another view (`draw_geometry`, or what that view was made with), to be shared; None: draw one.

    Raises:
        RecipeError: quarter turns of a view that is not square.
    """
    with _exact(image.pixels.device):
        chip = (image.pixels.shape[3], image.pixels.shape[4])
        geometry = draw_geometry(settings, len(image), chip, generator) if geometry is None else geometry.on(chip)
        sigma = (
            factors(generator, len(image), settings.blur.p, settings.blur.sigma, off=0.0) if settings.blur.p else None
        )
        resampler = Resampler(geometry, sigma, settings.blur.kernel, settings.interpolation)
        colour = _colour.draw(settings, image.band_ids, generator)
        image = _render(image, resampler, colour)
        return View(_spoil(image, settings, colour.unit, generator), role, send(geometry.affine, image.pixels.device))


def draw_geometry(settings: Augment, n: int, chip: tuple[int, int], generator: torch.Generator) -> Geometry:
    """Random crops for n samples of chips of this height and width, which several views may share."""
    return _geometry.draw(settings, n, chip, generator)


@contextmanager
def _exact(device: torch.device) -> Iterator[None]:
    """Multiply in full float32: the TF32 and autocast that Lightning allows would round 290 K to the next quarter."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def _render(image: Image, resampler: Resampler, colour: Colour) -> Image:
    """Resample and recolour: kernels on a GPU, where Triton is; else part by part."""
    if image.pixels.is_cuda and find_spec("triton"):
        from swath.views import _gpu  # not everybody has Triton, which comes with torch for GPUs

        return _gpu.render(image, resampler, colour)
    if image.pixels.device.type == "cpu":
        return _in_parts(image, resampler, colour)
    device = image.pixels.device
    return _in_parts(image, resampler.of(torch.arange(len(image)), device), colour.on(device))


def _in_parts(image: Image, resampler: Resampler, colour: Colour) -> Image:
    """Resample and recolour with torch, part by part, so that on a CPU a sample stays in cache."""
    complete = bool(image.valid.all())
    n, t, c = image.pixels.shape[:3]
    pixels = image.pixels.new_empty(n, t, c, *resampler.geometry.view)
    valid = image.valid.new_empty(n, t, *resampler.geometry.view)

    def render(part: Part) -> None:
        values, known = resampler(part, image.pixels[part.index], None if complete else image.valid[part.index])
        pixels[part.index] = colour.apply(part.index, values, known)
        valid[part.index] = True if known is None else known

    each(render, resampler.parts(image.pixels[0].numel()))
    return replace(image, pixels=pixels, valid=valid)


def _spoil(image: Image, settings: Augment, unit: Tensor, generator: torch.Generator) -> Image:
    """Add noise, and remove pixels, channels and dates."""
    pixels, valid, days = image.pixels, image.valid, image.days
    if settings.speckle.p:
        pixels = _colour.speckle(settings.speckle, pixels, unit, generator)
    if settings.channel_dropout:
        pixels = _colour.drop_channels(settings.channel_dropout, pixels, valid, generator)
    if settings.erase.p:
        valid = (
            valid
            & ~erased(settings.erase, len(image), (valid.shape[2], valid.shape[3]), generator, valid.device)[:, None]
        )
    if settings.date_dropout:
        kept = kept_dates(settings.date_dropout, valid, generator)
        valid, days = valid & kept[:, :, None, None], days.masked_fill(~kept, NO_DAY)
    if pixels is not image.pixels or valid is not image.valid:
        pixels = _colour.hide(pixels, valid)
    return replace(image, pixels=pixels, valid=valid, days=days)
