"""Reading whole image series: swath's Loader against torchgeo's PASTIS.__getitem__, on the same pixels."""

import itertools
import json
import tempfile
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch.nn.utils.rnn import pad_sequence
from torchgeo.datasets import PASTIS

from benchmarks import Result, on_one_core, race, versions
from swath.corpus import Corpus, Loader, Reader, Selection
from swath.corpus.sources import build
from swath.corpus.sources.published import pastis_r

PX = pastis_r.PX
DATES = range(38, 62)
RADAR_DATES = 70
BATCH = 4
MOST = 16
"""Dates of a series that a training step reads where memory is short."""
ALL, SOME = Selection(dates="all"), Selection(dates="all", most=MOST)
OPTICAL: dict[str, tuple[str, ...]] = {pastis_r.OPTICAL: pastis_r.BANDS}
RGB: dict[str, tuple[str, ...]] = {pastis_r.OPTICAL: ("B04", "B03", "B02")}
PAIRED = {**RGB, pastis_r.RADAR: pastis_r.POLARISATIONS}
BOTH = {**OPTICAL, pastis_r.RADAR: pastis_r.POLARISATIONS}


def run(quick: bool = False) -> Result:
    on_one_core()
    patches, seconds = (8, 0.5) if quick else (48, 10)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        files = _write(root / "PASTIS-R", patches)
        corpus, packed = (_corpus(root, compression) for compression in ("none", "fast"))
        optical, radar = (PASTIS(root, bands=kind) for kind in ("s2", "s1a"))
        _verify(corpus, optical)
        _verify(packed, optical)
        ours, theirs = race(Epochs(corpus, OPTICAL), Items(optical), seconds)
        others = {
            "whole series, the peer's padded into batches as well": race(
                Epochs(corpus, OPTICAL), Padded(optical), seconds
            ),
            f"{MOST} random dates of all": race(Epochs(corpus, OPTICAL, SOME), Items(optical), seconds),
            "three of ten bands": race(Epochs(corpus, RGB), Items(optical), seconds),
            f"three bands of {MOST} random dates": race(Epochs(corpus, RGB, SOME), Items(optical), seconds),
            "as s4-pastis-rgb pairs them: three bands, and radar of the same dates": race(
                Epochs(corpus, PAIRED, Selection(dates="paired")), Items(optical, radar), seconds
            ),
            f"with Sentinel-1 of {RADAR_DATES} dates": race(Epochs(corpus, BOTH), Items(optical, radar), seconds),
            "compression fast": race(Epochs(packed, OPTICAL), Items(optical), seconds),
            f"compression fast, {MOST} random dates of all": race(
                Epochs(packed, OPTICAL, SOME), Items(optical), seconds
            ),
        }
        limits = {
            "numpy.load alone": race(Files(files), Items(optical), seconds),
            "int16 to float32 alone, from memory into memory in use": race(Conversion(files), Items(optical), seconds),
            "writing as much float32 alone": race(Writing(files), Items(optical), seconds),
        }
    return Result(
        ours=ours,
        peer=theirs,
        ratio=ours / theirs,
        unit="series/s per core",
        setting={
            "series": f"{DATES[0]} to {DATES[-1]} dates of {len(pastis_r.BANDS)}x{PX}x{PX} int16 as float32",
            "peer": "numpy.load and float() of one file a series, labels as well",
            "ours also": "labels, days, validity, padding to the longest series of a batch",
            "patches": patches,
            "batch": BATCH,
            "ratios otherwise": _ratios(others),
            "ratios of limits": _ratios(limits),
            "clock": "processor time of one core, files in the page cache",
            "better": "higher",
        },
        versions=versions("torchgeo", "tensorstore", "torch", "numpy"),
    )


def _ratios(races: dict[str, tuple[float, float]]) -> dict[str, float]:
    return {name: ours / theirs for name, (ours, theirs) in races.items()}


class Epochs:
    """Reads one epoch after the other, as training does."""

    def __init__(self, corpus: Corpus, reads: dict[str, tuple[str, ...]], select: Selection = ALL):
        rows = range(len(corpus))
        self._loader = Loader(corpus, reads, rows, BATCH, select, labels=[pastis_r.LAYER], threads=1)
        self._epoch = 0

    def __call__(self) -> int:
        self._epoch += 1
        return sum(len(batch) for batch in self._loader.epoch(self._epoch))


class Items:
    """Some items of each of the data sets, one after the other."""

    def __init__(self, *datasets: PASTIS):
        self._datasets = datasets
        self._index = itertools.cycle(range(len(datasets[0])))

    def __call__(self) -> int:
        for index in itertools.islice(self._index, 2 * BATCH):
            for dataset in self._datasets:
                dataset[index]
        return 2 * BATCH


class Padded:
    """Items of a data set as batches for training: padded to the longest series."""

    def __init__(self, dataset: PASTIS):
        self._dataset = dataset
        self._index = itertools.cycle(range(len(dataset)))

    def __call__(self) -> int:
        for _ in range(2):
            items = [self._dataset[index] for index in itertools.islice(self._index, BATCH)]
            pad_sequence([item["image"] for item in items], batch_first=True)
            torch.stack([item["mask"] for item in items])
        return 2 * BATCH


class Files:
    """The same files, read and nothing else."""

    def __init__(self, files: list[Path]):
        self._files: Iterator[Path] = itertools.cycle(files)

    def __call__(self) -> int:
        for path in itertools.islice(self._files, 2 * BATCH):
            np.load(path)
        return 2 * BATCH


class Conversion:
    """What no reader of float32 can do without, on memory that costs no page fault."""

    def __init__(self, files: list[Path]):
        series = [torch.from_numpy(np.load(path)) for path in files[: 2 * BATCH]]
        self._pairs = [(counts, torch.empty(counts.shape)) for counts in series]

    def __call__(self) -> int:
        for counts, pixels in self._pairs:
            pixels.copy_(counts)
        return len(self._pairs)


class Writing:
    """What no float32 that is not in the cache can be had without."""

    def __init__(self, files: list[Path]):
        self._pixels = [torch.empty(np.load(path, mmap_mode="r").shape) for path in files[: 2 * BATCH]]

    def __call__(self) -> int:
        for pixels in self._pixels:
            pixels.fill_(1.0)
        return len(self._pixels)


def _corpus(root: Path, compression: Literal["none", "fast"]) -> Corpus:
    target = root / f"corpus-{compression}"
    build(pastis_r.Config(compression=compression), target, root)
    return Corpus.open(target)


def _write(folder: Path, patches: int) -> list[Path]:
    """Patches in the layout of PASTIS-R; the files of their optical series."""
    for name in ("ANNOTATIONS", "DATA_S2", "DATA_S1A", "DATA_S1D"):
        (folder / name).mkdir(parents=True)
    rng = np.random.default_rng(0)
    features = [_patch(folder, 10_000 + number, number, rng) for number in range(patches)]
    (folder / "metadata.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return sorted((folder / "DATA_S2").iterdir())


def _patch(folder: Path, name: int, number: int, rng: np.random.Generator) -> dict:
    lengths = {"S2": int(rng.choice(DATES)), "S1A": RADAR_DATES, "S1D": RADAR_DATES}
    for kind, length in lengths.items():
        series = _optical(length, rng) if kind == "S2" else _radar(length, rng)
        np.save(folder / f"DATA_{kind}" / f"{kind}_{name}.npy", series)
    target = np.kron(rng.integers(0, 20, (3, 8, 8)), np.ones((16, 16), int)).astype(np.uint8)
    np.save(folder / "ANNOTATIONS" / f"TARGET_{name}.npy", target)
    said = {"ID_PATCH": name, "Fold": number % 5 + 1, "TILE": "T31TFM"}
    said |= {f"dates-{kind}": _dates(length) for kind, length in lengths.items()}
    west, north = 2.0 + 0.02 * number, 46.0
    square = [[west, north], [west + 0.01, north], [west + 0.01, north - 0.01], [west, north - 0.01], [west, north]]
    geometry = {"type": "Polygon", "coordinates": [square]}
    return {"type": "Feature", "id": str(name), "properties": said, "geometry": geometry}


def _dates(count: int) -> dict[str, int]:
    days = (date(2018, 9, 3) + timedelta(days=5 * k) for k in range(count))
    return {str(k): int(f"{day:%Y%m%d}") for k, day in enumerate(days)}


def _optical(count: int, rng: np.random.Generator) -> np.ndarray:
    """Counts of fields that change slowly, with structure that bands share and noise of 20 counts."""
    field, band = _smooth(rng, 1), _smooth(rng, len(pastis_r.BANDS))
    season = np.sin(np.linspace(0, np.pi, count))[:, None, None, None]
    level = np.linspace(600, 3000, len(pastis_r.BANDS))[:, None, None]
    noise = rng.normal(0, 20, (count, len(pastis_r.BANDS), PX, PX))
    return (level * (1 + 0.2 * field + season * 0.3 * band) + noise).clip(0, 10_000).astype(np.int16)


def _radar(count: int, rng: np.random.Generator) -> np.ndarray:
    decibel = -12 + 2 * _smooth(rng, 3) + rng.normal(0, 2, (count, 3, PX, PX))
    return decibel.astype(np.float16)


def _smooth(rng: np.random.Generator, count: int) -> np.ndarray:
    field = gaussian_filter(rng.normal(size=(count, PX, PX)), (0, 5, 5))
    return field / field.std()


def _verify(corpus: Corpus, peer: PASTIS) -> None:
    """Counts of some whole series are the same from both."""
    batch = Reader(corpus, OPTICAL).batch(np.arange(3), Selection(dates="all"), [pastis_r.LAYER])
    layout, image = corpus.info.sensors[pastis_r.OPTICAL], batch.images[pastis_r.OPTICAL]
    scale, offset = (torch.tensor(values)[:, None, None] for values in (layout.scale, layout.offset))
    index = {uid: peer.idxs.index(int(uid)) for uid in batch.uid}
    for row, uid in enumerate(batch.uid):
        sample = peer[index[uid]]
        length = len(sample["image"])
        same = torch.allclose(image.pixels[row, :length], sample["image"] * scale + offset, atol=1e-6)
        padding = not image.valid[row, length:].any()
        if not (same and padding and torch.equal(batch.targets[pastis_r.LAYER][row], sample["mask"])):
            raise SystemExit(f"patch {uid}: the series differ, so there is nothing to compare")
