"""S2-100K in its true layout: a table of coordinates, and images in the zones of these."""

from pathlib import Path

import pandas as pd
from affine import Affine
from pyproj import Transformer

from tests.corpus.sources.image_layouts import noise, tif

PLACES = {
    "patch_75123.tif": (-68.2091418648589, -54.18078401057424, "EPSG:32719"),
    "patch_70975.tif": (9.519603756652518, 35.99298294340872, "EPSG:32632"),
    "patch_9.tif": (-179.95, -16.6, "EPSG:32701"),
}
"""Longitude, latitude and zone."""


def write(root: Path) -> None:
    """The table in the columns of the published one, and its images."""
    for number, (name, (lon, lat, zone)) in enumerate(PLACES.items()):
        x, y = Transformer.from_crs("EPSG:4326", zone, always_xy=True).transform(lon, lat)
        pixels = noise(number, (12, 256, 256), 1, 9000, "uint16")
        grid = Affine(10, 0, 5 * round(x / 5) - 1280, 0, -10, 5 * round(y / 5) + 1280)
        tif(root / "images" / name, pixels, zone, grid, compress="lzw", tiled=True, interleave="pixel")
    rows = [(lat, lon, f"https://example.org/{name}", name) for name, (lon, lat, _) in PLACES.items()]
    pd.DataFrame(rows, columns=["lat", "lon", "url", "fn"]).to_csv(root / "index.csv", index=False)
