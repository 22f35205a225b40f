"""The arms' networks before their pre-training, which the floors take: arms with the same one share their rows."""

import hashlib
import json
from collections.abc import Callable, Sequence
from functools import cache

import torch

from swath.encoders import Encoder
from swath.tasks.run.results import digest

BuildRandom = Callable[[str, int], Encoder]
"""A function of arm and seed that returns the arm's network before its pre-training."""


class Networks:
    """The arms' networks before pre-training, which floors judge."""

    def __init__(self, arms: Sequence[str], build: BuildRandom, seeds: Sequence[int]):
        self.build = build
        self.shared = shared(arms, lambda arm: build(arm, seeds[0]))
        self.fingerprint = cache(lambda arm, seed: fingerprint(build(arm, seed)))

    def of(self, arms: Sequence[str]) -> list[list[str]]:
        """Arms by network: of all networks, or of those of these arms if any of them is judged."""
        own = [same for same in self.shared if not set(arms).isdisjoint(same)]
        return own or self.shared


def shared(arms: Sequence[str], build: Callable[[str], Encoder]) -> list[list[str]]:
    """The arms, those with the same network and the same input together."""
    groups: dict[str, list[str]] = {}
    for arm in arms:
        groups.setdefault(_shape(build(arm)), []).append(arm)
    return list(groups.values())


def named(row: str, groups: Sequence[Sequence[str]]) -> dict[str, Sequence[str]]:
    """The arms whose network each row is, by the row's name.

    With one network in all the row keeps its name; with several each is named after its arms.
    """
    if len(groups) == 1:
        return {row: groups[0]}
    return {f"{row}, as {', '.join(same)}": same for same in groups}


def _shape(encoder: Encoder) -> str:
    # which bands a network that takes any has seen is no part of what it was before it saw them
    own = encoder.contract
    takes = ("any number" if own.any_number else own.channels, own.bands if own.fixed else "any")
    shapes = {name: list(value.shape) for name, value in encoder.state_dict().items()}
    return digest(type(encoder).__name__, takes, shapes)


def fingerprint(encoder: Encoder) -> str:
    """Hash of an encoder's weights and contract."""
    total = hashlib.sha256(json.dumps(encoder.contract.as_dict(), sort_keys=True).encode())
    for name, value in sorted(encoder.state_dict().items()):
        total.update(name.encode())
        total.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()
