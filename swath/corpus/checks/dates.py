"""Dates of one place that are in different units: an offset that some dates have and others have not, or another scale.

Over a year a field changes band by band, and clouds and haze brighten each band as they like. A product's offset moves
the dark end of all bands at once and by the same amount, at every place, and between no dates by half of it.
"""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from swath import sensors
from swath.corpus.checks._sample import Sample
from swath.corpus.checks._types import Finding, Section

STAGE = 2
DATES = 6
"""Number of chips of a location that are compared, the clearest ones."""
PLACES = 200
PIXELS = 4096
"""Number of pixels of a chip that are compared, spread over it."""
ENOUGH = 64
"""Least number of usable pixels of a chip: a single one may be in shadow on one date and in cloud on the next."""
DARK = 2
"""Percentile of a chip's pixels that stands for its dark end."""
WIDTH = 0.2
"""Relative difference from the offset up to which a step still counts as the offset."""
LEAST, SHARE, PEAK = 4, 0.05, 3
"""Steps of the offset's size are reported if at least so many pairs of dates have one, they are this share of all
pairs, and so many times more than pairs with a step of half or of one and a half times the offset."""
FACTOR, FAINT = 50, 1e-4
"""Ratio between two dates' medians that is reported where every band has it, as far as the medians are above the second
number: hardly any cloud or snow does that."""

LINEAR, FADED = -1.0, -3.0
"""Decibels: linear power taken as decibels has its dark end above the first, decibels of decibels below the second."""


def inspect(sample: Sample) -> Section:
    """Look for dates in other units at all sampled locations that have several dates."""
    meaning = (
        "Dates of one place, two by two: all bands of one date must not lie above another's by a product's offset, nor "
        "be many times as bright."
    )
    findings, table = [], []
    for sensor in sample.corpus.info.sensors:
        for unit, rule in (("reflectance", _reflectance), ("dB", _decibel)):
            bands = np.array([one == unit for one in sample.unit(sensor)])
            if bands.any() and len(ends := _pairs(sample, sensor, bands)):
                findings += rule(sensor, ends[:, :, 0], ends[:, :, 1])
                step = f"{_steps(ends[:, :, 0]).max():.3f}"
                table.append({"sensor": sensor, "unit": unit, "pairs of dates": len(ends), "largest step": step})
    idle = "" if table else f"No location has two dates of {ENOUGH} usable pixels, so there is nothing to compare."
    return Section("Dates of one place", meaning, findings, table, idle=idle)


def _pairs(sample: Sample, sensor: str, bands: Bool[ndarray, " c"]) -> Float[ndarray, "n 2 2 _"]:
    """Dark end and median of each band for every two dates of a location."""
    differences = []
    places = [positions for positions in sample.clearest(sensor, DATES).values() if len(positions) > 1][:PLACES]
    for positions in places:
        image = sample.reader.read({sensor: positions[None]})[sensor]
        pixels, valid = image.pixels[0][:, bands].numpy(), image.valid[0].numpy()
        ends = [_ends(one[:, good]) for one, good in zip(pixels, valid, strict=True) if good.sum() >= ENOUGH]
        differences += list(combinations(ends, 2))
    return np.array(differences) if differences else np.zeros((0, 2, 2, int(bands.sum())))


def _ends(values: Float[ndarray, "c n"]) -> Float[ndarray, "2 c"]:
    return np.percentile(values[:, :: max(1, values.shape[1] // PIXELS)], (DARK, 50), axis=1)


def _steps(dark: Float[ndarray, "n 2 c"]) -> Float[ndarray, " n"]:
    """By how much every band of one date is at least brighter than the other's; 0 where some are darker."""
    change = dark[:, 1] - dark[:, 0]
    return np.maximum(np.maximum(change.min(axis=1), -change.max(axis=1)), 0)


def _factors(middle: Float[ndarray, "n 2 c"]) -> Float[ndarray, " n"]:
    """By which factor every band of one date is at least brighter than the other's; 1 where some are darker."""
    ratio = np.diff(np.log(np.maximum(middle, FAINT)), axis=1)[:, 0]
    return np.exp(np.maximum(np.maximum(ratio.min(axis=1), -ratio.max(axis=1)), 0))


def _reflectance(sensor: str, dark: Float[ndarray, "n 2 c"], middle: Float[ndarray, "n 2 c"]) -> Iterator[Finding]:
    offset = sensors.get(sensor).product_offset
    if offset is not None and dark.shape[2] > 1:
        yield from _offset(sensor, _steps(dark), offset)
    factors = _factors(middle)
    if count := int((factors > FACTOR).sum()):
        what = f"{count} of {len(factors)} pairs of dates differ by a factor of up to {factors.max():.3g} in all bands"
        remedy = "if it is not cloud over water, some dates are in another scale: give them an entry with its scaling"
        yield Finding("warning", what, sensor, remedy)


def _decibel(sensor: str, dark: Float[ndarray, "n 2 c"], middle: Float[ndarray, "n 2 c"]) -> Iterator[Finding]:  # noqa: ARG001
    linear = (dark.max(axis=1) > LINEAR) & (dark.min(axis=1) < FADED)
    if count := int(linear.any(axis=1).sum()):
        what = f"in {count} of {len(dark)} pairs of dates nearly all of one is above {LINEAR} dB: some are linear power"
        remedy = "convert them, 10 * log10 of the power, or make a corpus of each kind"
        yield Finding("error", what, sensor, remedy)


def _offset(sensor: str, steps: Float[ndarray, " n"], offset: float) -> Iterator[Finding]:

    def near(size: float) -> int:
        return int((np.abs(steps - size) <= WIDTH * offset).sum())

    count = near(offset)
    if count >= max(LEAST, SHARE * len(steps)) and count >= PEAK * max(near(offset / 2), near(1.5 * offset)):
        what = (
            f"{count} of {len(steps)} pairs of dates differ by {offset:g} in all bands: some have the product's offset"
        )
        remedy = (
            "say how each file is scaled: scaling: tags, or by the processing baseline in its name, "
            "scaling: {group: baseline}; see docs/your-data.md"
        )
        yield Finding("error", what, sensor, remedy)
