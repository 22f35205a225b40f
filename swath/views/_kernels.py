"""Views on a GPU: crop, flip, turn and blur in two passes over the pixels, colour in a third.

`_resample` and `_colour` are the reference, which says what is computed and why; here it is the same sums, over the few
chip pixels that have a weight, instead of products with matrices of mostly zeros. A view's rows and columns are worked
on one after the other: `_across` makes the columns of the view from each row of the chip, `_down` its rows from those.
"""

import triton
import triton.language as tl

PARAMETERS = tl.constexpr(9)
"""Numbers per sample: step and start along the view's x, the same along y, turn, sigma, brightness, contrast, grey."""
SHARP = tl.constexpr(1e-6)
TOUCH = tl.constexpr(1e-3)
LEAST = tl.constexpr(0.1)
DB = tl.constexpr(2)
ROTATED = tl.constexpr(-1.0)
"""Value of a sample's turn that marks a free rotation, which these kernels leave alone."""


@triton.jit
def _interpolate(u, CUBIC: tl.constexpr):
    """Interpolation weight of a pixel at this distance."""
    u = tl.abs(u)
    if CUBIC:
        near = (1.5 * u - 2.5) * u * u + 1
        far = ((-0.5 * u + 2.5) * u - 4) * u + 2
        value = tl.where(u <= 1, near, tl.where(u < 2, far, 0.0))
    else:
        value = tl.maximum(1 - u, 0.0)
    return value


@triton.jit
def weights(
    parameters,  # "n PARAMETERS"
    blurred,  # "n 2 TAPS LENGTH": along x, along y
    first,  # "n 2 LENGTH"
    sharp,  # "n 2 SHARP_TAPS LENGTH": magnitudes without blur
    sharp_first,  # "n 2 LENGTH"
    VIEW_H,
    VIEW_W,
    CHIP_H,
    CHIP_W,
    LENGTH,
    TAPS,
    SHARP_TAPS,
    RADIUS,
    SUPPORT: tl.constexpr,
    CUBIC: tl.constexpr,
    BLOCK: tl.constexpr,
    WIDE: tl.constexpr,
    NARROW: tl.constexpr,
):
    """Compute which chip pixels each row and column of a view is made of, with their weights."""
    sample, axis = tl.program_id(0), tl.program_id(1)
    row = parameters + sample * PARAMETERS
    step, start = tl.load(row + 2 * axis), tl.load(row + 2 * axis + 1)
    turn, sigma = tl.load(row + 4), tl.load(row + 5)
    view = tl.where(axis == 0, VIEW_W, VIEW_H)
    along_width = (axis == 0) == (turn == 0.0)
    length = tl.where(along_width, CHIP_W, CHIP_H).to(tl.float32)
    i = tl.program_id(2) * BLOCK + tl.arange(0, BLOCK)
    width = tl.maximum(tl.abs(step), 1.0)
    reach = SUPPORT * width
    radius = tl.where(sigma > 0, RADIUS, 0)

    low, high = tl.maximum(i - radius, 0), tl.minimum(i + radius, view - 1)
    nearest = tl.minimum(start + step * low, start + step * high)
    origin = tl.ceil(nearest - reach)
    index = origin[:, None] + tl.arange(0, WIDE)[None, :]
    total = tl.zeros((BLOCK, WIDE), tl.float32)
    mass = tl.zeros((BLOCK,), tl.float32)
    for offset in range(-radius, radius + 1):
        j = i + offset
        inside = (j >= 0) & (j < view)
        distance = offset / tl.maximum(sigma, SHARP)
        share = tl.where(inside, tl.exp(-0.5 * distance * distance), 0.0)
        position = start + step * j
        tap = tl.ceil(position - reach)[:, None] + tl.arange(0, NARROW)[None, :]
        weight = _interpolate((tap - position[:, None]) / width, CUBIC)
        norm = tl.sum(tl.where((tap >= 0) & (tap < length), weight, 0.0), axis=1)
        weight = _interpolate((index - position[:, None]) / width, CUBIC)
        weight = tl.where((index >= 0) & (index < length), weight, 0.0)
        total += (share / tl.where(inside, norm, 1.0))[:, None] * weight
        mass += share
    side = sample * 2 + axis
    t = tl.arange(0, WIDE)
    there = (i < view)[:, None] & (t < TAPS)[None, :]
    tl.store(blurred + (side * TAPS + t[None, :]) * LENGTH + i[:, None], total / mass[:, None], mask=there)
    tl.store(first + side * LENGTH + i, origin.to(tl.int32), mask=i < view)

    position = start + step * i
    origin = tl.ceil(position - reach)
    t = tl.arange(0, NARROW)
    index = origin[:, None] + t[None, :]
    weight = _interpolate((index - position[:, None]) / width, CUBIC)
    weight = tl.where((index >= 0) & (index < length), weight, 0.0)
    weight = tl.abs(weight) / tl.where(i < view, tl.sum(weight, axis=1), 1.0)[:, None]
    there = (i < view)[:, None] & (t < SHARP_TAPS)[None, :]
    tl.store(sharp + (side * SHARP_TAPS + t[None, :]) * LENGTH + i[:, None], weight, mask=there)
    tl.store(sharp_first + side * LENGTH + i, origin.to(tl.int32), mask=i < view)


@triton.jit
def _taps(step, sigma, RADIUS, SUPPORT: tl.constexpr, TAPS):
    """Number of chip pixels that can have a weight for a sample."""
    step = tl.abs(step)
    radius = tl.where(sigma > 0, RADIUS, 0)
    needed = tl.ceil(2 * radius * step + 2 * SUPPORT * tl.maximum(step, 1.0)).to(tl.int32) + 1
    return tl.minimum(needed, TAPS)


PIXELS = tl.constexpr(0)
KNOWN_PIXELS = tl.constexpr(1)
KNOWN = tl.constexpr(2)
MISSING = tl.constexpr(3)


@triton.jit
def _columns(
    total, WHAT: tl.constexpr, pixels, valid, place, x, stride, weight, first, taps, length, VIEW_W, inside_a, LENGTH
):
    """Sums over the taps of each column of a view; `place + stride * b` is the position of tap b of each row."""
    seen = x < VIEW_W
    origin = tl.load(first + x, mask=seen, other=0)
    for t in range(taps):
        w = tl.load(weight + t * LENGTH + x, mask=seen, other=0.0)
        b = origin + t
        there = inside_a[:, None] & (seen & (b >= 0) & (b < length))[None, :]
        at = place[:, None] + (b * stride)[None, :]
        if WHAT == PIXELS:
            value = tl.load(pixels + at, mask=there, other=0.0)
        else:
            known = tl.load(valid + at, mask=there, other=0) != 0
            if WHAT == KNOWN_PIXELS:
                value = tl.where(known, tl.load(pixels + at, mask=there, other=0.0), 0.0)
            elif WHAT == KNOWN:
                value = known.to(tl.float32)
            else:
                value = (there & (known == 0)).to(tl.float32)
        total += w[None, :] * value
    return total


@triton.jit
def across(
    pixels,  # "n t CHANNELS CHIP_H CHIP_W"
    valid,  # "n t CHIP_H CHIP_W" uint8
    complete,  # "n t" uint8
    parameters,
    blurred,
    first,
    sharp,
    sharp_first,
    out,  # "n t (CHANNELS + 2) SIDE VIEW_W"; rows that no view row needs are not written
    DATES,
    CHANNELS,
    VIEW_H,
    VIEW_W,
    CHIP_H,
    CHIP_W,
    LENGTH,
    TAPS,
    SHARP_TAPS,
    RADIUS,
    SIDE,
    SUPPORT: tl.constexpr,
    BLOCK_A: tl.constexpr,
    BLOCK_X: tl.constexpr,
):
    """Compute the columns of the view from each row of the chip: each channel, the validity, and the weight of
    invalid pixels.
    """
    plane, tile = tl.program_id(0).to(tl.int64), tl.program_id(1)
    frame, channel = plane // (CHANNELS + 2), plane % (CHANNELS + 2)
    sample = frame // DATES
    row = parameters + sample * PARAMETERS
    step, sigma, turn = tl.load(row), tl.load(row + 5), tl.load(row + 4)
    down_step, down_start = tl.load(row + 2), tl.load(row + 3)
    whole = tl.load(complete + frame) != 0
    blocks = tl.cdiv(VIEW_W, BLOCK_X)
    a = (tile // blocks) * BLOCK_A + tl.arange(0, BLOCK_A)
    x = (tile % blocks) * BLOCK_X + tl.arange(0, BLOCK_X)
    end = down_start + down_step * (VIEW_H - 1)
    margin = SUPPORT * tl.maximum(tl.abs(down_step), 1.0) + 1
    needed = (tl.max(a) >= tl.minimum(down_start, end) - margin) & (tl.min(a) <= tl.maximum(down_start, end) + margin)
    wanted = (turn != ROTATED) & needed & ((channel < CHANNELS) | (whole == 0))
    if wanted:
        turned = turn != 0.0
        length_a = tl.where(turned, CHIP_W, CHIP_H)
        length = tl.where(turned, CHIP_H, CHIP_W)
        stride = tl.where(turned, CHIP_W, 1)
        place = a * tl.where(turned, 1, CHIP_W)
        area = CHIP_H * CHIP_W
        source = pixels + (frame * CHANNELS + channel) * area
        mask = valid + frame * area
        w, f = blurred + sample * 2 * TAPS * LENGTH, first + sample * 2 * LENGTH
        taps = _taps(step, sigma, RADIUS, SUPPORT, TAPS)
        total = tl.zeros((BLOCK_A, BLOCK_X), tl.float32)
        ok = a < length_a
        if channel < CHANNELS:
            if whole:
                total = _columns(total, PIXELS, source, mask, place, x, stride, w, f, taps, length, VIEW_W, ok, LENGTH)
            else:
                total = _columns(
                    total, KNOWN_PIXELS, source, mask, place, x, stride, w, f, taps, length, VIEW_W, ok, LENGTH
                )
        elif channel == CHANNELS:
            total = _columns(total, KNOWN, source, mask, place, x, stride, w, f, taps, length, VIEW_W, ok, LENGTH)
        else:
            w, f = sharp + sample * 2 * SHARP_TAPS * LENGTH, sharp_first + sample * 2 * LENGTH
            total = _columns(
                total, MISSING, source, mask, place, x, stride, w, f, SHARP_TAPS, length, VIEW_W, ok, LENGTH
            )
        at = out + plane * SIDE * VIEW_W + a[:, None] * VIEW_W + x[None, :]
        tl.store(at, total, mask=ok[:, None] & (x < VIEW_W)[None, :])


@triton.jit
def _rows(
    plane, y, x, weight, first, taps, length, VIEW_H, VIEW_W, LENGTH, BLOCK_Y: tl.constexpr, BLOCK_X: tl.constexpr
):
    """Sums over the taps of each row of a view. Rows without weight may never have been written."""
    seen = y < VIEW_H
    origin = tl.load(first + y, mask=seen, other=0)
    total = tl.zeros((BLOCK_Y, BLOCK_X), tl.float32)
    for t in range(taps):
        w = tl.load(weight + t * LENGTH + y, mask=seen, other=0.0)
        a = origin + t
        there = (seen & (a >= 0) & (a < length) & (w != 0.0))[:, None] & (x < VIEW_W)[None, :]
        total += w[:, None] * tl.load(plane + (a * VIEW_W)[:, None] + x[None, :], mask=there, other=0.0)
    return total


@triton.jit
def down(
    columns,  # what `across` made
    complete,
    parameters,
    blurred,
    first,
    sharp,
    sharp_first,
    out,  # "n t CHANNELS VIEW_H VIEW_W"
    valid,  # "n t VIEW_H VIEW_W" uint8
    sums,  # "n t CHANNELS TILES": of the valid pixels of each tile
    counts,  # "n t TILES"
    DATES,
    CHANNELS,
    VIEW_H,
    VIEW_W,
    CHIP_H,
    CHIP_W,
    LENGTH,
    TAPS,
    SHARP_TAPS,
    RADIUS,
    SIDE,
    TILES,
    SUPPORT: tl.constexpr,
    BLOCK_Y: tl.constexpr,
    BLOCK_X: tl.constexpr,
):
    """Compute the rows of the view from the columns: means over valid pixels, and where there are enough of them."""
    frame, tile = tl.program_id(0).to(tl.int64), tl.program_id(1)
    sample = frame // DATES
    row = parameters + sample * PARAMETERS
    step, sigma, turn = tl.load(row + 2), tl.load(row + 5), tl.load(row + 4)
    whole = tl.load(complete + frame) != 0
    if turn != ROTATED:
        blocks = tl.cdiv(VIEW_W, BLOCK_X)
        y = (tile // blocks) * BLOCK_Y + tl.arange(0, BLOCK_Y)
        x = (tile % blocks) * BLOCK_X + tl.arange(0, BLOCK_X)
        inside = (y < VIEW_H)[:, None] & (x < VIEW_W)[None, :]
        length = tl.where(turn != 0.0, CHIP_W, CHIP_H)
        size = SIDE * VIEW_W
        source = columns + frame * (CHANNELS + 2) * size
        w, f = blurred + (sample * 2 + 1) * TAPS * LENGTH, first + (sample * 2 + 1) * LENGTH
        taps = _taps(step, sigma, RADIUS, SUPPORT, TAPS)
        kept = inside
        scale = tl.full((BLOCK_Y, BLOCK_X), 1.0, tl.float32)
        if whole == 0:
            weight = _rows(source + CHANNELS * size, y, x, w, f, taps, length, VIEW_H, VIEW_W, LENGTH, BLOCK_Y, BLOCK_X)
            sharp_w = sharp + (sample * 2 + 1) * SHARP_TAPS * LENGTH
            sharp_f = sharp_first + (sample * 2 + 1) * LENGTH
            lost = source + (CHANNELS + 1) * size
            missing = _rows(lost, y, x, sharp_w, sharp_f, SHARP_TAPS, length, VIEW_H, VIEW_W, LENGTH, BLOCK_Y, BLOCK_X)
            kept = inside & (missing < TOUCH) & (weight > LEAST)
            scale = tl.where(kept, 1 / weight, 0.0)
        area = VIEW_H * VIEW_W
        at = y[:, None] * VIEW_W + x[None, :]
        for channel in range(CHANNELS):
            total = _rows(source + channel * size, y, x, w, f, taps, length, VIEW_H, VIEW_W, LENGTH, BLOCK_Y, BLOCK_X)
            total = tl.where(kept, total * scale, 0.0)
            tl.store(out + (frame * CHANNELS + channel) * area + at, total, mask=inside)
            tl.store(sums + (frame * CHANNELS + channel) * TILES + tile, tl.sum(total))
        tl.store(valid + frame * area + at, kept.to(tl.uint8), mask=inside)
        tl.store(counts + frame * TILES + tile, tl.sum(kept.to(tl.float32)))


@triton.jit
def _recoloured(at, inside, unit, sums, count, brightness, contrast, TILES, TILES_BLOCK: tl.constexpr):
    """A channel after brightness and contrast."""
    gain = tl.where(unit < DB, brightness, 1.0)
    shift = tl.where(unit == DB, 4.342944819032518 * tl.log(brightness), 0.0)
    t = tl.arange(0, TILES_BLOCK)
    mean = tl.sum(tl.load(sums + t, mask=t < TILES, other=0.0)) / count
    offset = shift + (1 - contrast) * gain * mean
    return tl.load(at, mask=inside, other=0.0) * (contrast * gain) + offset


@triton.jit
def colour(
    pixels,  # "n t CHANNELS AREA", changed in place
    valid,  # "n t AREA" uint8
    sums,
    counts,
    parameters,
    unit,  # "n CHANNELS" int64
    DATES,
    CHANNELS,
    AREA,
    TILES,
    UNITS: tl.constexpr,
    TILES_BLOCK: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Apply brightness, contrast and grey to a view; invalid pixels become 0."""
    frame = tl.program_id(0).to(tl.int64)
    sample = frame // DATES
    row = parameters + sample * PARAMETERS
    brightness, contrast, grey = tl.load(row + 6), tl.load(row + 7), tl.load(row + 8)
    place = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = place < AREA
    known = tl.load(valid + frame * AREA + place, mask=inside, other=0) != 0
    t = tl.arange(0, TILES_BLOCK)
    count = tl.maximum(tl.sum(tl.load(counts + frame * TILES + t, mask=t < TILES, other=0.0)), 1.0)
    source, of_source = pixels + frame * CHANNELS * AREA + place, sums + frame * CHANNELS * TILES
    units = unit + sample * CHANNELS
    if grey == 0.0:
        for channel in range(CHANNELS):
            at, kind = source + channel * AREA, tl.load(units + channel)
            value = _recoloured(
                at, inside, kind, of_source + channel * TILES, count, brightness, contrast, TILES, TILES_BLOCK
            )
            tl.store(at, tl.where(known, value, 0.0), mask=inside)
    else:
        for one in range(UNITS):
            total, number = tl.zeros((BLOCK,), tl.float32), 0.0
            for channel in range(CHANNELS):
                at, kind = source + channel * AREA, tl.load(units + channel)
                if kind == one:
                    total += _recoloured(
                        at, inside, kind, of_source + channel * TILES, count, brightness, contrast, TILES, TILES_BLOCK
                    )
                    number += 1.0
            for channel in range(CHANNELS):
                if tl.load(units + channel) == one:
                    value = tl.where(known, total / number, 0.0)
                    tl.store(source + channel * AREA, value, mask=inside)
