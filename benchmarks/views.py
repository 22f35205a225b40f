"""Two augmented views of a batch: swath's augment against torchgeo's kornia pipeline, the same MoCo v2 operations."""

import statistics
import time
from collections.abc import Callable

import torch
from torchgeo.trainers.moco import moco_augmentations

from benchmarks import Result, race, versions
from swath.batch import Image
from swath.sensors import band_id
from swath.views import Augment, Blur, Jitter, augment, presets

BANDS = tuple(f"landsat-oli-sr/SR_B{i}" for i in range(1, 8))
BATCH, PX, VIEW = 32, 264, 224
THREADS = 2


def run(quick: bool = False) -> Result:
    torch.set_num_threads(THREADS)
    batch, seconds = (8, 1) if quick else (BATCH, 30)
    work = Work(batch)
    walls = _in_turn([work.ours, work.peer], seconds)
    cpu_ours, cpu_peer = race(work.ours, work.peer, seconds / 2)
    return Result(
        ours=walls[0],
        peer=walls[1],
        ratio=walls[1] / walls[0],
        unit="s per two views of a batch",
        setting={
            "batch": batch,
            "chip": f"{len(BANDS)}x{PX}x{PX} float32",
            "view": VIEW,
            "operations": "resized crop, flips, brightness, contrast, grey, blur (MoCo v2)",
            "threads": THREADS,
            "precision": "float32 both",
            "clock": "wall, median of runs in turn",
            "better": "ratio above 1",
            "ratio in processor time": round(cpu_ours / cpu_peer, 2),
            "ours with 1 % invalid pixels, s": round(_in_turn([work.masked], seconds / 4)[0], 3),
            "ours, RS-BYOL's operations, s": round(_in_turn([work.rs_byol], seconds / 4)[0], 3),
            "stages of ours, s": _stages(work, seconds / 2),
        },
        versions=versions("torchgeo", "kornia", "torch"),
    )


class Work:
    """Both ways; each call makes two views of the batch and says how many images that were."""

    def __init__(self, batch: int):
        self.batch = batch
        self.generator = torch.Generator().manual_seed(0)
        pixels = torch.rand((batch, 1, len(BANDS), PX, PX), generator=self.generator)
        valid = torch.rand((batch, 1, PX, PX), generator=self.generator)
        ids = torch.tensor([band_id(key) for key in BANDS], dtype=torch.int32).repeat(batch, 1)
        days = torch.zeros(batch, 1, dtype=torch.int32)
        self.image = Image(pixels, valid >= 0, days, ids, 30.0)
        self.holed = Image(pixels, valid >= 0.01, days, ids, 30.0)
        self.kornia = moco_augmentations(2, VIEW, torch.ones(len(BANDS)))

    def ours(self) -> int:
        return self.views(self.image, presets.moco_v2(VIEW))

    def masked(self) -> int:
        return self.views(self.holed, presets.moco_v2(VIEW))

    def rs_byol(self) -> int:
        return self.views(self.image, presets.rs_byol(VIEW))

    def peer(self) -> int:
        for pipeline in self.kornia:
            pipeline(self.image.pixels[:, 0])
        return self.batch

    def views(self, image: Image, settings: Augment) -> int:
        for role in ("query", "key"):
            augment(image, settings, self.generator, role)
        return self.batch


def _in_turn(ways: list[Callable[[], int]], seconds: float) -> list[float]:
    """Median wall time of each way, run in turn so that other work on the machine meets all of them."""
    times: list[list[float]] = [[] for _ in ways]
    for way in ways:
        way()
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(times[0]) < 3:
        for way, found in zip(ways, times, strict=True):
            start = time.perf_counter()
            way()
            found.append(time.perf_counter() - start)
    return [statistics.median(found) for found in times]


def _stages(work: Work, seconds: float) -> dict[str, float]:
    """Time with one operation after the other switched on."""
    full, jitter = presets.moco_v2(VIEW), Jitter()
    crop = full.model_copy(
        update={"hflip": 0.0, "vflip": 0.0, "brightness": jitter, "contrast": jitter, "grey": 0.0, "blur": Blur()}
    )
    flips = crop.model_copy(update={"hflip": 0.5, "vflip": 0.5})
    colour = full.model_copy(update={"blur": Blur()})
    steps = {"crop": crop, "crop, flips": flips, "crop, flips, colour": colour, "all with blur": full}
    ways = [lambda settings=settings: work.views(work.image, settings) for settings in steps.values()]
    return {name: round(found, 4) for name, found in zip(steps, _in_turn(ways, seconds), strict=True)}
