"""Labelled locations: one class each, several classes each, or a class for each of their pixels."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from swath.corpus.labels import VOID, rarest


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Locations and their classes."""

    locations: Int[np.ndarray, " n"]
    y: Int[np.ndarray, " n"] | Int[np.ndarray, "n k"] | Int[np.ndarray, "n h w"]
    """VOID where a pixel has none; where locations have several classes, 1 for each that they have, else 0."""

    def __len__(self) -> int:
        return len(self.locations)

    @property
    def per_pixel(self) -> bool:
        """Whether pixels have classes, and not whole locations."""
        return self.y.ndim == 3

    @property
    def multi_label(self) -> bool:
        """Whether a location may have several classes."""
        return self.y.ndim == 2

    @property
    def labels(self) -> int:
        """Number of labels: locations, however many classes they have, or pixels that are not void."""
        return len(self) if self.multi_label else int(np.count_nonzero(self.y != VOID))

    def counts(self, classes: int) -> Int[np.ndarray, " k"]:
        """Number of labels of each class."""
        if self.multi_label:
            return self.y.sum(axis=0)
        return np.bincount(self.y[self.y != VOID], minlength=classes)

    def has(self, classes: int) -> Bool[np.ndarray, "n k"]:
        """Whether each location has each class, in some pixel where pixels have classes."""
        if self.multi_label:
            return self.y == 1
        each = self.y.reshape(len(self), -1)
        return np.stack([(each == k).any(axis=1) for k in range(classes)], axis=1)

    def take(self, rows: Int[np.ndarray, " m"]) -> "Labelled":
        """The locations at these positions."""
        return Labelled(self.locations[rows], self.y[rows])


def both(first: Labelled, second: Labelled) -> Labelled:
    """The labelled locations of two parts as one part."""
    return Labelled(np.concatenate([first.locations, second.locations]), np.concatenate([first.y, second.y]))


def learnable(y: Int[np.ndarray, "n *_"]) -> bool:
    """Whether the labels hold at least two classes to tell apart."""
    if y.ndim == 2:
        return bool((y.min(axis=0) != y.max(axis=0)).any()) if len(y) else False
    return len(np.unique(y[y != VOID])) > 1


def subset(part: Labelled, fraction: float, draw: int = 0) -> Labelled:
    """The first locations of each class in a random order, so that a smaller fraction is part of a larger one.

    Every class keeps at least one location. Where pixels have classes, a location counts as the one that most of its
    pixels have: it is labelled whole or not at all. Where locations have several classes, each counts as the rarest.

    Args:
        part: what is drawn from.
        fraction: of each class.
        draw: number of the order, which is the same for all who ask for it.
    """
    if fraction == 1:
        return part
    main = _dominant(part.y) if part.per_pixel else rarest(part.y) if part.multi_label else part.y
    order = np.random.default_rng(draw).permutation(len(part))
    by_class = [order[main[order] == c] for c in np.unique(main)]
    return part.take(np.sort(np.concatenate([rows[: max(1, round(fraction * len(rows)))] for rows in by_class])))


def _dominant(y: Int[np.ndarray, "n h w"]) -> Int[np.ndarray, " n"]:
    return np.array([np.bincount(one[one != VOID], minlength=1).argmax() for one in y], np.int64)


def packed(y: Int[np.ndarray, "n k"]) -> Int[np.ndarray, " n"]:
    """A unit's classes as bits of one number: 1, 2, 4, ... for the first, second, third."""
    return (y.astype(np.int64) << np.arange(y.shape[1])).sum(axis=1)


def unpacked(bits: Int[np.ndarray, " n"], classes: int) -> Int[np.ndarray, "n k"]:
    """The classes of units as 0 or 1 each, from the bits that `packed` made."""
    return (bits[:, None] >> np.arange(classes)) & 1
