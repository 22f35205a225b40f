"""A query and three keys from three dates of a location (SeCo, CaCo)."""

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from swath._device import send
from swath.batch import Image, View
from swath.views._augment import augment
from swath.views._random import uniform
from swath.views._settings import Augment
from swath.views.policies._select import take_date


def seasons(
    image: Image,
    usable: Bool[Tensor, "b t"],
    settings: Augment,
    generator: torch.Generator,
    prefix: str = "",
    *,
    replacement: bool,
) -> list[View]:
    """Roles `query` (t0), `key-0` (augmented t1), `key-1` (t2), `key-2` (augmented t0).

    Args:
        image: whole series.
        usable: dates to choose from; where a sample has none, any.
        settings: of the augmented views; the others are cropped like them and nothing else.
        generator: where all randomness comes from.
        prefix: of the roles.
        replacement: whether t0, t1, t2 may be the same date; else they differ as far as there are dates.
    """
    plain = Augment(crop=settings.crop, interpolation=settings.interpolation)
    t0, t1, t2 = draw_three(usable, generator, replacement=replacement).unbind(dim=1)
    parts = [("query", t0, plain), ("key-0", t1, settings), ("key-1", t2, plain), ("key-2", t0, settings)]
    return [augment(take_date(image, date), how, generator, prefix + role) for role, date, how in parts]


def draw_three(usable: Bool[Tensor, "b t"], generator: torch.Generator, *, replacement: bool) -> Int[Tensor, "b 3"]:
    """Three random usable dates of each sample."""
    usable = usable | ~usable.any(dim=1, keepdim=True)
    b, t = usable.shape
    order = (send(uniform(generator, (b, t)), usable.device) + usable).argsort(dim=1, descending=True)
    count = usable.sum(dim=1, keepdim=True)
    if replacement:
        place = (send(uniform(generator, (b, 3)), usable.device) * count).long()
    else:
        place = torch.arange(3, device=usable.device) % count
    return order.gather(1, place)


def halves(image: Image) -> tuple[Bool[Tensor, "b t"], Bool[Tensor, "b t"]]:
    """The newer and the older half of each sample's dates that have a valid pixel; a middle one belongs to both."""
    present = image.valid.flatten(2).any(dim=2)
    days = image.days.long().masked_fill(~present, torch.iinfo(torch.int64).max)
    # earlier positions first where days are equal or unknown
    rank = days.argsort(dim=1, stable=True).argsort(dim=1)
    count = present.sum(dim=1, keepdim=True)
    return present & (rank >= count // 2), present & (rank < (count + 1) // 2)
