"""Two MoCo v2 views of a batch on a GPU: swath's kernels against kornia's pipeline, where kornia is installed."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch

from benchmarks import Result, versions
from benchmarks._gpu import BATCH, DEVICE, device_seconds, wall_seconds
from benchmarks._training import BANDS, CHIP, VIEW
from swath.batch import Image
from swath.sensors import band_id
from swath.views import Augment, augment, presets

SMALL = 32


def run(quick: bool = False) -> Result:
    """Both on a batch that is on the device; by the clock, over many calls one after the other."""
    batch, runs = (8, 3) if quick else (BATCH, 20)
    work = Work(batch)
    ours, peer = wall_seconds(work.ours, runs), _kornia(batch, runs)
    small = wall_seconds(Work(SMALL).ours, runs)
    return Result(
        ours=ours,
        peer=peer,
        ratio=peer / ours,
        unit="s per two views of a batch",
        setting={
            "gpu": torch.cuda.get_device_name(),
            "batch": batch,
            "chip": f"{len(BANDS)}x{CHIP}x{CHIP} float32",
            "view": VIEW,
            "operations": "resized crop, flips, brightness, contrast, grey, blur (MoCo v2)",
            "precision": "float32 both",
            "device alone, s": device_seconds(work.ours, runs),
            f"batch {SMALL}, s": small,
            f"batch {SMALL}, ratio": _kornia(SMALL, runs) / small,
            "with 1 % invalid pixels, s": wall_seconds(work.masked, runs),
            "RS-BYOL's operations, s": wall_seconds(work.rs_byol, runs),
            "better": "ratio above 8",
        },
        versions=versions("kornia", "torch", "triton"),
    )


class Work:
    """Two views of a batch; each call makes them anew."""

    def __init__(self, batch: int):
        self.generator = torch.Generator().manual_seed(0)
        pixels = torch.rand((batch, 1, len(BANDS), CHIP, CHIP), device=DEVICE)
        luck = torch.rand((batch, 1, CHIP, CHIP), device=DEVICE)
        ids = torch.tensor([band_id(key) for key in BANDS], dtype=torch.int32, device=DEVICE).repeat(batch, 1)
        days = torch.zeros(batch, 1, dtype=torch.int32, device=DEVICE)
        self.image = Image(pixels, luck >= 0, days, ids, 30.0)
        self.holed = Image(pixels, luck >= 0.01, days, ids, 30.0)

    def ours(self) -> None:
        self._views(self.image, presets.moco_v2(VIEW))

    def masked(self) -> None:
        self._views(self.holed, presets.moco_v2(VIEW))

    def rs_byol(self) -> None:
        self._views(self.image, presets.rs_byol(VIEW))

    def _views(self, image: Image, settings: Augment) -> None:
        for role in ("query", "key"):
            augment(image, settings, self.generator, role)


def _kornia(batch: int, runs: int) -> float:
    """Seconds of torchgeo's `moco_augmentations(2, ...)`; NaN where kornia is not installed."""
    if not find_spec("kornia"):
        return float("nan")
    pipelines = [_pipeline() for _ in range(2)]
    pixels = torch.rand((batch, len(BANDS), CHIP, CHIP), device=DEVICE)

    def views() -> None:
        for pipeline in pipelines:
            pipeline(pixels)

    return wall_seconds(views, runs)


def _pipeline() -> Callable[[torch.Tensor], Any]:
    import kornia.augmentation as K

    class Grey(K.IntensityAugmentationBase2D):
        """torchgeo's RandomGrayscale with equal weights."""

        def __init__(self) -> None:
            super().__init__(p=0.2)

        def apply_transform(self, input: Any, params: Any, flags: Any, transform: Any = None) -> torch.Tensor:  # noqa: A002, ARG002
            return input.mean(dim=-3, keepdim=True).expand(input.shape)

    side = VIEW // 10
    side += side % 2 == 0
    return K.AugmentationSequential(
        K.RandomResizedCrop(size=(VIEW, VIEW), scale=(0.2, 1)),
        K.RandomBrightness(brightness=(0.6, 1.4), p=0.8),
        K.RandomContrast(contrast=(0.6, 1.4), p=0.8),
        Grey(),
        K.RandomGaussianBlur(kernel_size=(side, side), sigma=(0.1, 2), p=0.5),
        K.RandomHorizontalFlip(),
        K.RandomVerticalFlip(),
        data_keys=["input"],
    ).to(DEVICE)
