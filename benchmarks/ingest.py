"""Converting SSL4EO-L's layout: original bytes an hour and core, against reading the files alone; size on disk."""

import os
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning

from benchmarks import Result, on_one_core, versions
from benchmarks.read import BANDS, DATES, PX, SENSOR, landscape, write_scene
from swath.corpus import eight_bit
from swath.corpus.sources import build
from swath.corpus.sources.published import ssl4eo_l
from swath.corpus.store.format import SensorLayout

GIGABYTE = 1e9


def run(quick: bool = False) -> Result:
    on_one_core()
    locations = 16 if quick else 256
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        picture, content = _pictures()
        for number in range(locations):
            for date in DATES:
                write_scene(root / "data", f"{number:07d}", date, picture())
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
            "content": content,
            "locations": locations,
            "peer": "rasterio reads every file",
            "size on disk over the original": sizes,
            "GB/h per core, compression small": original / GIGABYTE / (seconds["small"] / 3600),
            "clock": "processor time of one core; statistics, index and content hash included",
            "better": "ratio near 1; size 1.0 or less",
        },
        versions=versions("rasterio", "tensorstore", "numpy"),
    )


def _pictures() -> tuple[Callable[[], np.ndarray], str]:
    """Makes 8-bit images: of real surface reflectance where it is there, since noise is not compressed alike."""
    rng = np.random.default_rng(0)
    folder = Path(os.environ.get("SWATH_DATA", Path(__file__).parents[2] / "shared" / "data")) / "hls_water" / "images"
    files = sorted(folder.glob("*.tif"))
    if not files:
        return lambda: landscape(rng), "smooth structure and noise of two counts"
    counts = SensorLayout(bands=BANDS, gsd_m=30, dtype="int16", scale=(1e-4,) * len(BANDS))
    chips = []
    for path in files:
        with warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning), rasterio.open(path) as file:
            chips.append(eight_bit.encode(file.read(range(1, len(BANDS) + 1)), SENSOR, counts))
    side = -(-PX // chips[0].shape[-1])

    def mosaic() -> np.ndarray:
        chosen = rng.choice(len(chips), (side, side))
        return np.block([[chips[i] for i in row] for row in chosen])[..., :PX, :PX]

    return mosaic, f"mosaics of {len(files)} real HLS chips, 8 bits by SSL4EO-L's table"


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
