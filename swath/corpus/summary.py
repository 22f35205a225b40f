"""What a corpus holds, as tables."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from swath import sensors
from swath.corpus.store import Corpus


def info(corpus: Corpus) -> dict[str, dict[str, Any] | list[dict[str, Any]]]:
    """The content of a corpus as tables: by title, either one value a key, or rows with the same keys."""
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
        statistics = corpus.statistics.get(sensor, {}).get(band)
        names = ("mean", "std", "min", "max")
        figures = {name: "-" if statistics is None else f"{getattr(statistics, name):.4g}" for name in names}
        key = f"{sensor}/{band}"
        if statistics is not None and sensors.is_constant(key, statistics.std):
            figures["std"] = "0 (constant)"
        yield {"band": key, "unit": sensors.band(key).unit, **figures}


def _or_dash(value: object) -> str:
    return "-" if value is None else str(value)
