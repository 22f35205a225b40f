"""Looking for what would spoil an experiment, and saying what a corpus holds."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Shaped
from numpy import ndarray

from swath import sensors
from swath._progress import track
from swath.corpus import _arrays
from swath.corpus._part import undeclared
from swath.corpus.format import Corpus, SensorLayout, label_path, pixel_path, valid_path
from swath.corpus.statistics import band_statistics

BLOCK = 64
"""Chips or label maps in memory at a time."""
SUSPICIOUS = 0.01
"""Share of valid pixels outside a band's plausible range from which on it is reported."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong (error) or may be (warning)."""

    level: Literal["error", "warning"]
    what: str
    where: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}\n  where: {self.where}\n  do:    {self.remedy}"


def check(corpus: Corpus) -> list[Finding]:
    """Everything that is wrong or suspicious; reads all pixels, in constant memory. Errors come first."""
    found = [*_check_index(corpus), *_check_arrays(corpus)]
    if not _failed(found):  # else the pixels cannot be read reliably
        found += [finding for sensor in corpus.info.sensors for finding in _check_pixels(corpus, sensor)]
        found += [finding for layer in corpus.label_layers for finding in _check_labels(corpus, layer)]
    if not _failed(found):  # else the statistics are those of wrong pixels
        found += _check_statistics(corpus)
    return sorted(found, key=lambda finding: finding.level)


def _failed(findings: list[Finding]) -> bool:
    return any(finding.level == "error" for finding in findings)


def _check_index(corpus: Corpus) -> Iterator[Finding]:
    locations, chips = corpus.locations, corpus.chips
    if not corpus.info.complete:
        remedy = "give the command that built it again: it continues"
        yield Finding("warning", "the corpus is not finished", str(corpus.path), remedy)
    for uid in sorted(set(locations["uid"].to_numpy()[locations["uid"].duplicated()])):
        yield Finding("error", f"two locations have the id {uid!r}", str(corpus.path), "build the corpus again")
    strangers = ~chips["location"].between(0, len(locations) - 1)
    if strangers.any():
        remedy = "restore locations.parquet and chips.parquet from the same build"
        yield Finding("error", f"{strangers.sum()} chips belong to no location", str(corpus.path), remedy)
    for sensor in sorted(set(chips["sensor"]) - set(corpus.info.sensors)):
        remedy = "restore corpus.json, or build the corpus again"
        yield Finding("error", f"chips of {sensor}, which corpus.json does not declare", str(corpus.path), remedy)
    yield from _check_chips(corpus)


def _check_chips(corpus: Corpus) -> Iterator[Finding]:
    chips = corpus.chips
    empty = pd.DataFrame(chips[chips["valid"] == 0])
    if len(empty):
        remedy = "nothing has to be done: such chips are never read"
        yield Finding("warning", f"{len(empty)} of {len(chips)} chips have no usable pixel", _some(empty), remedy)
    same = pd.DataFrame(chips[(chips["valid"] > 0) & chips.duplicated(["sensor", "digest"], keep=False)])
    if len(same):
        remedy = "remove copies of files, and make sure that both do not end on different sides of a split"
        yield Finding("warning", f"{len(same)} chips have the same pixels as another", _some(same), remedy)
    if childless := len(corpus) - len(set(chips["location"])):
        remedy = "nothing has to be done: such locations are never read"
        yield Finding("warning", f"{childless} locations have no chip", str(corpus.path), remedy)


def _some(chips: pd.DataFrame) -> str:
    first = chips.head(3)
    names = [" ".join(filter(None, row)) for row in zip(first["uid"], first["sensor"], first["source"], strict=True)]
    return ", ".join(names) + (", …" if len(chips) > 3 else "")


def _check_arrays(corpus: Corpus) -> Iterator[Finding]:
    """Every array is there, and has a row for everything that the index names."""
    for path, name, count in _wanted_arrays(corpus):
        remedy = "restore the folder, or build the corpus again"
        if not _arrays.exists(path, name):
            yield Finding("error", f"the array of {name} is missing", str(path), remedy)
        elif (there := _arrays.open_array(path, name).shape[0]) < count:
            yield Finding("error", f"the index names {count} rows of {name}, {there} are there", str(path), remedy)


def _wanted_arrays(corpus: Corpus) -> Iterator[tuple[Path, str, int]]:
    """Group, array and number of rows of all that the index needs."""
    for sensor in corpus.info.sensors:
        chips = corpus.chips_of(sensor)
        if len(chips):
            rows = 1 + int(chips["row"].to_numpy().max())
            yield pixel_path(corpus.path, sensor), "pixels", rows
            if (chips["valid"].to_numpy() < 1).any():
                yield valid_path(corpus.path, sensor), "valid", rows
    for name in corpus.label_layers:
        yield label_path(corpus.path, name), "labels", len(corpus)


def _check_pixels(corpus: Corpus, sensor: str) -> Iterator[Finding]:
    """Values that are not finite or not plausible, among those marked as valid."""
    layout = corpus.info.sensors[sensor]
    chips = corpus.chips_of(sensor)
    outside, count = np.zeros(len(layout.bands)), 0
    broken: list[str] = []
    for start in track(range(0, len(chips), BLOCK), None, f"checking {sensor}"):
        block = chips.iloc[start : start + BLOCK]
        counts, valid = _stored(corpus, sensor, block["row"].to_numpy())
        unusable = ~layout.usable(counts) & valid
        broken += block["uid"][unusable.any(axis=(1, 2))].tolist()
        good = valid & ~unusable
        outside += _outside(counts, good, sensor, layout)
        count += int(good.sum())
    if broken:
        what = f"{len(broken)} chips hold nodata or non-finite values that are not marked as invalid"
        yield Finding("error", what, f"{sensor}: {', '.join(broken[:3])}", "build the corpus again")
    for band, share in zip(layout.bands, outside / max(count, 1), strict=True):
        if share > SUSPICIOUS:
            low, high = sensors.get(sensor).range_of(band)
            what = f"{share:.1%} of the valid pixels lie outside {low:g}..{high:g}"
            yield Finding("warning", what, f"{sensor}/{band}", "check scale, offset and nodata of the source")


def _stored(corpus: Corpus, sensor: str, rows: ndarray) -> tuple[Shaped[ndarray, "n c y x"], Bool[ndarray, "n y x"]]:
    counts = _arrays.open_array(pixel_path(corpus.path, sensor), "pixels")[rows].read().result()
    if not _arrays.exists(path := valid_path(corpus.path, sensor), "valid"):
        return counts, np.ones(counts[:, 0].shape, bool)
    return counts, _arrays.open_array(path, "valid")[rows].read().result()


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


def _check_labels(corpus: Corpus, name: str) -> Iterator[Finding]:
    unknown: set[int] = set()
    for start in range(0, len(corpus), BLOCK):
        codes = corpus.labels(name, range(start, min(start + BLOCK, len(corpus))))
        unknown |= undeclared(codes, corpus.label_layers[name])
    if unknown:
        what = f"codes that are not declared: {', '.join(map(str, sorted(unknown)))}"
        yield Finding(
            "error", what, f"label layer {name}", "declare them as classes or void, and build the corpus again"
        )


def _check_statistics(corpus: Corpus) -> Iterator[Finding]:
    if not corpus.info.complete:
        return
    for sensor, bands in band_statistics(corpus).items():
        for band, now in bands.items():
            stored = corpus.statistics.get(sensor, {}).get(band)
            if stored is None or not np.allclose([stored.mean, stored.std], [now.mean, now.std], rtol=1e-6, atol=1e-9):
                what = "the stored statistics are not those of the pixels"
                yield Finding(
                    "error", what, f"{sensor}/{band}", "build the corpus again: pixels were changed afterwards"
                )


def info(corpus: Corpus) -> dict[str, dict[str, Any] | list[dict[str, Any]]]:
    """What a corpus holds, as tables: by title either one value a key, or rows with the same keys."""
    tables: dict[str, dict[str, Any] | list[dict[str, Any]]] = {
        "corpus": _summary(corpus),
        "sensors": [_sensor_row(corpus, sensor) for sensor in corpus.info.sensors],
        "bands": [row for sensor in corpus.info.sensors for row in _band_rows(corpus, sensor)],
    }
    if corpus.label_layers:
        tables["labels"] = [
            {"layer": name, "classes": ", ".join(layer.classes.values()), "void": _or_dash(layer.void)}
            for name, layer in corpus.label_layers.items()
        ]
    return tables


def _summary(corpus: Corpus) -> dict[str, Any]:
    locations = corpus.locations
    lon, lat = locations["lon"].dropna(), locations["lat"].dropna()
    here = f"lon {lon.min():.2f}..{lon.max():.2f}, lat {lat.min():.2f}..{lat.max():.2f}" if len(lon) else "unknown"
    splits = locations["split"].value_counts()
    return {
        "path": corpus.path,
        "state": "complete" if corpus.info.complete else "being built: statistics and hash are missing",
        "locations": len(locations),
        "groups": locations["group"].nunique(),
        "chips": len(corpus.chips),
        "chip size": f"{corpus.info.chip_px} px",
        "where": here,
        "given split": ", ".join(f"{name} {count}" for name, count in splits.items()) or "none",
        "licences": ", ".join(corpus.info.licences) or "not stated",
        "content hash": corpus.content_hash,
    }


def _sensor_row(corpus: Corpus, sensor: str) -> dict[str, Any]:
    layout = corpus.info.sensors[sensor]
    chips = corpus.chips_of(sensor)
    when = pd.Series(chips["datetime"]).dropna()
    return {
        "sensor": sensor,
        "bands": len(layout.bands),
        "gsd": f"{layout.gsd_m:g} m",
        "stored as": layout.dtype,
        "chips": len(chips),
        "per location": f"{len(chips) / max(len(corpus), 1):.1f}",
        "dates": f"{when.min():%Y-%m-%d} … {when.max():%Y-%m-%d}" if len(when) else "unknown",
        "usable": f"{chips['valid'].mean():.1%}" if len(chips) else "-",
    }


def _band_rows(corpus: Corpus, sensor: str) -> Iterator[dict[str, Any]]:
    for band in corpus.info.sensors[sensor].bands:
        found = corpus.statistics.get(sensor, {}).get(band)
        names = ("mean", "std", "min", "max")
        figures = {name: "-" if found is None else f"{getattr(found, name):.4g}" for name in names}
        yield {"band": f"{sensor}/{band}", "unit": sensors.band(f"{sensor}/{band}").unit, **figures}


def _or_dash(value: object) -> str:
    return "-" if value is None else str(value)
