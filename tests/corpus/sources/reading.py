"""What a corpus holds, read by TensorStore and pandas, not by swath's reader. (zarr is slow with single pixels.)"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorstore as ts

from swath import plugins
from swath.corpus import Corpus
from swath.corpus.sources import build


def made(name: str, data: Path | None, target: Path, **settings: Any) -> Corpus:
    """The corpus of a format, with settings as a recipe gives them."""
    config = plugins.find("swath.corpus.sources", name).Config.model_validate({"name": name} | settings)
    build(config, target, data)
    return Corpus.open(target)


def stored(corpus: Corpus, sensor: str) -> dict[tuple[str, str | None], np.ndarray]:
    """Counts of every chip by location and date."""
    counts = _array(corpus.path / "pixels" / f"{sensor}.zarr" / "pixels")
    chips = corpus.chips[corpus.chips["sensor"] == sensor]
    dates = chips["datetime"].dt.strftime("%Y-%m-%d")
    keys = zip(chips["uid"], _known(dates), strict=True)
    return {key: counts[row] for key, row in zip(keys, chips["row"], strict=True)}


def _array(path: Path) -> np.ndarray:
    return ts.open({"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{path}/"}}).result().read().result()


def _known(dates: pd.Series) -> list[str | None]:
    return [None if pd.isna(date) else date for date in dates]


def valid(corpus: Corpus, sensor: str) -> dict[tuple[str, str | None], np.ndarray]:
    """Validity of every chip by location and date; empty where all is valid."""
    path = corpus.path / "valid" / f"{sensor}.zarr"
    if not path.exists():
        return {}
    good = _array(path / "valid")
    chips = corpus.chips[corpus.chips["sensor"] == sensor]
    dates = chips["datetime"].dt.strftime("%Y-%m-%d")
    keys = zip(chips["uid"], _known(dates), strict=True)
    return {key: good[row] for key, row in zip(keys, chips["row"], strict=True)}


def labels(corpus: Corpus, layer: str) -> dict[str, np.ndarray]:
    """Class codes by location."""
    codes = _array(corpus.path / "labels" / f"{layer}.zarr" / "labels")
    return dict(zip(corpus.locations["uid"], codes, strict=True))


def log(corpus: Corpus) -> list[dict[str, Any]]:
    path = corpus.path / "log.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
