"""Converting SSL4EO-L's layout: original bytes an hour and core, against reading the files alone; size on disk."""

import tempfile
import time
from pathlib import Path
from typing import Literal

import numpy as np
import rasterio

from benchmarks import Result, on_one_core, versions
from benchmarks.read import BANDS, DATES, PX, scene
from swath.corpus.sources import build, ssl4eo_l

GIGABYTE = 1e9


def run(quick: bool = False) -> Result:
    on_one_core()
    locations = 16 if quick else 256
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        rng = np.random.default_rng(0)
        for number in range(locations):
            for date in DATES:
                scene(root / "data", f"{number:07d}", date, rng)
        files = sorted((root / "data").rglob("all_bands.tif"))
        original = sum(file.stat().st_size for file in files)
        floor = _seconds_of_reading(files)
        seconds = {kind: _seconds(root, kind) for kind in ("fast", "small")}
        sizes = {kind: _size(root / kind) / original for kind in ("fast", "small")}
    ours, peer = (original / GIGABYTE / (taken / 3600) for taken in (seconds["fast"], floor))
    return Result(
        ours=ours,
        peer=peer,
        ratio=ours / peer,
        unit="GB/h per core",
        setting={
            "image": f"{len(BANDS)}x{PX}x{PX} uint8, GeoTIFF, LZW, predictor 2",
            "locations": locations,
            "peer": "rasterio reads every file",
            "size on disk over the original": sizes,
            "GB/h per core, compression small": original / GIGABYTE / (seconds["small"] / 3600),
            "clock": "processor time of one core; statistics, index and content hash included",
            "better": "ratio near 1; size 1.0 or less",
        },
        versions=versions("rasterio", "tensorstore", "numpy"),
    )


def _seconds(root: Path, compression: Literal["fast", "small"]) -> float:
    start = time.process_time()
    build(ssl4eo_l.Config(compression=compression), root / compression, root / "data")
    return time.process_time() - start


def _seconds_of_reading(files: list[Path]) -> float:
    start = time.process_time()
    for path in files:
        with rasterio.open(path) as file:
            file.read()
    return time.process_time() - start


def _size(corpus: Path) -> int:
    return sum(path.stat().st_size for path in corpus.rglob("*") if path.is_file())
