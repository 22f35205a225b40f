"""Clouds painted over clear optical series, with an exactly known share of cloudy pixels.

The clouds are those of the synthetic landscape: bright pixels like any other, not marked invalid, without shadows. A
larger share contains the clouds of every smaller one. Radar sees none.
"""

import zlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Integer

from swath.batch import Image
from swath.corpus.physics.clouds import OPAQUE
from swath.corpus.physics.noise import fractal, stream
from swath.corpus.physics.spectra import CLOUD, WAVELENGTH, covered
from swath.corpus.store import Corpus, truth_path
from swath.corpus.store import arrays as _arrays
from swath.sensors import bands

DECK_M = 1200.0
"""Size of the largest clouds; smaller ones halve it three times."""
_OCTAVES, _GAIN = 4, 0.6


def knows_clear(corpus: Corpus, sensor: str) -> bool:
    """Whether the corpus holds the chips of a sensor as they would be under a clear sky."""
    return _arrays.exists(truth_path(corpus.path, sensor), "clear")


def paint(image: Image, uids: Sequence[str], share: float) -> Image:
    """Paint clouds over the given share of the valid pixels of each sample's series, all dates together.

    Args:
        image: optical, reflectance.
        uids: ids of the samples' locations; with the date they decide where clouds are.
        share: of clouds, 0 to 1; the number of cloudy pixels is the nearest to it.
    """
    centres = [[bands()[i].centre_um or 0.0 for i in row] for row in image.band_ids.tolist()]
    pixels = [
        covered(clear, opacity(uid, days, valid, image.gsd_m, share), np.interp(centre, WAVELENGTH, CLOUD))
        for uid, clear, days, valid, centre in zip(
            uids, image.pixels.numpy(), image.days.numpy(), image.valid.numpy(), centres, strict=True
        )
    ]
    return replace(image, pixels=torch.from_numpy(np.stack(pixels).astype(np.float32)))


def opacity(
    uid: str, days: Integer[np.ndarray, " t"], valid: Bool[np.ndarray, "t h w"], gsd_m: float, share: float
) -> Float[np.ndarray, "t h w"]:
    """Opacity of clouds over one location, 0 to 1; above `OPAQUE` on exactly the share of valid pixels, 0 elsewhere."""
    noise = np.stack([_noise(uid, day, valid.shape[1:], gsd_m) for day in days.tolist()])
    noise = np.where(valid, noise, -np.inf).ravel()
    order = np.argsort(-noise, kind="stable")[: round(share * int(valid.sum()))]
    opacities = np.zeros(valid.size)
    if len(order):
        # thicker the further the noise is above the level that leaves the share, as in the synthetic landscape
        opacities[order] = OPAQUE + (1 - OPAQUE) * (1 - np.exp(-5 * (noise[order] - noise[order[-1]])))
        opacities[order] = np.maximum(opacities[order], np.nextafter(OPAQUE, 1))
    return opacities.reshape(valid.shape)


def _noise(uid: str, day: int, shape: Sequence[int], gsd_m: float) -> Float[np.ndarray, "h w"]:
    """Smooth noise of one location and date, of mean 0 and variance 1 over all of them."""
    y, x = (gsd_m * np.arange(side, dtype=float) for side in shape)
    return fractal(stream(zlib.crc32(uid.encode()), f"painted{day}"), x, y, DECK_M, _OCTAVES, _GAIN)
