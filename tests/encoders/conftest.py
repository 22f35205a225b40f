"""Small contracts and images for the encoders' tests."""

import pytest
import torch

from swath import sensors
from swath.batch import Image
from swath.encoders import InputContract

BANDS = ("sentinel-2-l2a/B04", "sentinel-1-grd/VV", "landsat-oli-sr/ST_B10")
"""Three bands of three units, whose statistics differ by orders of magnitude."""
MEAN, STD = (0.15, -12.5, 290.0), (0.08, 5.3, 12.0)


@pytest.fixture
def contract():
    """Makes a contract over BANDS: fixed ones of all three, free ones of any number of channels."""

    def make(channels: int = 3, fixed: bool = True) -> InputContract:
        units = tuple(sensors.band(key).unit for key in BANDS)
        return InputContract(channels, BANDS, fixed, units, MEAN, STD)

    return make


@pytest.fixture
def image():
    """Makes physical pixels of BANDS, a fifth of them invalid, with statistics like the contract's."""

    def make(
        b: int = 2, t: int = 1, px: int = 32, seed: int = 0, bands: tuple[str, ...] = BANDS, invalid: float = 0.2
    ) -> Image:
        generator = torch.Generator().manual_seed(seed)
        order = [BANDS.index(key) for key in bands]
        mean, std = (torch.tensor(values)[order][:, None, None] for values in (MEAN, STD))
        return Image(
            pixels=mean + std * torch.randn(b, t, len(bands), px, px, generator=generator),
            valid=torch.rand(b, t, px, px, generator=generator) >= invalid,
            days=torch.arange(b * t, dtype=torch.int32).view(b, t),
            band_ids=torch.tensor([[sensors.band_id(key) for key in bands]] * b, dtype=torch.int32),
            gsd_m=10.0,
        )

    return make
