"""Generated input for the checks: images in physical units, batches, contracts, features with labels."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from swath.batch import Batch, Image
from swath.encoders import InputContract
from swath.sensors import Unit, band, band_id
from swath.tasks import Features
from swath.testing._far import Far

OPTICAL = ("sentinel-2-l2a/B02", "sentinel-2-l2a/B03", "sentinel-2-l2a/B04")
USUAL: dict[Unit, tuple[float, float]] = {
    "reflectance": (0.15, 0.08),
    "dB": (-12.5, 5.0),
    "K": (290.0, 12.0),
    "display": (0.4, 0.2),
    "degree": (10.0, 30.0),
}
"""Mean and standard deviation of generated pixels, by unit."""
FIRST_DAY = 20_000
"""Day of the first generated date, since 1970-01-01: encoders that use days need some."""


def generator(seed: int = 0) -> torch.Generator:
    """Random numbers on the host."""
    return torch.Generator().manual_seed(seed)


def image(keys: Sequence[str], b: int = 4, t: int = 1, px: int = 32, *, invalid: float = 0.0, seed: int = 0) -> Image:
    """An image of these bands in physical units, of which the share `invalid` of the pixels is not valid.

    Samples and dates differ as wholes, so that there is something to learn. Of a band it is always the same picture,
    whatever other bands stand beside it.
    """
    pixels = torch.stack([_pixels(key, (b, t, px, px), seed) for key in keys], dim=2)
    return Image(
        pixels=pixels,
        valid=torch.rand((b, t, px, px), generator=generator(seed)) >= invalid,
        days=(FIRST_DAY + 15 * torch.arange(t, dtype=torch.int32)).repeat(b, 1),
        band_ids=torch.tensor([[band_id(key) for key in keys]] * b, dtype=torch.int32),
        gsd_m=10.0,
    )


def _pixels(key: str, shape: tuple[int, ...], seed: int) -> torch.Tensor:
    mean, std = USUAL[band(key).unit]
    draw = generator(seed + zlib.crc32(key.encode()))
    level = torch.randn((*shape[:2], 1, 1), generator=draw)
    return mean + std * (0.5 * torch.randn(shape, generator=draw) + 0.8 * level.clamp(-1.5, 1.5))


def batch(reads: Mapping[str, Sequence[str]], b: int = 4, t: int = 1, px: int = 32, *, seed: int = 0) -> Batch:
    """A batch as a loader would deliver it for `reads`: band names by sensor."""
    images = {
        sensor: image([f"{sensor}/{name}" for name in names], b, t, px, invalid=0.02, seed=seed + i)
        for i, (sensor, names) in enumerate(reads.items())
    }
    return Batch(images, torch.zeros(b, 2, dtype=torch.float64), [str(i) for i in range(b)])


def contract(keys: Sequence[str] = OPTICAL, **said: object) -> InputContract:
    """A contract over these bands with the statistics of generated pixels; `said` replaces its fields."""
    units: tuple[Unit, ...] = tuple(band(key).unit for key in keys)
    mean, std = zip(*(USUAL[unit] for unit in units), strict=True)
    return replace(InputContract(len(keys), tuple(keys), True, units, mean, std), **said)


def features(apart: float = 3.0, seed: int = 0, n: Sequence[int] = (90, 45, 60), d: int = 12, classes: int = 3):
    """Features of Gaussian classes around random centres, and the classes of the test part."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, apart, (classes, d))
    y = [np.arange(size) % classes for size in n]
    x = [(centres[labels] + rng.normal(0, 1, (len(labels), d))).astype(np.float32) for labels in y]
    return Features(x[0], y[0], x[1], y[1], x[2], classes), y[2]


def numbers(seed: int = 0, n: Sequence[int] = (400, 45, 60), d: int = 6):
    """Features that numbers far from 0 follow by a line, but for noise, and the numbers of the test part."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(0, 1, d)
    x = [rng.normal(0, 1, (size, d)).astype(np.float32) for size in n]
    y = [280 + one @ weights + rng.normal(0, 0.1, len(one)) for one in x]
    return Features(x[0], y[0], x[1], y[1], x[2], 0, x[0][:0]), y[2]


def far(image: Image) -> Image:
    """The image as if it were on a device, with bands that the host knows, as from a reader."""
    tensors = {name: Far(one) for name, one in vars_of(image).items()}
    return replace(image, **tensors, common_ids=tuple(image.band_ids[0].tolist()))


def vars_of(image: Image) -> dict[str, torch.Tensor]:
    """The tensors of an image by field."""
    return {"pixels": image.pixels, "valid": image.valid, "days": image.days, "band_ids": image.band_ids}
