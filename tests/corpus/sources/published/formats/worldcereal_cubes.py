"""WorldCereal's monthly cubes: unsigned counts in signed integers, one file an area."""

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from rasterio.crs import CRS

BANDS = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B11", "B12")


def write(root: Path, seed: int = 0) -> None:
    """Two areas with the two ways of naming variables, side by side; a third shares ground with the first."""
    root.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    _save(root / "north.nc", rng, ("{}", "{}"), (664500, 5612640), 11, "NETCDF3_64BIT", cropland=True)
    _save(root / "south.nc", rng, ("S2-L2A-{}", "S1-SIGMA0-{}"), (664500, 5612000), 10, "NETCDF4")
    _save(root / "upper.nc", rng, ("{}", "{}"), (664550, 5612600), 10, "NETCDF4")


def _save(path: Path, rng, names, corner, px: int, version: str, cropland: bool = False) -> None:
    variables = {}
    for band in (*BANDS, "VV", "VH"):
        counts = rng.integers(400, 60_000 if band == "VV" else 9000, (3, px, px)).astype("uint16")
        if band not in {"VV", "VH"}:
            counts[1] = 65535  # a month without a clear date
            counts[2, 0, 0] = 65535
        name = names[band in {"VV", "VH"}].format(band)
        variables[name] = (("t", "y", "x"), counts.view("int16"), {"_Unsigned": "true", "grid_mapping": "crs"})
    if cropland:
        codes = rng.choice([0, 100, 65535], (px, px)).astype("uint16").view("int16")
        variables["worldcereal_cropland"] = (("t", "y", "x"), np.stack([codes] * 3))
    variables["crs"] = ((), 0, {"crs_wkt": CRS.from_epsg(32631).to_wkt()})
    coords = {
        "t": pd.date_range("2020-12-01", periods=3, freq="MS"),
        "x": corner[0] + 10 * (np.arange(px) + 0.5),
        "y": corner[1] - 10 * (np.arange(px) + 0.5),
    }
    engine = "scipy" if version.startswith("NETCDF3") else "h5netcdf"
    xr.Dataset(variables, coords).to_netcdf(path, engine=engine, format=version)
