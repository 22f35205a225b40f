"""Reading pairs of seasons: swath's Loader against torchgeo's SSL4EOL.__getitem__, on the same pixels."""

import random
import tempfile
from datetime import datetime
from pathlib import Path

import numpy as np
import rasterio
import torch
from rasterio.transform import from_bounds
from scipy.ndimage import gaussian_filter
from torchgeo.datasets import SSL4EOL

from benchmarks import Result, on_one_core, race, versions
from swath.corpus import Chip, Corpus, CorpusWriter, Loader, Location, Part, Reader, Selection, SensorLayout

SENSOR = "landsat-oli-sr"
BANDS = tuple(f"SR_B{i}" for i in range(1, 8))
PX = 264
DATES = ("20210320", "20210621", "20210923", "20211221")
SCALE = 0.3 / 255  # SSL4EO-L stores reflectance 0..0.3 as 0..255
BATCH = 32


def run(quick: bool = False) -> Result:
    on_one_core()
    locations = 40 if quick else 128
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        corpus = _make(root, locations)
        peer = SSL4EOL(root, split="oli_sr", seasons=2)
        _verify(root, corpus)
        ours, theirs = race(Epochs(corpus), lambda: _torchgeo(peer, 4 if quick else BATCH), 1 if quick else 15)
    return Result(
        ours=ours,
        peer=theirs,
        ratio=ours / theirs,
        unit="pairs/s per core",
        setting={
            "pair": f"2 seasons of {len(BANDS)}x{PX}x{PX} uint8 as float32",
            "peer": "GeoTIFF, LZW, predictor 2",
            "locations": locations,
            "batch": BATCH,
            "clock": "processor time of one core",
            "better": "higher",
        },
        versions=versions("torchgeo", "rasterio", "tensorstore", "torch", "numpy"),
    )


class Epochs:
    """Reads one epoch after the other, as training does."""

    def __init__(self, corpus: Corpus):
        self._loader = Loader(corpus, {SENSOR: BANDS}, range(len(corpus)), BATCH, Selection(dates=2), threads=1)
        self._epoch = 0

    def __call__(self) -> int:
        self._epoch += 1
        return sum(len(batch) for batch in self._loader.epoch(self._epoch))


def _torchgeo(dataset: SSL4EOL, count: int) -> int:
    for index in random.sample(range(len(dataset)), count):
        dataset[index]
    return count


def _make(root: Path, locations: int) -> Corpus:
    """The same pixels in SSL4EO-L's own layout and as a corpus."""
    layout = SensorLayout(bands=BANDS, gsd_m=30, dtype="uint8", scale=(SCALE,) * len(BANDS))
    rng = np.random.default_rng(0)
    with CorpusWriter(root / "corpus", {SENSOR: layout}, PX) as writer:
        for number in range(locations):
            uid = f"{number:07d}"
            chips = [scene(root, uid, date, rng) for date in DATES]
            writer.append(Part([Location(uid)], chips))
        return writer.finish()


def scene(root: Path, uid: str, date: str, rng: np.random.Generator) -> Chip:
    """One scene of a location in SSL4EO-L's layout, and the same as a chip."""
    pixels = landscape(rng)
    write_scene(root, uid, date, pixels)
    return Chip(uid, SENSOR, pixels, datetime=datetime.strptime(date, "%Y%m%d"))


def write_scene(root: Path, uid: str, date: str, pixels: np.ndarray) -> None:
    """One scene of a location in SSL4EO-L's layout."""
    path = root / "ssl4eo_l_oli_sr" / uid / f"LC08_{uid[1:]}_{date}" / "all_bands.tif"
    path.parent.mkdir(parents=True)
    profile = {"driver": "GTiff", "count": len(BANDS), "height": PX, "width": PX, "dtype": "uint8", "crs": "EPSG:4326"}
    corner = from_bounds(7.0, 51.0, 7.11, 51.07, PX, PX)
    with rasterio.open(path, "w", **profile, transform=corner, compress="lzw", predictor=2) as file:
        file.write(pixels)


def landscape(rng: np.random.Generator) -> np.ndarray:
    """Smooth structure that the bands share, plus a little of their own and noise of two counts."""
    smooth = gaussian_filter(rng.normal(size=(len(BANDS) + 1, PX, PX)), (0, 6, 6))
    smooth /= smooth.std(axis=(1, 2), keepdims=True)
    bands = 30 * smooth[:1] + 10 * smooth[1:] + 2 * rng.normal(size=(len(BANDS), PX, PX))
    return np.clip(bands + np.linspace(60, 140, len(BANDS))[:, None, None], 0, 255).astype(np.uint8)


def _verify(root: Path, corpus: Corpus) -> None:
    """All four seasons of some locations are the same from both, pixel by pixel and date by date."""
    everything = SSL4EOL(root, split="oli_sr", seasons=4)
    batch = Reader(corpus, {SENSOR: BANDS}).batch(np.arange(8), Selection(dates="all"))
    for index, ours in enumerate(batch.images[SENSOR].pixels):
        sample = everything[index]
        theirs = sample["image"].unflatten(0, (4, len(BANDS)))[sample["t"].argsort()]
        if not torch.equal(ours, theirs * SCALE):
            raise SystemExit(f"location {index}: the pixels differ, so there is nothing to compare")
