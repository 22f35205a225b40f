"""Views on a GPU: the host draws a batch's parameters and sends them as one small table; kernels do the rest."""

from dataclasses import replace
from math import ceil
from typing import Any

import torch
import triton
from jaxtyping import Float
from torch import Tensor

from swath._device import send
from swath.batch import Image
from swath.views import _kernels
from swath.views._colour import UNITS, Colour, hide
from swath.views._geometry import largest_scale
from swath.views._resample import Part, Resampler

kernels: Any = _kernels
"""The module of kernels, typed loosely: kernels are launched with a grid and with sizes that are not among
their parameters."""
ACROSS, DOWN = (8, 128), (32, 32)
"""Rows and columns that one program of each pass works on."""
WARPS = 4
"""Number of warps of such a program."""
STRIP = 1024
"""Number of pixels that one program recolours."""


def render(image: Image, resampler: Resampler, colour: Colour) -> Image:
    """Resample and recolour, as `_resample` and `_colour` do, in a few passes and without waiting for the device.

    Args:
        image: chips on a GPU.
        resampler: of the whole batch, on the host.
        colour: likewise, but for the channels' units.
    """
    if resampler.changes_nothing and colour.changes_nothing:
        return image
    pixels, valid, sums, counts, parameters = _resample(image, resampler, colour)
    if not colour.changes_nothing:
        _recolour(pixels, valid, sums, counts, parameters, colour.unit)
    return replace(image, pixels=pixels, valid=valid.view(torch.bool))


def _resample(
    image: Image, resampler: Resampler, colour: Colour
) -> tuple[Tensor, Tensor, Tensor, Tensor, Float[Tensor, "n p"]]:
    """Pixels, validity (as bytes), sums and counts of valid pixels tile by tile, and the table of parameters."""
    pixels, valid = image.pixels.contiguous(), image.valid.contiguous()
    device = pixels.device
    parameters = send(_table(resampler, colour), device)
    n, t, c = pixels.shape[:3]
    (view_h, view_w), (chip_h, chip_w) = resampler.geometry.view, resampler.geometry.chip
    support, radius, largest = int(resampler.support), resampler.radius, largest_scale(resampler.geometry)
    length, side = max(view_h, view_w), max(chip_h, chip_w)
    sharp_taps = ceil(2 * support * largest) + 1
    blurs = resampler.sigma is not None
    taps = ceil(2 * radius * largest + 2 * support * largest) + 2 if blurs else sharp_taps + 1
    tiles = triton.cdiv(view_h, DOWN[0]) * triton.cdiv(view_w, DOWN[1])

    numbers = {"dtype": torch.float32, "device": device}
    weights = [
        torch.empty((n, 2, taps, length), **numbers),
        torch.empty((n, 2, length), dtype=torch.int32, device=device),
        torch.empty((n, 2, sharp_taps, length), **numbers),
        torch.empty((n, 2, length), dtype=torch.int32, device=device),
    ]
    sizes = (view_h, view_w, chip_h, chip_w, length, taps, sharp_taps, radius)
    block = 16
    kernels.weights[(n, 2, triton.cdiv(length, block))](
        parameters,
        *weights,
        *sizes,
        SUPPORT=support,
        CUBIC=resampler.interpolation == "bicubic",
        BLOCK=block,
        WIDE=triton.next_power_of_2(taps),
        NARROW=triton.next_power_of_2(sharp_taps),
        # positions are rounded as the reference rounds them
        enable_fp_fusion=False,
    )
    complete = valid.flatten(2).all(dim=2).view(torch.uint8)
    columns = torch.empty((n, t, c + 2, side, view_w), **numbers)
    kernels.across[(n * t * (c + 2), triton.cdiv(side, ACROSS[0]) * triton.cdiv(view_w, ACROSS[1]))](
        pixels,
        valid.view(torch.uint8),
        complete,
        parameters,
        *weights,
        columns,
        t,
        c,
        *sizes,
        side,
        SUPPORT=support,
        BLOCK_A=ACROSS[0],
        BLOCK_X=ACROSS[1],
        num_warps=WARPS,
    )
    out = torch.empty((n, t, c, view_h, view_w), **numbers)
    known = torch.empty((n, t, view_h, view_w), dtype=torch.uint8, device=device)
    sums, counts = torch.zeros((n, t, c, tiles), **numbers), torch.zeros((n, t, tiles), **numbers)
    kernels.down[(n * t, tiles)](
        columns,
        complete,
        parameters,
        *weights,
        out,
        known,
        sums,
        counts,
        t,
        c,
        *sizes,
        side,
        tiles,
        SUPPORT=support,
        BLOCK_Y=DOWN[0],
        BLOCK_X=DOWN[1],
        num_warps=WARPS,
    )
    if bool(resampler.rotated.any()):
        _rotate(pixels, valid, resampler, (out, known, sums, counts))
    return out, known, sums, counts, parameters


def _table(resampler: Resampler, colour: Colour) -> Float[Tensor, "n p"]:
    """The kernels' parameters of each sample, on the host."""
    n = len(resampler.turned)
    turn = resampler.turned.float().masked_fill(resampler.rotated, kernels.ROTATED.value)
    sigma = torch.zeros(n) if resampler.sigma is None else resampler.sigma
    ones = torch.ones(n)
    brightness, contrast = (ones if factor is None else factor for factor in (colour.brightness, colour.contrast))
    grey = torch.zeros(n) if colour.grey is None else colour.grey.float()
    lines = (resampler.x_line, resampler.y_line)
    return torch.cat([*lines, torch.stack([turn, sigma, brightness, contrast, grey], dim=1)], dim=1)


def _rotate(pixels: Tensor, valid: Tensor, resampler: Resampler, made: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    """Resample samples with a free rotation by torch's general resampling, in the place that the kernels left."""
    out, known, sums, counts = made
    index = resampler.rotated.nonzero()[:, 0]
    there = send(index, pixels.device)
    values, seen = resampler.of(index, pixels.device)(Part(slice(None), False, True), pixels[there], valid[there])
    assert seen is not None
    out[there], known[there] = values, seen.to(torch.uint8)
    sums[there, :, :, 0], counts[there, :, 0] = hide(values, seen).sum(dim=(3, 4)), seen.sum(dim=(2, 3)).float()


def _recolour(pixels: Tensor, valid: Tensor, sums: Tensor, counts: Tensor, parameters: Tensor, unit: Tensor) -> None:
    n, t, c, h, w = pixels.shape
    tiles = counts.shape[2]
    kernels.colour[(n * t, triton.cdiv(h * w, STRIP))](
        pixels,
        valid,
        sums,
        counts,
        parameters,
        unit,
        t,
        c,
        h * w,
        tiles,
        UNITS=len(UNITS),
        TILES_BLOCK=triton.next_power_of_2(tiles),
        BLOCK=STRIP,
    )
