"""Dates of one place that are in different units: an offset that some dates have and others have not, or another scale.

Over a year a field changes band by band, and clouds and haze brighten each band as they like. A product's offset moves
the dark end of all bands at once and by the same amount, at every place, and between no dates by half of it.
"""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from swath.corpus.checks._sample import Sample
from swath.corpus.checks._types import Finding, Section
from swath.corpus.checks.units import OFFSETS

STAGE = 2
DATES = 6
"""Chips of a location that are compared, the clearest ones."""
PLACES = 200
PIXELS = 4096
"""Of a chip, spread over it."""
DARK = 2
"""Percentile of a chip's pixels that stands for its dark end."""
WIDTH = 0.2
"""Of the offset: how far off a step may be to be that of an offset."""
LEAST, SHARE, PEAK = 4, 0.05, 3
"""So many pairs of dates, and this share of them, with such a step are reported, if they are so many times those with
a step of half or of one and a half times the offset."""
FACTOR = 50
"""Between two dates' medians in every band: no clouds and no snow do that."""


def look(sample: Sample) -> Section:
    """The sample's places with several dates."""
    meaning = (
        "Dates of one place, two by two: all bands of one date must not lie above another's by a product's offset, nor "
        "be many times as bright."
    )
    findings, table = [], []
    for sensor, layout in sample.corpus.info.sensors.items():
        optical = np.array([unit == "reflectance" for unit in sample.unit(sensor)])
        if not optical.any():
            continue
        ends = _pairs(sample, sensor, optical)
        if not len(ends):
            continue
        steps, factors = _steps(ends[:, :, 0]), _factors(ends[:, :, 1])
        findings += [*_offset(sensor, steps, len(layout.bands)), *_scale(sensor, factors)]
        row = {"sensor": sensor, "pairs of dates": len(ends)}
        table.append(
            row | {"largest step of all bands": f"{steps.max():.3f}", "largest factor": f"{factors.max():.1f}"}
        )
    return Section("Dates of one place", meaning, findings, table)


def _pairs(sample: Sample, sensor: str, optical: Bool[ndarray, " c"]) -> Float[ndarray, "n 2 2 _"]:
    """Of every two dates of a place: dark end and median of each band."""
    found = []
    places = [positions for positions in sample.clearest(sensor, DATES).values() if len(positions) > 1][:PLACES]
    for positions in places:
        image = sample.reader.read({sensor: positions[None]})[sensor]
        pixels, valid = image.pixels[0][:, optical].numpy(), image.valid[0].numpy()
        ends = [_ends(one[:, good]) for one, good in zip(pixels, valid, strict=True) if good.any()]
        found += list(combinations(ends, 2))
    return np.array(found) if found else np.zeros((0, 2, 2, int(optical.sum())))


def _ends(values: Float[ndarray, "c n"]) -> Float[ndarray, "2 c"]:
    return np.percentile(values[:, :: max(1, values.shape[1] // PIXELS)], (DARK, 50), axis=1)


def _steps(dark: Float[ndarray, "n 2 c"]) -> Float[ndarray, " n"]:
    """By how much all bands of one date are brighter than the other's; 0 where some are darker."""
    change = dark[:, 1] - dark[:, 0]
    return np.maximum(np.maximum(change.min(axis=1), -change.max(axis=1)), 0)


def _factors(middle: Float[ndarray, "n 2 c"]) -> Float[ndarray, " n"]:
    """By which factor all bands of one date are brighter than the other's; 1 where some are darker."""
    ratio = np.log(np.maximum(np.abs(middle[:, 1]), 1e-9) / np.maximum(np.abs(middle[:, 0]), 1e-9))
    return np.exp(np.maximum(np.maximum(ratio.min(axis=1), -ratio.max(axis=1)), 0))


def _offset(sensor: str, steps: Float[ndarray, " n"], bands: int) -> Iterator[Finding]:
    offset = next((size for family, size in OFFSETS.items() if sensor.startswith(family)), None)
    if offset is None or bands < 2:
        return

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


def _scale(sensor: str, factors: Float[ndarray, " n"]) -> Iterator[Finding]:
    if count := int((factors > FACTOR).sum()):
        what = f"{count} of {len(factors)} pairs of dates differ by a factor of {factors.max():.3g} in all bands"
        remedy = "some dates are in another scale than they are declared: give them an entry with a scaling of its own"
        yield Finding("error", what, sensor, remedy)
