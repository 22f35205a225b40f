"""Values in another unit than they claim: an offset that was subtracted twice or never, decibels, scales of 10,000.

Ranges alone do not see these: reflectance that is 0.1 too low is still above the smallest one that a product may hold.
What gives them away is the dark end. Some pixel of some band (water in the infrared, shade, leaves in red) reflects
next to nothing, and nothing reflects less than nothing.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from swath import sensors
from swath.corpus.checks._sample import Sample
from swath.corpus.checks._types import Finding, Section

STAGE = 2
NEGATIVE, NEGATIVE_SHARE = -0.03, 0.05
"""Reflectance, and the share of a band's pixels below it, that are reported: atmospheric correction leaves single dark
pixels a little below 0 but not many."""
FAINT, GLARING = 0.004, 2.0
"""Median reflectances between which at least one band of any landscape lies."""
RAW_CHIPS = 16
"""Number of chips whose counts are looked at where none could be converted."""


def inspect(sample: Sample) -> Section:
    """Judge the dark end, middle and bright end of each band's sampled pixels by what its unit allows."""
    meaning = (
        "The dark end, the middle and the bright end of every band. Somewhere a band is next to 0 reflectance, and "
        "nowhere below; backscatter in decibels is negative nearly everywhere."
    )
    findings, table = [], []
    for sensor in sample.corpus.info.sensors:
        values, unit = sample.spectra(sensor), np.array(sample.unit(sensor))
        findings += _powers(sample, sensor)
        if not len(values):
            continue
        for kind, rule in (("reflectance", _reflectance), ("dB", _decibel), ("K", _kelvin), ("display", _display)):
            if (unit == kind).any():
                bands = [name for name, one in zip(_bands(sample, sensor), unit, strict=True) if one == kind]
                findings += rule(sensor, bands, values[:, unit == kind])
        quantiles = np.percentile(values, (1, 50, 99), axis=0).T
        for name, one, (dark, middle, bright) in zip(_bands(sample, sensor), unit, quantiles, strict=True):
            row = {"band": f"{sensor}/{name}", "unit": str(one)}
            table.append(row | {"1 %": f"{dark:.3g}", "median": f"{middle:.3g}", "99 %": f"{bright:.3g}"})
    idle = "" if table else "No chip of the sample has a pixel that every band saw."
    return Section("Units, scales and offsets", meaning, findings, table, idle=idle)


def _bands(sample: Sample, sensor: str) -> tuple[str, ...]:
    return sample.corpus.info.sensors[sensor].bands


def _reflectance(sensor: str, bands: list[str], values: Float[ndarray, "n c"]) -> Iterator[Finding]:
    negative = (values < NEGATIVE).mean(axis=0)
    worst = int(negative.argmax())
    middle = np.median(values, axis=0)
    if middle.max() < FAINT:
        what = f"the median reflectance is at most {middle.max():.2g}: it was scaled down twice"
        yield Finding("error", what, sensor, "leave out one of the scales: counts * scale + offset is applied once")
    elif middle.min() > GLARING:
        what = f"the median reflectance is at least {middle.min():.3g}: these are counts or percent"
        yield Finding("error", what, sensor, "declare the scale of the counts, such as 0.0001")
    elif negative[worst] > NEGATIVE_SHARE:
        what = (
            f"{negative[worst]:.0%} of the pixels of {bands[worst]} have a negative reflectance: an offset was doubled"
        )
        remedy = "apply the product's offset once; files that a provider harmonised need none"
        yield Finding("error", what, sensor, remedy)
    else:
        yield from _unsubtracted(sensor, values)


def _unsubtracted(sensor: str, values: Float[ndarray, "n c"]) -> Iterator[Finding]:
    dark = np.percentile(values, 1, axis=0)
    offset = sensors.offset_left_in(sensor, dark)
    if offset is None:
        return
    what = f"no band is darker than {dark.min():.3f} anywhere: an offset of {offset:g} was not subtracted"
    remedy = "declare the product's offset (Sentinel-2 from baseline 04.00: -0.1; Landsat Collection 2: -0.2)"
    yield Finding("error", what, sensor, remedy)


def _decibel(sensor: str, bands: list[str], values: Float[ndarray, "n c"]) -> Iterator[Finding]:
    dark, middle = np.percentile(values, (1, 50), axis=0)
    for band, low, median in zip(bands, dark, middle, strict=True):
        if low > -1:
            kind = "linear power" if median < 2 else "amplitudes or counts"
            what = f"99 % of the values are above {low:.2g}, the median is {median:.3g}: {kind} taken as decibels"
            remedy = "have the source convert: 10 * log10 of the power (decibel: true in the layout)"
            yield Finding("error", what, f"{sensor}/{band}", remedy)


def _kelvin(sensor: str, bands: list[str], values: Float[ndarray, "n c"]) -> Iterator[Finding]:
    for band, median in zip(bands, np.median(values, axis=0), strict=True):
        if not 180 < median < 350:
            what = f"the median is {median:.3g}: this is no temperature in kelvin"
            remedy = "declare scale and offset (Landsat Collection 2: 0.00341802 and 149)"
            yield Finding("error", what, f"{sensor}/{band}", remedy)


def _display(sensor: str, bands: list[str], values: Float[ndarray, "n c"]) -> Iterator[Finding]:  # noqa: ARG001
    brightest = np.percentile(values, 99, axis=0).max()
    if 0 < brightest < 0.02:
        what = f"99 % of the values are below {brightest:.2g} of white: they were divided by 255 twice"
        yield Finding("error", what, sensor, "store 0..255, or declare a scale of 1")


def _powers(sample: Sample, sensor: str) -> Iterator[Finding]:
    """A finding where decibels were taken as linear power: those have no logarithm, so only the counts can tell."""
    layout = sample.corpus.info.sensors[sensor]
    rows = sample.chips(sensor)["row"].to_numpy()[:RAW_CHIPS]
    if not layout.decibel or not len(rows):
        return
    counts = sample.stored(sensor, rows)[0].astype(np.float64)
    scale, offset = (np.array(numbers)[:, None, None] for numbers in (layout.scale, layout.offset))
    scaled = sensors.physical(counts, scale, offset)
    there = np.isfinite(counts) & (counts != layout.nodata)
    if there.any() and (scaled[there] < 0).mean() > 0.5:
        share = (scaled[there] < 0).mean()
        what = f"{share:.0%} of the counts are negative, and have no logarithm: decibels taken as linear power"
        yield Finding("error", what, sensor, "the counts are decibels already: decibel: false in the layout")
