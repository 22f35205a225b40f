"""Chips embedded and written a second of processor time, against the bare encoder on images that are in memory."""

import tempfile
from pathlib import Path

import numpy as np
import rasterio
import torch
from affine import Affine

from benchmarks import Result, on_one_core, race, versions
from swath import encoders
from swath.corpus import Chip, Corpus, CorpusWriter, Location, Part, Reader, SensorLayout
from swath.encoders import Encoder, InputContract
from swath.encoders.timm import Config
from swath.products.embeddings import build_index, mark

SENSOR, BANDS = "sentinel-2-l2a", ("B02", "B03", "B04", "B08")
CHIPS, PX, BATCH = 1536, 64, 64
FILES = 256
"""Chips that the way of a file each is timed on."""


def run(quick: bool = False) -> Result:
    on_one_core()
    chips = 32 if quick else CHIPS
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        corpus = _corpus(root / "corpus", chips)
        settings = Config(model="resnet18")
        n = len(BANDS)
        keys = tuple(f"{SENSOR}/{band}" for band in BANDS)
        contract = InputContract(n, keys, True, ("reflectance",) * n, (0.2,) * n, (0.1,) * n, gsd_m=(10.0,) * n)
        encoder = encoders.build(settings, contract)
        encoders.save(encoder, settings, root / "encoder", provenance={})
        encoder = encoders.load(root / "encoder", verify=False)
        mark(root / "encoder")
        reader = Reader(corpus, {SENSOR: BANDS})
        batches = [np.arange(i, min(i + BATCH, chips)) for i in range(0, chips, BATCH)]
        images = [reader.batch(rows).images[SENSOR] for rows in batches]

        def ours() -> int:
            return build_index(root / "encoder", corpus, root / "out.parquet", batch_size=BATCH).rows

        def bare() -> int:
            for image in images:
                encoder.embed(image, trusted=True)
            return chips

        written, alone = race(ours, bare, 1)
        files, _ = race(lambda: _a_file_each(encoder, reader, min(chips, FILES), root / "files"), bare, 1)
    return Result(
        ours=written,
        peer=alone,
        ratio=written / alone,
        unit="chips/s of one core",
        setting={
            "model": "ResNet-18",
            "chips": chips,
            "chip": f"{len(BANDS)}x{PX}x{PX}",
            "batch": BATCH,
            "ours": "build_index: read, embed, GeoParquet, STAC; loading and checking the encoder included",
            "peer": "the encoder on images in memory",
            "a window read, embedded and written to a GeoTIFF at a time, chips/s": files,
            "times as fast as that": written / files,
            "clock": "processor time of one core",
            "better": "ratio of 0.9 or more; 3 times as fast or more",
        },
        versions=versions("torch", "timm", "pyarrow", "rasterio"),
    )


def _corpus(path: Path, count: int) -> Corpus:
    rng = np.random.default_rng(0)
    layouts = {SENSOR: SensorLayout(bands=BANDS, gsd_m=10, dtype="uint16", scale=(1e-4,) * len(BANDS))}
    places = [
        Location(f"{i:06d}", crs="EPSG:32632", transform=(10.0, 0.0, 4e5 + 640.0 * i, 0.0, -10.0, 5.5e6))
        for i in range(count)
    ]
    pixels = rng.integers(500, 4000, (count, len(BANDS), PX, PX), dtype=np.uint16)
    with CorpusWriter(path, layouts, PX) as writer:
        writer.append(Part(places, [Chip(f"{i:06d}", SENSOR, pixels[i]) for i in range(count)]))
        writer.finish()
    return Corpus.open(path)


def _a_file_each(encoder: Encoder, reader: Reader, count: int, folder: Path) -> int:
    """As rslearn and others write embeddings: a window at a time, each a GeoTIFF of as many bands as dimensions."""
    folder.mkdir(exist_ok=True)
    for row in range(count):
        image = reader.batch(np.array([row])).images[SENSOR]
        with torch.no_grad():
            vector = encoder.embed(image, trusted=True).numpy()[0]
        with rasterio.open(
            folder / f"{row:06d}.tif", "w", driver="GTiff", width=1, height=1, count=len(vector), dtype="float32",
            crs="EPSG:32632", transform=Affine(640, 0, 4e5 + 640 * row, 0, -640, 5.5e6), compress="ZSTD",
        ) as file:  # fmt: skip
            file.write(vector[:, None, None])
    return count
