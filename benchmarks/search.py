"""The exact top 100 of a million vectors of 128 bytes, against NumPy's product of the whole matrix in float32."""

import time
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd

from benchmarks import Result, versions
from swath.products.embeddings import EncoderMark, Header, Quantisation, Stored
from swath.products.search import Asked, Index, find

ROWS, DIMS, COUNT = 1_000_000, 128, 100
LIMIT_MS = 50.0


def run(quick: bool = False) -> Result:
    rows = 20_000 if quick else ROWS
    rng = np.random.default_rng(0)
    stored = rng.integers(-127, 128, (rows, DIMS), dtype=np.int8)
    scale = rng.uniform(0.01, 0.02, DIMS)
    index = _index(stored, scale)
    uids = index.table["uid"].iloc[rng.integers(0, rows, 12)].tolist()
    ours = min(_milliseconds(lambda uid=uid: find(index, Asked(like=(uid,)), count=COUNT)) for uid in uids)
    whole = (stored * scale.astype(np.float32)) / index.norms[:, None]
    peer = min(_milliseconds(lambda i=i: np.argpartition(whole @ whole[i], rows - COUNT)) for i in range(5))
    return Result(
        ours=ours,
        peer=peer,
        ratio=ours / LIMIT_MS,
        unit="ms",
        setting={
            "vectors": rows,
            "dimensions": DIMS,
            "type": "int8, a scale per dimension",
            "found": COUNT,
            "peer": "float32 matrix of unit vectors in memory (4 times the bytes), one product, argpartition",
            "ms at most": LIMIT_MS,
            "clock": "wall, least of 12",
            "ratio at most": 1.0,
        },
        versions=versions("numpy"),
    )


def _index(stored: np.ndarray, scale: np.ndarray) -> Index:
    header = Header(
        dates="one",
        encoder=EncoderMark(identity="none", path="none", kind="none"),
        bands=("sentinel-2-l2a/B04",),
        dims=stored.shape[1],
        dtype="int8",
        chip_px=1,
        gsd_m=1.0,
        corpus="none",
        corpus_path="none",
        quantisation=Quantisation(method="linear", scale=tuple(scale.tolist())),
    )
    table = pd.DataFrame({"uid": [f"{i:07d}" for i in range(len(stored))], "sensor": "none", "valid": 1.0})
    table["date"] = pd.Series(pd.NaT, table.index, dtype="datetime64[us, UTC]")
    geometry = gpd.GeoSeries(np.full(len(stored), None), crs="EPSG:4326")
    norms = np.concatenate([np.linalg.norm(part * scale, axis=1) for part in np.array_split(stored, 100)])
    held = Stored(stored, header.quantisation)
    return Index(
        Path("none"),
        header,
        gpd.GeoDataFrame(table, geometry=geometry),
        held,
        norms.astype(np.float32),
        pd.Index(table["uid"].to_numpy(object), dtype=object),
    )


def _milliseconds(work) -> float:
    start = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - start)
