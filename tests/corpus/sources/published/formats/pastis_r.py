"""PASTIS-R: NumPy series of 128 x 128 px patches, and one table for all of them."""

import json
from pathlib import Path

import numpy as np

IDS = (10000, 10001, 20003, 30004, 40005)
LENGTHS = {"S2": 4, "S1A": 5, "S1D": 3}


def dates(kind: str, number: int) -> list[int]:
    """Of a patch; those of its optical series are not in the order of time."""
    if kind == "S2":
        return [20190103, 20180917, 20180924, 20181002 + number]
    return [20180901 + 3 * k + number for k in range(LENGTHS[kind])]


def write(root: Path, ids=IDS, kinds=("S2", "S1A", "S1D"), seed: int = 0) -> Path:
    """One patch a fold; dates are mappings, texts of mappings with single quotes, or shuffled mappings."""
    folder = root / "PASTIS-R"
    rng = np.random.default_rng(seed)
    for name in ("ANNOTATIONS", *(f"DATA_{kind}" for kind in kinds)):
        (folder / name).mkdir(parents=True, exist_ok=True)
    features = []
    for number, patch in enumerate(ids):
        said = {"ID_PATCH": patch, "Fold": number % 5 + 1, "TILE": "T31TFM", "N_Parcel": 3, "id": patch}
        for kind in LENGTHS:
            listed = {str(k): date for k, date in enumerate(dates(kind, number))}
            said[f"dates-{kind}"] = [listed, str(listed), dict(reversed(listed.items()))][number % 3]
        for kind in kinds:
            np.save(folder / f"DATA_{kind}" / f"{kind}_{patch}.npy", _series(rng, kind))
        target = rng.integers(0, 20, (3, 128, 128)).astype("uint8")
        np.save(folder / "ANNOTATIONS" / f"TARGET_{patch}.npy", target)
        np.save(folder / "ANNOTATIONS" / f"ParcelIDs_{patch}.npy", rng.integers(0, 9, (128, 128)))
        x, y = 900_000 + 1280 * number, 6_500_000
        square = [[x, y], [x + 1280, y], [x + 1280, y + 1280], [x, y + 1280], [x, y]]
        geometry = {"type": "MultiPolygon", "coordinates": [[square]]}
        features.append({"type": "Feature", "id": str(patch), "properties": said, "geometry": geometry})
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::2154"}}
    table = {"type": "FeatureCollection", "crs": crs, "features": features}
    (folder / "metadata.geojson").write_text(json.dumps(table))
    return folder


def _series(rng: np.random.Generator, kind: str) -> np.ndarray:
    if kind == "S2":
        counts = rng.integers(-200, 9000, (LENGTHS[kind], 10, 128, 128)).astype("int16")
        counts[1, 3, :4, :4] = -10_000
        return counts
    return rng.normal(-12, 3, (LENGTHS[kind], 3, 128, 128)).astype("float16")
