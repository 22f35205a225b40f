"""Labelled locations: one class each, several classes each, a class for each of their pixels, or a number each."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from swath.corpus.labels import VOID, rarest
from swath.tasks.budget import LabelBudget


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Locations and their classes, or their numbers."""

    locations: Int[np.ndarray, " n"]
    y: Int[np.ndarray, " n"] | Int[np.ndarray, "n k"] | Int[np.ndarray, "n h w"] | Float[np.ndarray, " n"]
    """VOID where a pixel has none; where locations have several classes, 1 for each that they have, else 0. Real
    numbers are what a regression estimates."""

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
    def regression(self) -> bool:
        """Whether locations have numbers, and not classes."""
        return are_numbers(self.y)

    @property
    def labels(self) -> int:
        """Number of labels: locations, however many classes they have, or pixels that are not void."""
        return int(np.count_nonzero(self.y != VOID)) if self.per_pixel else len(self)

    def counts(self, classes: int) -> Int[np.ndarray, " k"]:
        """Number of labels of each class; numbers belong to none."""
        if self.regression:
            return np.zeros(classes, np.int64)
        if self.multi_label:
            return self.y.sum(axis=0)
        return np.bincount(self.y[self.y != VOID], minlength=classes)

    def has(self, classes: int) -> Bool[np.ndarray, "n k"]:
        """Whether each location has each class, in some pixel where pixels have classes; no number has any."""
        if self.regression:
            return np.zeros((len(self), classes), bool)
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


def are_numbers(y: np.ndarray) -> bool:
    """Whether labels are real numbers, which a regression estimates, and not classes."""
    return y.dtype.kind == "f"


@dataclass(frozen=True, slots=True)
class Centred:
    """Labels as networks learn them: numbers with zero mean and unit variance, classes as they are."""

    mean: float
    std: float

    @classmethod
    def on(cls, y: np.ndarray) -> "Centred":
        """Centre by the mean and standard deviation of these labels."""
        return cls(float(y.mean()), float(y.std()) or 1.0) if are_numbers(y) else cls(0.0, 1.0)

    def __call__(self, y: np.ndarray) -> np.ndarray:
        """Labels in the form that is learnt: float32 numbers, or int64 classes."""
        return ((y - self.mean) / self.std).astype(np.float32) if are_numbers(y) else y.astype(np.int64)

    def undone(self, outputs: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """A network's outputs as numbers in their own unit, float64."""
        return outputs.astype(np.float64) * self.std + self.mean


def learnable(y: Int[np.ndarray, "n *_"] | Float[np.ndarray, " n"]) -> bool:
    """Whether the labels hold at least two classes to tell apart, or two different numbers."""
    if are_numbers(y):
        return len(np.unique(y)) > 1
    if y.ndim == 2:
        return bool((y.min(axis=0) != y.max(axis=0)).any()) if len(y) else False
    return len(np.unique(y[y != VOID])) > 1


def subset(part: Labelled, budget: LabelBudget, draw: int = 0) -> Labelled:
    """The first locations of each class in a random order, so that a smaller budget is part of a larger one.

    Of a share, every class keeps at least one location: one that has several classes counts as the rarest of them, one
    whose pixels have classes as that which most of its pixels have; those with numbers are all of one class. Of a
    number per class, a location counts for every class that it has, so of the frequent ones there may be more. Either
    way a location is labelled whole or not at all.

    Args:
        part: what is drawn from.
        budget: how much of each class.
        draw: number of the order, which is the same for all who ask for it.
    """
    if budget.is_all or not len(part):
        return part
    order = np.random.default_rng(draw).permutation(len(part))
    members = [order[belongs[order]] for belongs in _strata(part, budget)]
    return part.take(np.unique(np.concatenate([rows[: budget.of(len(rows))] for rows in members])))


def _strata(part: Labelled, budget: LabelBudget) -> Bool[np.ndarray, "k n"]:
    """Whether each location may be drawn for each class."""
    if budget.per_class is not None:
        return part.has(part.y.shape[1] if part.multi_label else int(part.y.max()) + 1).T
    own = _stratum(part)
    return own == np.unique(own)[:, None]


def _stratum(part: Labelled) -> Int[np.ndarray, " n"]:
    """The class that each location counts as where a share is drawn."""
    if part.regression:
        return np.zeros(len(part), np.int64)
    return _dominant(part.y) if part.per_pixel else rarest(part.y) if part.multi_label else part.y


def _dominant(y: Int[np.ndarray, "n h w"]) -> Int[np.ndarray, " n"]:
    return np.array([np.bincount(one[one != VOID], minlength=1).argmax() for one in y], np.int64)


def packed(y: Int[np.ndarray, "n k"]) -> Int[np.ndarray, " n"]:
    """A unit's classes as bits of one number: 1, 2, 4, ... for the first, second, third."""
    return (y.astype(np.int64) << np.arange(y.shape[1])).sum(axis=1)


def unpacked(bits: Int[np.ndarray, " n"], classes: int) -> Int[np.ndarray, "n k"]:
    """The classes of units as 0 or 1 each, from the bits that `packed` made."""
    return (bits[:, None] >> np.arange(classes)) & 1
