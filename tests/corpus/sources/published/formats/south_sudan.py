"""SustainBench's South Sudan: NumPy archives with time last and newest first, dates in JSON, the split in a table."""

import json
from pathlib import Path

import numpy as np

DATES = {"s1": ["2017-11-20", "2017-09-05", "2017-05-01"], "s2": ["2017-12-24", "2017-06-02"]}
IDS = {1: 0, 17: 1, 230: 2}
"""Part of each field's tile."""


def write(root: Path, seed: int = 0, ids: dict[int, int] | None = None) -> Path:
    folder = root / "southsudan"
    for name in ("npy", "truth", "s1", "s2"):
        (folder / name).mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for number in ids or IDS:
        name = f"southsudan_{number:06d}"
        s1 = rng.normal(-12, 3, (3, 64, 64, len(DATES["s1"])))
        s2 = rng.integers(0, 5000, (12, 64, 64, len(DATES["s2"]))).astype("float64")
        s2[:, :2, :2] = 0
        planet = np.zeros((4, 212, 212, 1), "uint16")
        np.savez_compressed(folder / "npy" / f"{name}.npz", s1=s1, s2=s2, planet=planet)
        np.savez_compressed(folder / "truth" / f"{name}.npz", truth=rng.integers(0, 7, (64, 64)))
        for sensor, dates in DATES.items():
            (folder / sensor / f"{sensor}_{name}.json").write_text(json.dumps({"dates": dates}))
    rows = "".join(f"{number},{part}\n" for number, part in (ids or IDS).items())
    (folder / "list_eval_partition.csv").write_text(f"id,partition\n{rows}")
    return folder
