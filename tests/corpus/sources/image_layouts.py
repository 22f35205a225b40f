"""Small data sets in the true layouts of published formats, with known pixels."""

import warnings
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from rasterio.errors import NotGeoreferencedWarning

UTM = Affine(30, 0, 339885, 0, -30, 8286915)
DEGREES = Affine(7920 / 264 / 111_190, 0, 7.0, 0, -7920 / 264 / 111_190, 51.0)


def at(grid: Affine, column: float, row: float = 0, zoom: float = 1) -> Affine:
    """The grid moved by pixels, with pixels larger by a factor."""
    x, y = grid.c + column * grid.a, grid.f + row * grid.e
    return Affine(grid.a * zoom, 0, x, 0, grid.e * zoom, y)


def tif(
    path: Path, pixels: np.ndarray, crs: str | None = "EPSG:32615", transform: Affine = UTM, **profile
) -> np.ndarray:
    """One raster file; returns what was written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = pixels.shape
    profile = {"driver": "GTiff", "count": count, "height": height, "width": width, "dtype": pixels.dtype} | profile
    if crs:
        profile |= {"crs": crs, "transform": transform}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", **profile) as file:
            file.write(pixels)
    return pixels


def read(path: Path) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path) as file:
            return file.read()


def noise(seed: int, shape: tuple[int, ...], low: int = 1, high: int = 255, dtype: str = "uint8") -> np.ndarray:
    return np.random.default_rng(seed).integers(low, high, shape).astype(dtype)


SSL4EO_L_BANDS = {"tm_toa": 7, "etm_toa": 9, "etm_sr": 6, "oli_tirs_toa": 11, "oli_sr": 7}
SSL4EO_L_DATES = ("20210306", "20210627", "20211001", "20220105")


def ssl4eo_l(root: Path, split: str, locations: int = 2, dates=SSL4EO_L_DATES, px: int = 264) -> None:
    """`ssl4eo_l_<split>/<7-digit location>/<scene>/all_bands.tif`, LZW with predictor 2."""
    for number in range(locations):
        for k, date in enumerate(dates):
            scene = root / f"ssl4eo_l_{split}" / f"{number:07d}" / f"LC08_172{number:03d}_{date}"
            pixels = noise(number * 10 + k, (SSL4EO_L_BANDS[split], px, px))
            pixels[:, :2, :3] = 0
            place = at(DEGREES, 300 * number)
            tif(scene / "all_bands.tif", pixels, "EPSG:4326", place, compress="lzw", predictor=2)


S12_SCENES = {
    "s1": "S1A_IW_GRDH_1SDV_20200607T165614_20200607T165639_032912_03CFFD_1E24",
    "s2c": "20200604T054639_20200604T054831_T43RCP",
    "s2a": "20200607T055639_20200607T055831_T43RCP",
}
S12_SIZES = {**dict.fromkeys(("B1", "B9", "B10"), 44), **dict.fromkeys(("B5", "B6", "B7", "B8A", "B11", "B12"), 132)}


def ssl4eo_s12(root: Path, locations: int = 2) -> None:
    """`{s1,s2c,s2a}/<7-digit location>/<scene>/<band>.tif`."""
    optical = [f"B{n}" for n in (*range(1, 9), "8A", 9, 10, 11, 12)]
    bands = {"s1": ["VV", "VH"], "s2c": optical, "s2a": [name for name in optical if name != "B10"]}
    for number in range(locations):
        for modality, scene in S12_SCENES.items():
            for k, band in enumerate(bands[modality]):
                px = 264 if modality == "s1" else S12_SIZES.get(band, 264)
                pixels = noise(number * 50 + k, (1, px, px), 1, 9000, "uint16")
                if modality == "s1":
                    pixels = -20 + pixels.astype(np.float32) / 1000
                grid = at(DEGREES, 300 * number, zoom=264 / px)
                tif(root / modality / f"{number:07d}" / scene / f"{band}.tif", pixels, "EPSG:4326", grid)


def eurosat(root: Path, classes, nested: str = "ds/images/remote_sensing/otherDatasets/sentinel_2/tif") -> None:
    """`<class>/<class>_<n>.tif` and the lists, whose names end in .jpg."""
    for c, name in enumerate(classes):
        for n, part in enumerate(("train", "val", "test"), start=1):
            pixels = noise(10 * c + n, (13, 64, 64), 1, 9000, "uint16")
            place = at(UTM, 100 * c, 100 * n, 1 / 3)
            tif(root / nested / name / f"{name}_{n}.tif", pixels, "EPSG:32632", place)
            with (root / f"eurosat-{part}.txt").open("a") as file:
                file.write(f"{name}_{n}.jpg\n")


def resisc45(root: Path, classes) -> None:
    """`NWPU-RESISC45/<class>/<class>_<nnn>.jpg` and the lists."""
    for c, name in enumerate(classes):
        for n, part in enumerate(("train", "val", "test"), start=1):
            blocks = noise(3 * c + n, (3, 8, 8))
            pixels = blocks.repeat(32, axis=1).repeat(32, axis=2)
            tif(root / "NWPU-RESISC45" / name / f"{name}_{n:03d}.jpg", pixels, None, driver="JPEG")
            with (root / f"resisc45-{part}.txt").open("a") as file:
                file.write(f"{name}_{n:03d}.jpg\n")


def ssl4eo_l_benchmark(root: Path, sensor: str, locations: int) -> None:
    """`ssl4eo_l_<sensor>_benchmark/<location>/<scene>/all_bands.tif` and masks of both products."""
    family = sensor.partition("_")[0]
    kept = {"nlcd": [0, 11, 12, 23, 41, 95], "cdl": [0, 1, 4, 5, 111, 254]}
    for number in range(locations):
        scene = f"{number:07d}/LC08_172{number:03d}_20190704"
        place = at(DEGREES, 300 * number)
        pixels = noise(number, (SSL4EO_L_BANDS[sensor], 264, 264))
        tif(root / f"ssl4eo_l_{sensor}_benchmark" / scene / "all_bands.tif", pixels, "EPSG:4326", place)
        for product, codes in kept.items():
            mask = np.random.default_rng(number).choice(np.array(codes, np.uint8), (1, 264, 264))
            tif(root / f"ssl4eo_l_{family}_{product}" / scene / f"{product}_2019.tif", mask, "EPSG:4326", place)


def cloudmask_ukis(root: Path) -> None:
    """`landsat5.npz` and others: img (y, x, 6) float32, msk (y, x, 1) uint8."""
    for seed, name in enumerate(("landsat5", "landsat7", "landsat8", "sentinel2")):
        rng = np.random.default_rng(seed)
        image = rng.uniform(0, 1.2, (32, 40, 6)).astype(np.float32)
        np.savez(root / f"{name}.npz", img=image, msk=rng.integers(0, 5, (32, 40, 1)).astype(np.uint8))
