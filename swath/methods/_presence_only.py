"""Losses of species distributions from presences alone: nobody saw where a species is not (Cole et al. 2023).

Every one assumes absences somewhere: of all other classes, at random places, or of one other class. Instead of being
assumed absent, these may be left as uncertain as possible (ME, Zhou et al. 2022): their entropy is maximised.
"""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from swath.methods._losses import full_precision

Unseen = Literal["absent", "uncertain"]
"""What is assumed where a class was not seen: it is not there (AN), or nobody knows (ME)."""
_EPSILON = 1e-5
"""SINR adds it to probabilities before their logarithm."""


def surprise(p: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """-log(p + 1e-5)."""
    return -torch.log(p + _EPSILON)


def _of_unseen(p: Float[Tensor, "*n"], unseen: Unseen) -> Float[Tensor, "*n"]:
    """What a probability costs where the class was not seen."""
    if unseen == "absent":
        return surprise(1 - p)
    return -(p * surprise(p) + (1 - p) * surprise(1 - p))


@full_precision
def an_full(
    seen: Float[Tensor, "b s"],
    at_random: Float[Tensor, "b s"],
    classes: Int[Tensor, " b"],
    weight: float,
    unseen: Unseen,
) -> Float[Tensor, ""]:
    """All other classes are unseen at each place, and all classes at random places; eq. 7.

    Args:
        seen: probability of each class at places where one was seen.
        at_random: likewise at places drawn from the whole sphere.
        classes: the class that was seen.
        weight: of the class that was seen, which is one of s.
        unseen: what is assumed of the others.
    """
    own = classes[:, None]
    at_places = _of_unseen(seen, unseen).scatter(1, own, weight * surprise(seen.gather(1, own)))
    return at_places.mean() + _of_unseen(at_random, unseen).mean()


@full_precision
def an_ssdl(seen: Float[Tensor, " b"], at_random: Float[Tensor, " b"], unseen: Unseen) -> Float[Tensor, ""]:
    """Same species, different location: the class that was seen is unseen at a random place; eq. 5."""
    return surprise(seen).mean() + _of_unseen(at_random, unseen).mean()


@full_precision
def an_slds(seen: Float[Tensor, " b"], other: Float[Tensor, " b"], unseen: Unseen) -> Float[Tensor, ""]:
    """Same location, different species: another class is unseen at the same place; eq. 6."""
    return surprise(seen).mean() + _of_unseen(other, unseen).mean()
