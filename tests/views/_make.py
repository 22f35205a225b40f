"""Images to augment."""

import torch

from swath import sensors
from swath.batch import Batch, Image
from swath.sensors import band_id

OPTICAL = tuple(f"sentinel-2-l2a/{name}" for name in ("B02", "B03", "B04", "B08"))
RADAR = ("sentinel-1-grd/VV", "sentinel-1-grd/VH")
THERMAL = ("landsat-oli-toa/B4", "landsat-oli-toa/B5", "landsat-oli-toa/B10")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def image(keys=OPTICAL, b=4, t=1, h=24, w=24, *, invalid=0.0, seed=0):
    """Values of each unit's own range, some reflectances above 1 and all dB below 0."""
    g = generator(seed)
    unit = {
        "reflectance": (-0.1, 1.6),
        "dB": (-30.0, -2.0),
        "K": (250.0, 320.0),
        "display": (0.0, 1.0),
        "degree": (-80.0, 80.0),
    }
    bounds = torch.tensor([unit[sensors.band(key).unit] for key in keys])[:, :, None, None]
    low, high = bounds.unbind(dim=1)
    pixels = torch.rand((b, t, len(keys), h, w), generator=g) * (high - low) + low
    return Image(
        pixels=pixels,
        valid=torch.rand((b, t, h, w), generator=g) >= invalid,
        days=torch.arange(b * t, dtype=torch.int32).view(b, t),
        band_ids=torch.tensor([band_id(key) for key in keys], dtype=torch.int32).repeat(b, 1),
        gsd_m=10.0,
    )


def ramp(b, h, w):
    """Two bands that hold their own pixel coordinates (x, y)."""
    x, y = torch.meshgrid(torch.arange(float(w)), torch.arange(float(h)), indexing="xy")
    blank = image(OPTICAL[:2], b, 1, h, w)
    return Image(torch.stack([x, y]).expand(b, 1, 2, h, w).clone(), blank.valid, blank.days, blank.band_ids, 10.0)


def mapped(view):
    """Chip coordinates (x, y) that the affine gives to each view pixel: "b 2 h w"."""
    h, w = view.image.pixels.shape[-2:]
    x, y = torch.meshgrid(torch.arange(float(w)), torch.arange(float(h)), indexing="xy")
    place = torch.stack([x, y]).flatten(1)
    return (view.affine[:, :, :2] @ place + view.affine[:, :, 2:]).unflatten(2, (h, w))


def batch(reads, b=4, t=1, side=24, *, invalid=0.0, seed=0):
    """What a loader would deliver for `reads`."""
    images = {
        sensor: image([f"{sensor}/{name}" for name in names], b, t, side, side, invalid=invalid, seed=seed + i)
        for i, (sensor, names) in enumerate(reads.items())
    }
    return Batch(images, torch.zeros(b, 2, dtype=torch.float64), [str(i) for i in range(b)])
