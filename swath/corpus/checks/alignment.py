"""Whether sensors, and dates of one sensor, lie on each other to a part of a pixel."""

from itertools import combinations, pairwise
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Complex, Float, UInt8
from numpy import ndarray

from swath import sensors
from swath._progress import track
from swath.corpus.checks import _register
from swath.corpus.checks._sample import Sample
from swath.corpus.checks._types import Chart, Finding, Gallery, Histogram, Offsets, Section

STAGE = 2
SMALLEST = 24
"""Chips with a side of fewer pixels are not compared: they have too few edges."""
SURE = 8.0
"""Confidence from which a displacement that many locations share is believed."""
SURE_ALONE, MEASURED = 15.0, 5
"""Confidence from which the displacement of a single pair of pictures is believed (with less, one in ten is a chance
resemblance of two borders), and the number of such pairs that a judgement needs."""
LIMIT = 0.75
"""Largest accepted displacement between two sensors, in pixels."""
ERRORS = 2.0
"""Number of standard errors by which a displacement must exceed the limit."""
BETWEEN_DATES, DATES_SHARE = 1.0, 0.2
"""Largest accepted displacement between two dates, in pixels, and the share of pairs that may exceed it."""
DATES = 6
"""Number of dates of a location that are used, the clearest ones."""
USABLE = 0.95
"""Share of usable pixels that a chip must have: a missing strip has edges of its own."""
SHOWN = 4
"""Number of locations in the gallery."""
SOFTEN = {"optical": 1.0, "radar": 1.5}
"""Smoothing in pixels before edges are looked for: speckle has edges everywhere."""


class _Views(NamedTuple):
    """Edge pictures of one sensor at one location."""

    mean: Float[ndarray, "y x"]
    """Edges averaged over all dates."""
    dates: list[Float[ndarray, "y x"]]
    """Edges of each date."""


_Part = tuple[list[Finding], list[dict[str, Any]], list[Chart]]


def inspect(sample: Sample) -> Section:
    """Measure how far every two sensors, and the dates of each sensor, are displaced against each other."""
    meaning = (
        "Displacement of the second against the first in pixels (down, right), by phase correlation of edges. Between "
        f"sensors all locations are taken together. Confidence: height of the peak over the noise, in its standard "
        f"deviations; from {SURE:g} on it is believed, from {SURE_ALONE:g} on for a single pair of pictures."
    )
    pictures = {name: layout for name, layout in sample.corpus.info.sensors.items() if sensors.get(name).kind in SOFTEN}
    layouts, parts = pictures, []
    if sample.corpus.info.chip_px >= SMALLEST:
        seen = {sensor: _views(sample, sensor) for sensor in layouts}
        parts += [
            _between(first, second, seen[first], seen[second])
            for first, second in combinations(layouts, 2)
            if layouts[first].gsd_m == layouts[second].gsd_m
        ]
        parts += [_over_time(sensor, seen[sensor]) for sensor in layouts]
    findings, table, charts = ([one for part in parts for one in part[k]] for k in range(3))
    idle = (
        f"Chips of fewer than {SMALLEST} pixels, or no two clear pictures of a place, so there is nothing to compare."
    )
    return Section("Alignment", meaning, findings, table, charts, "" if table else idle)


def _views(sample: Sample, sensor: str) -> dict[int, _Views]:
    """Edges of the sensor's finest bands, by location."""
    layout = sample.corpus.info.sensors[sensor]
    bands = [sensors.band(f"{sensor}/{name}") for name in layout.bands]
    finest = min((band.gsd_m or layout.gsd_m for band in bands if band.unit != "K"), default=0)
    channels = [i for i, band in enumerate(bands) if (band.gsd_m or layout.gsd_m) == finest]
    kind = sensors.get(sensor).kind
    share, result = sample.corpus.chips["valid"].to_numpy(), {}
    clearest = sample.clearest(sensor, DATES)
    for location, positions in track(clearest.items(), len(clearest), f"edges of {sensor}"):
        positions = positions[share[positions] >= USABLE]
        if not channels or not len(positions):
            continue
        pixels = sample.reader.read({sensor: positions[None]})[sensor].pixels[0].numpy()[:, channels]
        dates = [_register.edges(one, SOFTEN[kind]) for one in pixels]
        # speckle is averaged before edges are looked for, seasons after it: fields change their sign of contrast
        mean = _register.edges(pixels.mean(axis=0), SOFTEN[kind]) if kind == "radar" else np.mean(dates, axis=0)
        result[location] = _Views(mean, dates)
    return result


def _between(first: str, second: str, seen: dict[int, _Views], other: dict[int, _Views]) -> _Part:
    """The displacement that all locations have in common."""
    common = sorted(seen.keys() & other.keys())
    if not common:
        return [], [], []
    powers = [_register.cross_power(seen[i].mean, other[i].mean) for i in common]
    shift, title = _register.joint(powers), f"{second} against {first}"
    table = [_row(title, len(common), shift)]
    if shift.confidence < SURE:
        return [], table, []
    single = [_register.joint([power]) for power in powers]
    points = np.array([(one.down, one.right) for one in single if one.confidence >= SURE_ALONE]).reshape(-1, 2)
    charts = [
        Offsets(title, "pixels", points, (shift.down, shift.right), LIMIT),
        Gallery(f"Edges of {first} in red, of {second} in cyan", _overlays(common, seen, other)),
    ]
    if not shift.length - ERRORS * shift.error > LIMIT:  # one place alone has no error, and no finding
        return [], table, charts
    what = (
        f"{second} lies {shift.length:.2f} ± {shift.error:.2f} pixels off {first} "
        f"({shift.down:+.2f} down, {shift.right:+.2f} right; confidence {shift.confidence:.0f})"
    )
    remedy = "check the transform of both sources: pixel centres or corners, half a pixel, another grid"
    return [Finding("error", what, f"{first}, {second}", remedy)], table, charts


def _row(what: str, places: int, shift: _register.Shift) -> dict[str, Any]:
    return {
        "what": what,
        "compared": places,
        "down": f"{shift.down:+.2f}",
        "right": f"{shift.right:+.2f}",
        "length": f"{shift.length:.2f}",
        "± standard error": f"{shift.error:.2f}" if np.isfinite(shift.error) else None,
        "confidence": f"{shift.confidence:.1f}",
    }


def _over_time(sensor: str, seen: dict[int, _Views]) -> _Part:
    """Displacements between neighbouring dates, each on its own, since one product may be displaced and the
    next not.
    """
    powers: list[Complex[ndarray, "y x"]] = [
        _register.cross_power(one, other) for views in seen.values() for one, other in pairwise(views.dates)
    ]
    if not powers:
        return [], [], []
    table = [_row(f"{sensor} from date to date", len(powers), _register.joint(powers))]
    single = [_register.joint([power]) for power in powers]
    lengths = np.array([one.length for one in single if one.confidence >= SURE_ALONE])
    if len(lengths) < MEASURED:
        return [], table, []
    charts: list[Chart] = [Histogram(f"{sensor}: from date to date", "pixels", {"pairs of dates": lengths})]
    far = (lengths > BETWEEN_DATES).mean()
    what = f"{far:.0%} of {len(lengths)} pairs of dates are displaced by more than {BETWEEN_DATES:g} pixel"
    remedy = "register the dates, or leave out the products that are off"
    return [Finding("error", what, sensor, remedy)] if far > DATES_SHARE else [], table, charts


def _overlays(
    locations: list[int], first: dict[int, _Views], second: dict[int, _Views]
) -> list[tuple[str, UInt8[ndarray, "y x 3"]]]:
    """Edges of both in complementary colours: grey where they coincide."""
    shown = []
    for i in locations[:SHOWN]:
        one, other = (_grey(views[i].mean) for views in (first, second))
        shown.append((f"location {i}", np.stack([one, other, other], axis=-1)))
    return shown


def _grey(edge: Float[ndarray, "y x"]) -> UInt8[ndarray, "y x"]:
    low, high = np.percentile(edge, _register.EDGE_LIMITS)
    return (np.clip((edge - low) / max(high - low, 1e-12), 0, 1) * 255).round().astype(np.uint8)
