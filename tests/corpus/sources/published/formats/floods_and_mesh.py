"""Sen1Floods11 and TerraMesh: GeoTIFFs named by chip, a folder a product."""

import json
from pathlib import Path

import numpy as np
from affine import Affine

from tests.corpus.sources.image_layouts import UTM, tif

CHIPS = ("Ghana_103272", "Spain_7370579")
DEGREES = Affine(8.983152841195184e-05, 0, -0.78, 0, -8.983152841195184e-05, 38.13)
PATCHES = ("282D_485L_3_3", "637U_59R_1_3")


def sen1floods11(root: Path, seed: int = 0) -> Path:
    """Two hand-labelled chips where v1.1 has them, with metadata of one flood and the official lists."""
    rng = np.random.default_rng(seed)
    hand = root / "v1.1" / "data" / "flood_events" / "HandLabeled"
    for chip in CHIPS:
        radar = rng.normal(-12, 3, (2, 512, 512)).astype("float32")
        radar[:, :3, :3] = np.nan
        optical = rng.integers(0, 5000, (13, 512, 512)).astype("int16")
        water = rng.integers(-1, 2, (1, 512, 512)).astype("int16")
        for kind, pixels in (("S1Hand", radar), ("S2Hand", optical), ("LabelHand", water)):
            tif(hand / kind / f"{chip}_{kind}.tif", pixels, "EPSG:4326", DEGREES)
    said = {"location": "Spain", "s1_date": "2019/09/17", "s2_date": "2019/09/18", "orbit": "DESCENDING"}
    table = {"type": "FeatureCollection", "features": [{"type": "Feature", "properties": said, "geometry": None}]}
    (root / "v1.1" / "Sen1Floods11_Metadata.geojson").write_text(json.dumps(table))
    lists = root / "v1.1" / "splits" / "flood_handlabeled"
    lists.mkdir(parents=True)
    for name, chip in zip(("flood_train_data.csv", "flood_test_data.csv"), CHIPS, strict=True):
        (lists / name).write_text(f"{chip}_S1Hand.tif,{chip}_LabelHand.tif\n")
    return hand


def terramesh(root: Path, seed: int = 0) -> None:
    """Two aligned patches; elevation comes with them and is not read."""
    rng = np.random.default_rng(seed)
    for patch in PATCHES:
        optical = rng.integers(1, 9000, (12, 224, 224)).astype("int16")
        optical[3, 0, 0] = 0
        products = {
            "S2L2A": optical,
            "S1RTC": rng.normal(-12, 3, (2, 224, 224)).astype("float32").astype("float64"),
            "LULC": rng.integers(0, 10, (1, 224, 224)).astype("uint8"),
            "DEM": np.zeros((1, 224, 224), "int16"),
        }
        for product, pixels in products.items():
            tif(root / product / f"{patch}.tif", pixels, "EPSG:32722", UTM)
