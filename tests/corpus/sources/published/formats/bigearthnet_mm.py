"""BigEarthNet-MM: a folder a patch, a file a band, and what is known of it in JSON."""

import json
from pathlib import Path

import numpy as np

from tests.corpus.sources.image_layouts import UTM, at, tif

FACTORS = {"B01": 6, "B05": 2, "B06": 2, "B07": 2, "B8A": 2, "B09": 6, "B11": 2, "B12": 2}
BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12")
PAIRS = {
    "S2A_MSIL2A_20170613T101031_87_48": "S1A_IW_GRDH_1SDV_20170613T165043_33UUP_87_48",
    "S2B_MSIL2A_20170924T93020_69_24": "S1A_IW_GRDH_1SDV_20170925T043256_35VPK_69_24",
}
LABELS = (["Non-irrigated arable land", "Rice fields", "Airports"], ["Water bodies"])


def write(root: Path, seed: int = 0) -> None:
    """Two pairs, and the lists of the split."""
    rng = np.random.default_rng(seed)
    for number, (optical, radar) in enumerate(PAIRS.items()):
        place = at(UTM, 12_000 * number)
        for band in BANDS:
            factor = FACTORS.get(band, 1)
            counts = rng.integers(0, 9000, (1, 120 // factor, 120 // factor)).astype("uint16")
            grid = at(place, 0, zoom=factor)
            tif(root / "BigEarthNet-v1.0" / optical / f"{optical}_{band}.tif", counts, "EPSG:32633", grid)
        for band in ("VV", "VH"):
            power = rng.normal(-12, 3, (1, 120, 120)).astype("float32")
            tif(root / "BigEarthNet-S1-v1.0" / radar / f"{radar}_{band}.tif", power, "EPSG:32633", place)
        said = {"labels": LABELS[number], "acquisition_date": "2017-06-13 10:10:31"}
        _say(root / "BigEarthNet-v1.0" / optical, said)
        said = {"labels": LABELS[number], "corresponding_s2_patch": optical, "acquisition_time": "2017-06-13T16:50:43"}
        _say(root / "BigEarthNet-S1-v1.0" / radar, said)
    for part, (optical, radar) in zip(("train", "test"), PAIRS.items(), strict=True):
        (root / f"bigearthnet-{part}.csv").write_text(f"{optical},{radar}\n")


def _say(folder: Path, said: dict) -> None:
    (folder / f"{folder.name}_labels_metadata.json").write_text(json.dumps(said))
