"""Looking into a built corpus without swath's reader."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import zarr

from swath import plugins
from swath.corpus import Corpus
from swath.corpus.sources import build

Chips = dict[tuple[str, str | None], np.ndarray]


def made(name: str, data: Path, target: Path, **settings) -> Corpus:
    """The corpus of a format, with settings as a recipe gives them."""
    config = plugins.find("swath.corpus.sources", name).Config.model_validate({"name": name} | settings)
    build(config, target, data)
    return Corpus.open(target)


def counts(corpus: Corpus, sensor: str) -> Chips:
    """Stored counts by location and date, read by zarr."""
    array = zarr.open_group(corpus.path / "pixels" / f"{sensor}.zarr", mode="r")["pixels"]
    return _by_key(corpus, sensor, array)


def valid(corpus: Corpus, sensor: str) -> Chips:
    return _by_key(corpus, sensor, zarr.open_group(corpus.path / "valid" / f"{sensor}.zarr", mode="r")["valid"])


def _by_key(corpus: Corpus, sensor: str, array) -> Chips:
    chips = corpus.chips_of(sensor)
    dates = chips["datetime"].dt.strftime("%Y%m%d")
    return {
        (uid, None if pd.isna(date) else date): np.asarray(array[row])
        for uid, date, row in zip(chips["uid"], dates, chips["row"], strict=True)
    }


def log(corpus: Corpus) -> list[dict]:
    path = corpus.path / "log.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
