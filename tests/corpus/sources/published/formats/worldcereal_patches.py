"""WorldCereal's image series: one NetCDF file a site, product and resolution."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import xarray as xr
from rasterio.crs import CRS

SITES = {"00002806639B424A": (501360, 5629680), "0000280849BAC91C": (574680, 5622440)}
"""Upper left corner by site, UTM zone 31."""
PERIOD = "2017-08-01_2018-11-30"


def path(root: Path, product: str, site: str) -> Path:
    return root / f"{product}_{site}_32631_{PERIOD}.nc"


def write(root: Path, seed: int = 0, fine: bool = True) -> None:
    """Two sites with radar, optical at 20 and 10 m, labels, and files that nobody reads."""
    root.mkdir(parents=True, exist_ok=True)
    for name, content in _contents(seed, fine).items():
        (root / name).write_bytes(content)


@cache  # NetCDF takes half a second to write
def _contents(seed: int, fine: bool) -> dict[str, bytes]:
    with TemporaryDirectory() as folder:
        _save_sites(Path(folder), seed, fine)
        return {file.name: file.read_bytes() for file in Path(folder).iterdir()}


def _save_sites(root: Path, seed: int, fine: bool) -> None:
    rng = np.random.default_rng(seed)
    for site, corner in SITES.items():
        radar = {band: rng.integers(-250_000, -50_000, (5, 32, 32)).astype("int32") for band in ("VV", "VH")}
        radar["VV"][1, 2, 3] = 0
        attrs = {"_FillValue": np.int32(0), "scale_factor": 1e-4}
        save(path(root, "S1_GRD-ASCENDING_20m", site), radar, corner, 20, attrs)
        bands = ("B05", "B06", "B07", "B11", "B12", "B8A")
        optical = {band: rng.integers(1, 9000, (4, 32, 32)).astype("uint16") for band in bands}
        optical["B11"][0, 5, 5] = 0
        scl = rng.choice([4, 5, 6, 9], (4, 32, 32)).astype("uint8")
        scl[2] = 9  # a date that is all cloud
        save(path(root, "S2_L2A_20m", site), optical | {"SCL": scl}, corner, 20)
        if fine:
            tens = {band: rng.integers(1, 9000, (4, 64, 64)).astype("uint16") for band in ("B02", "B03", "B04", "B08")}
            tens["B02"][1, 8, 8] = 0
            save(path(root, "S2_L2A_10m", site), tens, corner, 10)
        codes = {"CT": [0, 1110, 1200, 9120], "LC": [11, 13, 99], "IRR": [0]}
        labels = {name: rng.choice(values, (64, 64)).astype("uint16") for name, values in codes.items()}
        save(path(root, "OUTPUT_POLY-110_10m", site), labels, corner, 10)
        save(path(root, "AgERA5_DAILY_1000m", site), {"rain": np.zeros((4, 1, 1), "uint16")}, corner, 640)


def save(path: Path, variables: dict[str, np.ndarray], corner: tuple[int, int], gsd: int, attrs=None) -> None:
    """Pixel centres as coordinates, the reference system in a variable of its own."""
    height, width = next(iter(variables.values())).shape[-2:]
    x = corner[0] + gsd * (np.arange(width) + 0.5)
    y = corner[1] - gsd * (np.arange(height) + 0.5)
    data = {}
    for name, values in variables.items():
        dims = ("timestamp", "y", "x")[-values.ndim :]
        data[name] = xr.DataArray(values, dims=dims, attrs=attrs or {"_FillValue": values.dtype.type(0)})
    times = max((v.shape[0] for v in variables.values() if v.ndim == 3), default=0)
    coords = {"x": x, "y": y, "spatial_ref": xr.DataArray(0, attrs={"crs_wkt": CRS.from_epsg(32631).to_wkt()})}
    if times:
        coords["timestamp"] = pd.date_range("2017-08-04T10:53:28", periods=times, freq="11D")
    xr.Dataset(data, coords).to_netcdf(path, engine="h5netcdf")
