"""Nodata, values that are not finite, and values that no such instrument measures."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Shaped
from numpy import ndarray

from swath import sensors
from swath.corpus.checks._sample import Sample
from swath.corpus.checks._types import Finding, Histogram, Section
from swath.corpus.checks.copies import first_series
from swath.corpus.store import SensorLayout

STAGE = 2
FILLERS = (0, -9999, -32768, 32767, 65535)
"""Values that providers commonly store where nothing was measured."""
FILLED = 0.05
"""Share of a band's valid pixels with such a value from which it is reported."""
SUSPICIOUS = 0.01
"""Share of a band's valid pixels outside its plausible range from which it is reported."""


def inspect(sample: Sample) -> Section:
    """Count impossible values, and values that mean nodata, among all pixels of the sample."""
    meaning = (
        "Pixels without a value must be marked as invalid, and valid ones lie in the range that the sensor can measure."
    )
    findings, table = [*_empty(sample)], []
    for sensor in sample.corpus.info.sensors:
        of_sensor, rows = _pixels(sample, sensor)
        findings += of_sensor
        table += rows
    valid_shares = {sensor: sample.chips(sensor)["valid"].to_numpy(np.float64) for sensor in sample.corpus.info.sensors}
    partly = {sensor: shares[shares < 1] for sensor, shares in valid_shares.items() if (shares < 1).any()}
    charts = [Histogram("Chips that are not wholly usable", "share of usable pixels", partly)] if partly else []
    return Section("Nodata and ranges", meaning, findings, table, charts)


def _empty(sample: Sample) -> Iterator[Finding]:
    chips = sample.corpus.chips
    empty = pd.DataFrame(chips[chips["valid"] == 0])
    if len(empty):
        remedy = "nothing has to be done: such chips are never read"
        yield Finding(
            "warning", f"{len(empty)} of {len(chips)} chips have no usable pixel", first_series(empty), remedy
        )


def _pixels(sample: Sample, sensor: str) -> tuple[list[Finding], list[dict]]:
    layout = sample.corpus.info.sensors[sensor]
    outside, count, total = np.zeros(len(layout.bands)), 0, 0
    filled = np.zeros((len(layout.bands), len(FILLERS)))
    broken: list[str] = []
    for chips, counts, valid in sample.blocks(sensor):
        unusable = ~layout.usable(counts) & valid
        broken += chips["uid"][unusable.any(axis=(1, 2))].tolist()
        good = valid & ~unusable
        outside += _outside(counts, good, sensor, layout)
        filled += _filled(counts, good)
        count += int(good.sum())
        total += good.size
    findings, table = [], []
    if broken:
        what = f"{len(broken)} chips hold nodata or non-finite values that are not marked as invalid"
        findings.append(Finding("error", what, f"{sensor}: {', '.join(broken[:3])}", "build the corpus again"))
    for band, share in zip(layout.bands, outside / max(count, 1), strict=True):
        low, high = sensors.get(sensor).range_of(band)
        table.append(
            {
                "band": f"{sensor}/{band}",
                "plausible": f"{low:g} to {high:g}",
                "outside": f"{share:.2%}",
                "usable pixels": f"{count / max(total, 1):.1%}",
            }
        )
        findings += _unmarked(f"{sensor}/{band}", filled[len(table) - 1] / max(count, 1))
        if share > SUSPICIOUS:
            what = f"{share:.1%} of the valid pixels lie outside {low:g}..{high:g}"
            remedy = "check scale, offset and nodata of the source"
            findings.append(Finding("warning", what, f"{sensor}/{band}", remedy))
    return findings, table


def _filled(counts: Shaped[ndarray, "n c y x"], good: Bool[ndarray, "n y x"]) -> Float[ndarray, "c f"]:
    """How many good pixels of each band have each of the filler values."""
    limits = np.iinfo(counts.dtype) if counts.dtype.kind != "f" else np.finfo(counts.dtype)
    low, high = float(limits.min), float(limits.max)  # in half precision itself, 65535 overflows
    possible = [low <= value <= high for value in FILLERS]
    result = np.zeros((counts.shape[1], len(FILLERS)))
    for i, of_band in enumerate(result):
        band = counts[:, i][good]
        of_band[possible] = [np.count_nonzero(band == value) for value in np.array(FILLERS)[possible].tolist()]
    return result


def _unmarked(band: str, shares: Float[ndarray, " f"]) -> Iterator[Finding]:
    """A finding where one value makes up much of a band and is nowhere declared as nodata."""
    worst = int(shares.argmax())
    if shares[worst] > FILLED:
        what = f"{shares[worst]:.0%} of the valid pixels hold the count {FILLERS[worst]}: nodata that no tag tells?"
        remedy = "if nothing was measured there, declare it: nodata, or invalid_values where all bands have it"
        yield Finding("warning", what, band, remedy)


def _outside(
    counts: Shaped[ndarray, "n c y x"], good: Bool[ndarray, "n y x"], sensor: str, layout: SensorLayout
) -> Float[ndarray, " c"]:
    """Number of good pixels outside the plausible range of each band; half a count of tolerance for rounding."""
    result = []
    for i, band in enumerate(layout.bands):
        low, high = sensors.get(sensor).range_of(band)
        values = layout.physical(counts[:, i][good], i)
        slack = 1e-3 if layout.decibel else abs(layout.scale[i]) / 2
        result.append(float(((values < low - slack) | (values > high + slack)).sum()))
    return np.array(result)
