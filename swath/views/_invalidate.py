"""Augmentations that take pixels away: what they hide becomes invalid, which every encoder sees as the band's mean."""

import torch
from jaxtyping import Bool
from torch import Tensor

from swath._device import send
from swath.views._random import chance, log_uniform, uniform
from swath.views._settings import Erase


def erased(
    settings: Erase, n: int, view: tuple[int, int], generator: torch.Generator, device: torch.device
) -> Bool[Tensor, "n h w"]:
    """True inside one random rectangle of each chosen sample."""
    height, width = view
    area = uniform(generator, (n,), *settings.area) * height * width
    ratio = log_uniform(generator, (n,), *settings.ratio)
    inside = send(chance(generator, (n,), settings.p), device)[:, None, None]
    for axis, side, extent in ((1, height, (area * ratio).sqrt()), (2, width, (area / ratio).sqrt())):
        extent = extent.round().clamp(min=1, max=side)
        first = (uniform(generator, (n,)) * (side - extent + 1)).floor()
        index = torch.arange(side, device=device)
        begin, end = (send(edge, device)[:, None] for edge in (first, first + extent))
        hit = (index >= begin) & (index < end)
        inside = inside & hit.unsqueeze(3 - axis)
    return inside


def kept_dates(p: float, valid: Bool[Tensor, "b t h w"], generator: torch.Generator) -> Bool[Tensor, "b t"]:
    """False for dates that are dropped; at least one date with valid pixels always stays."""
    present = valid.flatten(2).any(dim=2)
    draw = send(uniform(generator, (present.shape[0], present.shape[1])), present.device).masked_fill(~present, -1.0)
    return (draw >= p) | (draw >= draw.amax(dim=1, keepdim=True))
