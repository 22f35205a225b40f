"""A small corpus with a known truth: class 1 is brighter in B04 and rougher in VV, class 2 has stripes in B03."""

import datetime as dt
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from swath.corpus import Chip, Corpus, CorpusWriter, LabelLayer, Location, Part, SensorLayout
from swath.encoders import DenseEncoder, Encoder, InputContract
from swath.sensors import band
from swath.tasks import Outcome, floors
from swath.tasks.schema import ResultKey

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


CROPS = LabelLayer(classes={0: "grass", 1: "maize", 2: "beet", 3: "other"}, void=255)
FIELD_PX = 8


def field_map(i: int) -> np.ndarray:
    """Two crops side by side, void on the edge; the first place is all void, the last alone has `other`."""
    crops = np.full((FIELD_PX, FIELD_PX), i % 3, np.uint8)
    crops[:, FIELD_PX // 2 :] = (i + 1) % 3
    crops[0] = 255
    return np.full_like(crops, 255) if i == 0 else crops


def field_chips(i: int, rng: np.random.Generator) -> list[Chip]:
    """Ragged series, whose brightness tells the crop from June on."""
    crops = np.where(field_map(i) == 255, 0, field_map(i)).astype(float)
    found = []
    for k in range(3 + i % 3):
        when = dt.datetime(2020, 3 + 2 * k, 1 + i % 20)
        optical = 0.2 + 0.1 * crops * (k > 0) + rng.normal(0, 0.02, (3, FIELD_PX, FIELD_PX))
        cloud = (i % 10) / 10
        found.append(Chip(f"field-{i:03d}", OPTICAL, optical.astype(np.float32), datetime=when, cloud=cloud))
        if i != 1:
            radar = rng.normal(-12 + 2 * crops, 0.5, (2, FIELD_PX, FIELD_PX)).astype(np.float32)
            found.append(Chip(f"field-{i:03d}", RADAR, radar, datetime=when + dt.timedelta(days=2)))
    return found


def make_fields(path: Path, n: int = 40) -> Corpus:
    """Image series of fields with a class per pixel."""
    rng = np.random.default_rng(0)
    with CorpusWriter(path, LAYOUTS, FIELD_PX, {"crops": CROPS}) as writer:
        places = [
            Location(uid=f"field-{i:03d}", lonlat=(5 + 0.05 * (i % 8), 50 + 0.05 * (i // 8)), group=f"farm {i // 2}")
            for i in range(n)
        ]
        chips = [chip for i in range(n) for chip in field_chips(i, rng)]
        writer.append(Part(places, chips, {"crops": np.stack([field_map(i) for i in range(n)])}))
        writer.finish()
    return Corpus.open(path)


class DenseSmall(DenseEncoder):
    """Features of every pixel, averaged over the dates that have one."""

    dense_dim = 8

    def dense(self, image):
        b, t = image.valid.shape[:2]
        standard = self.standardize(image.pixels, image.valid, image.band_ids).flatten(0, 1)
        features = self.network(standard).unflatten(0, (b, t))
        seen = image.valid.flatten(2).any(2).to(features.dtype)
        return torch.einsum("btdhw,bt->bdhw", features, seen / seen.sum(1, keepdim=True).clamp(min=1))


def dense_encoder(seed: int, bands: tuple[str, ...] = ALL[:3], channels: int | None = None) -> DenseSmall:
    """A dense encoder of these bands, seeded."""
    channels = channels or len(bands)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = nn.Sequential(nn.Conv2d(channels, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 1))
    return DenseSmall(network, contract(bands, channels, fixed=channels == len(bands)), dim=8, example_px=FIELD_PX)


def result_key(**changes) -> ResultKey:
    usual = {"task": "t", "input": "all", "probe": "linear", "row": "a", "role": "pretrained", "of_arm": "a"}
    return ResultKey(**{**usual, "seed": 0, "fold": 0, "replicate": 0, **changes})


class Judged(NamedTuple):
    """An outcome, and whose it is."""

    row: str
    seed: int
    outcome: Outcome

    @property
    def input(self):
        return self.outcome.input

    @property
    def probe(self):
        return self.outcome.probe

    @property
    def prediction(self):
        return self.outcome.prediction

    @property
    def note(self):
        return self.outcome.note


def judged(task, encoder, seed=0, panels=None) -> list[Judged]:
    """What a pre-trained encoder says."""
    wanted = task.panels if panels is None else panels
    return [Judged("arm", seed, one) for one in task.outcomes(encoder, wanted, seed, pretrained=True)]


def judged_floors(task, build, seeds=(0,)) -> list[Judged]:
    """What all floors of the task's configuration say, for a network that `build(seed)` initialises."""
    made = []
    for floor in task.config.floors:
        for seed in seeds[: None if floor.random else 1]:
            network = build(seed) if floor.needs_network else None
            made += [Judged(floor.row, seed, one) for one in floors.outcomes(floor, task, task.panels, seed, network)]
    return made
