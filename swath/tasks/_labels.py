"""Labelled locations: a class each, or a class for each of their pixels."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from swath.corpus.targets import VOID


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Locations and their classes."""

    locations: Int[np.ndarray, " n"]
    y: Int[np.ndarray, " n"] | Int[np.ndarray, "n h w"]
    """VOID where a pixel has none."""

    def __len__(self) -> int:
        return len(self.locations)

    @property
    def per_pixel(self) -> bool:
        """Whether pixels have classes, and not whole locations."""
        return self.y.ndim == 3

    @property
    def labels(self) -> int:
        """How many labels there are: locations, or pixels that are not void."""
        return int(np.count_nonzero(self.y != VOID))

    def counts(self, classes: int) -> Int[np.ndarray, " k"]:
        """Labels of each class."""
        return np.bincount(self.y[self.y != VOID], minlength=classes)

    def take(self, rows: Int[np.ndarray, " m"]) -> "Labelled":
        """The locations at these positions."""
        return Labelled(self.locations[rows], self.y[rows])


def subset(part: Labelled, fraction: float) -> Labelled:
    """The first locations of each class in a fixed random order, so that a smaller fraction is part of a larger one.

    Every class keeps at least one location. Where pixels have classes, a location counts as the one that most of its
    pixels have: it is labelled whole or not at all.
    """
    if fraction == 1:
        return part
    main = _dominant(part.y) if part.per_pixel else part.y
    order = np.random.default_rng(0).permutation(len(part))
    by_class = [order[main[order] == c] for c in np.unique(main)]
    return part.take(np.sort(np.concatenate([rows[: max(1, round(fraction * len(rows)))] for rows in by_class])))


def _dominant(y: Int[np.ndarray, "n h w"]) -> Int[np.ndarray, " n"]:
    return np.array([np.bincount(one[one != VOID], minlength=1).argmax() for one in y], np.int64)
