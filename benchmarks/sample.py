"""Drawing 250,000 locations around 10,000 cities and rejecting overlap, against one by one with an R-tree."""

import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import shapely

from benchmarks import Result, on_one_core, versions
from swath.corpus.places import Footprint, draw
from swath.corpus.places.cities import DEGREES_PER_KM, Config

COUNT, CITIES = 250_000, 10_000
SIDE = Footprint(264, 30.0, anchor_m=15.0)


def run(quick: bool = False) -> Result:
    on_one_core()
    count, cities = (5_000, 500) if quick else (COUNT, CITIES)
    with tempfile.TemporaryDirectory() as folder:
        table = _cities(Path(folder) / "cities.csv", cities)
        ours = _rate(lambda: len(draw(Config(places=table, count=count), SIDE)))
        peer = _rate(lambda: _one_by_one(table, 1_000 if quick else 5_000))
    return Result(
        ours=ours,
        peer=peer,
        ratio=ours / peer,
        unit="locations/s on one core",
        setting={
            "locations": count,
            "cities": cities,
            "seconds": count / ours,
            "seconds at most": 60,
            "peer": "the same rule in degrees, a Python loop over an R-tree that is rebuilt every 100 locations",
            "clock": "processor time",
            "better": "higher",
        },
        versions=versions("shapely", "scipy", "pyproj", "numpy"),
    )


def _cities(path: Path, count: int) -> Path:
    """Places over the middle latitudes; where exactly matters little to the time."""
    rng = np.random.default_rng(0)
    table = {"name": "x", "lon": rng.uniform(-180, 180, count), "lat": rng.uniform(-55, 65, count)}
    pd.DataFrame({**table, "population": rng.integers(10_000, 10_000_000, count)}).to_csv(path, index=False)
    return path


def _rate(work) -> float:
    start = time.process_time()
    return work() / (time.process_time() - start)


def _one_by_one(path: Path, count: int) -> int:
    table, rng = pd.read_csv(path), np.random.default_rng(0)
    sigma, half = 50 * DEGREES_PER_KM, SIDE.side_m / 2000 * DEGREES_PER_KM
    boxes: list[shapely.Polygon] = []
    tree, indexed = shapely.STRtree([]), 0
    while len(boxes) < count:
        row = table.iloc[rng.integers(len(table))]
        lon, lat = rng.normal(row["lon"], sigma), rng.normal(row["lat"], sigma)
        box = shapely.box(lon - half, lat - half, lon + half, lat + half)
        if len(tree.query(box, predicate="intersects")) or any(box.intersects(one) for one in boxes[indexed:]):
            continue
        boxes.append(box)
        if len(boxes) - indexed == 100:
            tree, indexed = shapely.STRtree(boxes), len(boxes)
    return count
