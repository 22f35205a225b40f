"""The page of `swath explore` over 100,000 chips: seconds to its first paint, and to predict anew after a label."""

import tempfile
import threading
import time
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from benchmarks import Result, versions
from benchmarks._chromium import BINARY, Page
from swath.products.embeddings import EncoderMark, Header, Stored
from swath.products.explore import Explorer, Server
from swath.products.search import Index

ROWS, DIMS, LABELLED, CLASSES = 100_000, 512, 200, 5
PAINT_S, REFIT_S = 2.0, 1.0
"""At most."""


def run(quick: bool = False) -> Result:
    rows = 2000 if quick else ROWS
    index = _index(rows)
    with tempfile.TemporaryDirectory() as folder, Explorer.open(index, Path(folder) / "labels.jsonl") as explorer:
        painted = _first_paint(explorer) if BINARY else float("nan")
        explorer.declare_missing([f"class {i}" for i in range(CLASSES)])
        chosen = np.random.default_rng(1).choice(rows, LABELLED, replace=False)
        for i in range(CLASSES):
            explorer.give(f"class {i}", chosen[i::CLASSES].tolist())
        explorer.predict()  # statistics of all vectors are computed once
        refits = []
        for i in range(3):
            explorer.give("class 0", [i])
            refits.append(_seconds(explorer.predict))
        ours = min(refits)
        peer = _seconds(lambda: _scikit_learns(explorer))
    return Result(
        ours=ours,
        peer=peer,
        ratio=max(ours / REFIT_S, painted / PAINT_S) if BINARY else ours / REFIT_S,
        unit="s",
        setting={
            "chips": rows,
            "dimensions": DIMS,
            "labels": LABELLED,
            "classes": CLASSES,
            "ours": "fit and predictions of all chips, least of 3",
            "peer": "scikit-learn's StandardScaler and LogisticRegression on the whole matrix",
            "first paint s": round(painted, 3) if BINARY else "no Chromium",
            "s at most": f"{REFIT_S:g} (refit), {PAINT_S:g} (first paint)",
            "ratio at most": 1.0,
            "clock": "processor time of all threads; of the page wall, from the beginning of its navigation",
        },
        versions=versions("numpy", "scikit-learn"),
    )


def _first_paint(explorer: Explorer) -> float:
    """Seconds from the beginning of the page's navigation until all points are drawn."""
    with Server(explorer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with Page(1280, 800) as page:
            page.open(server.address)
            painted = page.until("performance.getEntriesByName('swath-painted')[0]?.startTime ?? 0")
        server.shutdown()
    return painted / 1000


def _scikit_learns(explorer: Explorer) -> np.ndarray:
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    x, given = explorer.index.stored.values, explorer.labels.given
    scaled = StandardScaler().fit_transform(x)
    labelled = given >= 0
    return LogisticRegression(max_iter=1000).fit(scaled[labelled], given[labelled]).predict_proba(scaled)


def _index(rows: int) -> Index:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(CLASSES, DIMS)).astype(np.float32)
    vectors = rng.standard_normal((rows, DIMS), np.float32) + centres[rng.integers(0, CLASSES, rows)]
    header = Header(
        dates="one",
        encoder=EncoderMark(identity="none", path="none", kind="none"),
        bands=("sentinel-2-l2a/B04",),
        dims=DIMS,
        dtype="float32",
        chip_px=1,
        gsd_m=1.0,
        corpus="none",
        corpus_path="none",
    )
    table = pd.DataFrame({"uid": [f"{i:07d}" for i in range(rows)], "sensor": "none", "valid": 1.0})
    table["date"] = pd.Series(pd.NaT, table.index, dtype="datetime64[us, UTC]")
    lon, lat = rng.uniform(-180, 179.9, rows), rng.uniform(-60, 75, rows)
    located = gpd.GeoDataFrame(table, geometry=shapely.box(lon, lat, lon + 0.02, lat + 0.02), crs="EPSG:4326")
    norms = np.linalg.norm(vectors, axis=1).astype(np.float32)
    uids = pd.Index(table["uid"].to_numpy(object), dtype=object)
    return Index(Path("none.parquet"), header, located, Stored(vectors, None), norms, uids)


def _seconds(work) -> float:
    """Processor time of all threads: what else a machine does changes it little."""
    start = time.process_time()
    work()
    return time.process_time() - start
