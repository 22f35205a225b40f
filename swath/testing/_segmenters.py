"""The promises of a segmenter, checked on series of one sensor or, if it joins several, of two."""

from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F

from swath import segmenters
from swath.batch import Image
from swath.errors import RecipeError
from swath.segmenters import Segmenter
from swath.testing._data import OPTICAL, contract, image

RADAR = ("sentinel-1-rtc/VV", "sentinel-1-rtc/VH")
CLASSES, PX, DATES = 4, 16, 3


def made(settings: Any) -> tuple[Segmenter, dict[str, Image]]:
    """Build the segmenter, always with the same weights, and images that it takes."""
    contracts = {"sentinel-2-l2a": contract(OPTICAL), "sentinel-1-rtc": contract(RADAR)}
    alone = {"sentinel-2-l2a": contracts["sentinel-2-l2a"]}
    torch.manual_seed(0)
    try:
        network = segmenters.build(settings, alone, CLASSES)
    except RecipeError:
        network, alone = segmenters.build(settings, contracts, CLASSES), contracts
    return network, {name: image(one.bands, 2, DATES, PX, invalid=0.1) for name, one in alone.items()}


def every_pixel_gets_a_number_a_class(settings: Any) -> None:
    """Logits have the shape (b, classes, h, w) and are finite, also where nothing is valid."""
    network, given = made(settings)
    logits = network(given)
    assert logits.shape == (2, CLASSES, PX, PX), f"logits have the shape {tuple(logits.shape)}"
    nothing = {name: replace(one, valid=torch.zeros_like(one.valid)) for name, one in given.items()}
    assert bool(network(nothing).isfinite().all()), "logits are not finite where nothing is valid"


def all_of_it_is_trained(settings: Any) -> None:
    """Every parameter gets a gradient."""
    network, given = made(settings)
    F.cross_entropy(network(given), torch.zeros(2, PX, PX, dtype=torch.long)).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, f"{name} gets no gradient"


def invalid_pixels_change_nothing(settings: Any) -> None:
    """Whatever stands in pixels that are not valid is never seen."""
    network, given = made(settings)
    network.eval()
    dirty = {
        name: replace(one, pixels=one.pixels.masked_fill(~one.valid[:, :, None], 1e20)) for name, one in given.items()
    }
    torch.testing.assert_close(network(given), network(dirty), rtol=1e-4, atol=1e-4)


CHECKS = (every_pixel_gets_a_number_a_class, all_of_it_is_trained, invalid_pixels_change_nothing)
