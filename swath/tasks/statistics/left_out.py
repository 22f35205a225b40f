"""A metric with parts of an experiment left out or exchanged: the input of the two-way jackknife."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from swath.tasks.statistics.jackknife import Source, Spread, spread, spread_of_folds

Measure = Callable[[ndarray], ndarray]
"""A function from confusion matrices "... k k" to values "..."."""
Weighted = Callable[[ndarray, ndarray], ndarray]
"""A function from class scores "n k" and weights of the units "b n" to values "b"."""


MOST_BLOCKS = 300
"""Largest number of parts that are left out one by one where a metric needs class scores."""


@dataclass(frozen=True, slots=True, eq=False)
class LeftOut:
    """A metric of the whole test set, and what becomes of it without parts of the experiment, replicate by replicate.

    A replicate is one training of each fold.
    """

    value: Float[ndarray, " r"]
    without_group: Float[ndarray, "g r"]
    without_fold: Float[ndarray, "f r"]
    fold: Int[ndarray, " g"]
    """Number of the fold that tests each group."""
    swapped: Float[ndarray, "f r"]
    """How much the value changes when the predictions of one fold come from another replicate, mean over the others."""

    def repeated(self, times: int) -> "LeftOut":
        """The same where nothing random went into it: one replicate stands for so many."""
        return replace(self, **{name: np.repeat(getattr(self, name), times, axis=-1) for name in _ARRAYS})

    def spread(self, *, random: bool = True) -> Spread:
        """How far the mean over replicates may be chance.

        Where each fold has one training only, the fold is the unit; where there is one training in all, nothing is
        known of the luck of trainings.

        Args:
            random: whether trainings could have come out otherwise; if not, groups are all that is left to chance.
        """
        folds, replicates = self.swapped.shape
        if random and replicates == 1 and folds > 1:
            return spread_of_folds(float(self.value.mean()), self.without_fold.mean(axis=1))
        known = spread(self.value, self.without_group, self.swapped, self.fold)
        return known if random else replace(known, trainings=Source(0.0, np.inf), both=0.0)


_ARRAYS = ("value", "without_group", "without_fold", "swapped")


def weighted_sum(parts: Sequence[tuple[float, LeftOut]]) -> LeftOut:
    """A weighted sum of metrics, such as a difference (1, -1) or a mean over inputs."""
    arrays = {name: np.sum([w * getattr(one, name) for w, one in parts], axis=0) for name in _ARRAYS}
    return replace(parts[0][1], **arrays)


def of_matrices(
    by_group: Float[ndarray, "g r *matrix"],
    by_fold: Float[ndarray, "f r *matrix"],
    measure: Measure,
    fold: Int[ndarray, " g"],
) -> LeftOut:
    """Values of a metric of confusion matrices without each group, and with each training exchanged.

    Args:
        by_group: of all units of each group.
        by_fold: of all units of each fold.
        measure: the metric.
        fold: number of the fold that tests each group, from 0.
    """
    total = by_group.sum(axis=0)
    value = measure(total)
    return LeftOut(
        value=value,
        without_group=measure(total - by_group),
        without_fold=measure(total - by_fold),
        fold=fold,
        swapped=np.stack([_changes(value, lambda i, j, f=f: measure(total[i] - f[i] + f[j])) for f in by_fold]),
    )


def of_scores(
    scores: Float[ndarray, "r n k"], measure: Weighted, group: Int[ndarray, " n"], fold: Int[ndarray, " n"]
) -> LeftOut:
    """Values of a metric of class scores without each group, and with each training exchanged.

    Args:
        scores: higher means more likely.
        measure: the metric.
        group: number of the group of each unit, from 0.
        fold: number of the fold that tests each unit, from 0.
    """
    equal_weights = np.ones((1, len(group)))
    group, fold_of_group = blocks(group, fold)
    in_group, in_fold = (np.arange(units.max() + 1)[:, None] == units for units in (group, fold))
    weights = np.concatenate([equal_weights, ~in_group, ~in_fold]).astype(float)
    values = np.stack([measure(one, weights) for one in scores], axis=1)
    (value,), without_group, without_fold = np.split(values, [1, 1 + len(in_group)])

    def swapped(own: int, other: int, of_fold: ndarray) -> float:
        return float(measure(np.where(of_fold[:, None], scores[other], scores[own]), equal_weights)[0])

    changes = [_changes(value, lambda i, j, f=of_fold: swapped(i, j, f)) for of_fold in in_fold]
    return LeftOut(value, without_group, without_fold, fold_of_group, np.stack(changes))


def blocks(
    group: Int[ndarray, " n"], fold: Int[ndarray, " n"], most: int = MOST_BLOCKS
) -> tuple[Int[ndarray, " n"], Int[ndarray, " b"]]:
    """Groups themselves where they are few, else blocks of groups of one fold, dealt at random.

    Ranking all units anew without each of thousands of groups takes hours, and says nothing more of the variance.

    Returns:
        The block of each unit, and the fold of each block.
    """
    first = np.unique(group, return_index=True)[1]
    fold_of_group = fold[first]
    if len(first) <= most:
        return group, fold_of_group
    order = np.random.default_rng(0).permutation(len(first))
    block = np.empty(len(first), np.int64)
    made, folds = 0, []
    for number in range(fold_of_group.max() + 1):
        own = order[fold_of_group[order] == number]
        count = min(len(own), max(1, round(most * len(own) / len(first))))
        block[own] = made + np.arange(len(own)) % count
        folds += [number] * count
        made += count
    return block[group], np.array(folds)


def _changes(value: Float[ndarray, " r"], exchanged: Callable[[int, int], ndarray | float]) -> Float[ndarray, " r"]:
    """How much each replicate's value changes, mean over the other replicates that it takes something from."""
    replicates = range(len(value))
    if len(value) == 1:
        return np.zeros(1)
    return np.array([np.mean([exchanged(i, j) - value[i] for j in replicates if j != i]) for i in replicates])
