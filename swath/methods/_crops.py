"""Any number of views of a location, some of them local crops: what methods of several views share."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from swath.batch import Image, View, pad_dates
from swath.errors import RecipeError


def global_first(views: Sequence[View], method: str) -> tuple[list[View], int]:
    """The views, local crops last, and how many are global.

    Raises:
        RecipeError: there are fewer than two views, or all are local.
    """
    ordered = sorted(views, key=lambda view: view.local)
    number_global = sum(not view.local for view in views)
    if len(views) < 2 or not number_global:
        raise RecipeError(
            f"{method} compares two or more views, one of them global; the view policy draws {number_global} global "
            f"and {len(views) - number_global} local",
            remedy="choose multi-crop, or a policy that draws two views, such as two-crops",
        )
    return ordered, number_global


def together(network: Callable[[Image], Float[Tensor, "n d"]], views: Sequence[View]) -> Float[Tensor, "v b d"]:
    """Apply a network to each view. Views of one size go through it as one batch, which they share BatchNorm's
    statistics in (as in the official codes of DINO and LeJEPA).
    """
    of_a_size: dict[tuple[object, ...], list[int]] = {}
    for i, view in enumerate(views):
        of_a_size.setdefault((*view.image.pixels.shape[2:], view.image.gsd_m), []).append(i)
    made: dict[int, Tensor] = {}
    for members in of_a_size.values():
        features = network(pad_dates([views[i].image for i in members]))
        made |= zip(members, features.chunk(len(members)), strict=True)
    return torch.stack([made[i] for i in range(len(views))])
