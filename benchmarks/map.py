"""Mapping a scene: megapixels of `swath map`'s windows against the bare network on tensors that are ready."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from affine import Affine
from rasterio.windows import Window
from torch import nn

from benchmarks import Result, on_one_core, race, versions
from swath import segmenters
from swath.batch import NO_DAY, Image
from swath.encoders import InputContract
from swath.products.scene_maps import Classes, Dense, How, map_scene
from swath.products.windows import Input
from swath.segmenters import unet
from swath.sensors import band, band_id

SENSOR = "sentinel-2-l2a"
BANDS = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
KEYS = tuple(f"{SENSOR}/{name}" for name in BANDS)
CLASSES = 10
WINDOW, OVERLAP = 1024, 64


def run(quick: bool = False) -> Result:
    on_one_core()
    side = WINDOW + 2 * (WINDOW - OVERLAP) if not quick else 256 + 192
    how = How(window=256 if quick else WINDOW, overlap=OVERLAP, device="cpu")
    network = build()
    with tempfile.TemporaryDirectory() as folder:
        scene = write_scene(Path(folder) / "scene.tif", side)
        ready = picture(how.window or WINDOW)

        def mapped() -> int:
            map_scene(predictor(network), legend(), Input(scene), Path(folder) / "map/map.tif", about={}, how=how)
            shutil.rmtree(Path(folder) / "map")
            return side * side

        def bare() -> int:
            with torch.inference_mode():
                network(ready)
            return ready[SENSOR].pixels.shape[-1] ** 2

        ours, peer = race(mapped, bare, 1 if quick else 60)
    return Result(
        ours=ours / 1e6,
        peer=peer / 1e6,
        ratio=ours / peer,
        unit="megapixels/s per core",
        setting={
            "scene": f"{side} x {side} pixels, {len(BANDS)} bands uint16, tiled, deflate",
            "network": f"ResNet-18 U-Net, {CLASSES} classes",
            "windows": f"{how.window} pixels, {how.overlap} blended",
            "clock": "processor time of one core",
            "wanted": "0.8 or more",
            "better": "higher",
        },
        versions=versions("torch", "rasterio", "numpy"),
    )


def build() -> nn.Module:
    """The network, randomly initialised."""
    torch.manual_seed(0)
    n = len(BANDS)
    contract = InputContract(n, KEYS, True, tuple(band(key).unit for key in KEYS), (0.2,) * n, (0.1,) * n)
    return segmenters.build(unet.Config(), {SENSOR: contract}, CLASSES).eval()


def predictor(network: nn.Module) -> Dense:
    """The network as a predictor that checks nothing."""
    return Dense(network, KEYS, series=False, check=lambda _: None, multiple=32)


def legend() -> Classes:
    """Ten classes, in shades of grey."""
    shades = tuple(f"#{25 * k:02x}{25 * k:02x}{25 * k:02x}" for k in range(CLASSES))
    return Classes(tuple(range(CLASSES)), tuple(map(str, range(CLASSES))), shades)


def picture(side: int) -> dict[str, Image]:
    """A tensor that is ready."""
    ids = tuple(band_id(key) for key in KEYS)
    pixels = torch.rand(1, 1, len(BANDS), side, side)
    valid, days = torch.ones(1, 1, side, side, dtype=torch.bool), torch.tensor([[NO_DAY]], dtype=torch.int32)
    return {SENSOR: Image(pixels, valid, days, torch.tensor([ids], dtype=torch.int32), 10.0, ids)}


def write_scene(path: Path, side: int) -> Path:
    """A scene of smooth noise, written block by block."""
    profile: dict[str, Any] = {"driver": "GTiff", "height": side, "width": side, "count": len(BANDS), "dtype": "uint16"}
    profile |= {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate", "bigtiff": "if_safer"}
    grid = {"crs": "EPSG:32632", "transform": Affine(10, 0, 500_000, 0, -10, 5_600_000)}
    with rasterio.open(path, "w", **profile, **grid) as file:
        for pixels, window in _blocks(side):
            file.write(pixels, window=window)
        file.descriptions = BANDS
    return path


def _blocks(side: int) -> Iterator[tuple[np.ndarray, Any]]:
    rng = np.random.default_rng(0)
    # few different values, so that a large scene is written quickly
    noise = rng.integers(500, 4000, (len(BANDS), 16, 16), dtype=np.uint16).repeat(32, axis=1).repeat(32, axis=2)
    for row in range(0, side, 512):
        for column in range(0, side, 512):
            rows, columns = (row, min(side, row + 512)), (column, min(side, column + 512))
            block = noise[:, : rows[1] - rows[0], : columns[1] - columns[0]]
            yield block, Window.from_slices(rows, columns)
