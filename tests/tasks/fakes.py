"""A small corpus with a known truth: class 1 is brighter in B04 and rougher in VV, class 2 has stripes in B03."""

import datetime as dt
from pathlib import Path

import numpy as np
import torch
from torch import nn

from swath.corpus import Chip, Corpus, CorpusWriter, Location, Part, SensorLayout
from swath.encoders import Encoder
from swath.encoders._contract import InputContract
from swath.sensors import band

OPTICAL = "sentinel-2-l2a"
RADAR = "sentinel-1-grd"
PX = 16
LAYOUTS = {
    OPTICAL: SensorLayout(bands=("B02", "B03", "B04"), gsd_m=10, dtype="float32"),
    RADAR: SensorLayout(bands=("VV", "VH"), gsd_m=10, dtype="float32"),
}


def location(i: int) -> Location:
    label = None if i == 0 else f"class {i % 3}"
    return Location(
        uid=f"place-{i:03d}",
        lonlat=(5 + 0.05 * (i % 12), 50 + 0.05 * (i // 12)),
        group=f"cluster {i // 4}",
        scalars={"kind": label, "kindless": "one"},
    )


def chips(i: int, rng: np.random.Generator) -> list[Chip]:
    optical = rng.normal(0.2, 0.05, (3, PX, PX))
    optical[2] += 0.1 * (i % 3 == 1)
    optical[1, ::2] += 0.1 * (i % 3 == 2)
    radar = rng.normal(-12, 1 + 2 * (i % 3 == 1), (2, PX, PX))
    found = [
        Chip(f"place-{i:03d}", OPTICAL, optical.astype(np.float32), datetime=dt.datetime(2020, 5, 1 + i % 20)),
        Chip(f"place-{i:03d}", RADAR, radar.astype(np.float32), datetime=dt.datetime(2020, 5, 2 + i % 20)),
    ]
    # one place was never seen by the radar
    return found[:1] if i == 1 else found


def make(path: Path, n: int = 96) -> Corpus:
    rng = np.random.default_rng(0)
    with CorpusWriter(path, LAYOUTS, PX) as writer:
        writer.append(Part([location(i) for i in range(n)], [chip for i in range(n) for chip in chips(i, rng)]))
        writer.finish()
    return Corpus.open(path)


def contract(bands: tuple[str, ...], channels: int | None = None, fixed: bool = False) -> InputContract:
    return InputContract(
        channels=channels or len(bands),
        bands=bands,
        fixed=fixed,
        units=tuple(band(key).unit for key in bands),
        mean=tuple(-12.0 if band(key).unit == "dB" else 0.2 for key in bands),
        std=tuple(2.0 if band(key).unit == "dB" else 0.1 for key in bands),
    )


ALL = (f"{OPTICAL}/B02", f"{OPTICAL}/B03", f"{OPTICAL}/B04", f"{RADAR}/VV", f"{RADAR}/VH")


def small_encoder(seed: int, bands: tuple[str, ...] = ALL, channels: int = 1, fixed: bool = False, dim: int = 8):
    """A network of two convolutions, seeded."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = nn.Sequential(
            nn.Conv2d(channels, 8, 3),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, dim, 3),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
    return Encoder(network, contract(bands, channels, fixed), dim=dim, example_px=PX)
