"""Whether class probabilities mean what they say: calibration, temperature, selective prediction, conformal sets.

All functions are of units with one class each, and of class scores in rows that sum to 1. None raises on degenerate
data: what is not known is NaN.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from swath.tasks._uncertainty import LEAST
from swath.tasks._uncertainty import uncertainty as uncertainty

BINS = 15
"""Largest number of bins of confidence, as in Guo et al. (2017)."""
FEWEST = 5
"""Units that a bin has at least, unless many have the same confidence."""
HOTTEST = 64.0
"""Largest temperature that is tried; the smallest is one over it."""
PARTS = 5
"""Largest number of parts of the groups that are held out in turn."""


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """Units in bins of confidence, about as many in each; units of equal confidence share a bin."""

    count: Int[np.ndarray, " b"]
    confidence: Float[np.ndarray, " b"]
    """Mean confidence of each bin."""
    right: Float[np.ndarray, " b"]
    """Share of each bin's units that are right."""
    variance: Float[np.ndarray, " b"]
    """Variance of each bin's mean of right minus confidence; NaN in a bin of one unit."""
    by_chance: float
    """The `error` that is expected of perfect calibration, of so many units."""

    @property
    def error(self) -> float:
        """Expected calibration error (ECE): the mean of |share right - confidence|, weighted by count.

        Chance alone makes it larger than 0: compare `by_chance`.
        """
        return (
            float(np.average(np.abs(self.right - self.confidence), weights=self.count)) if len(self.count) else np.nan
        )

    @property
    def squared(self) -> float:
        """Debiased squared calibration error (Kumar, Liang, Ma 2019): 0 in the mean under perfect calibration.

        It may be negative. Bins of a single unit, whose variance is not known, are left out.
        """
        known = np.isfinite(self.variance)
        if not known.any():
            return np.nan
        each = (self.right - self.confidence) ** 2 - self.variance
        return float(np.average(each[known], weights=self.count[known]))

    @property
    def debiased(self) -> float:
        """The root of `squared`, and 0 where that is negative: the root mean square calibration error."""
        return float(np.sqrt(max(self.squared, 0.0))) if np.isfinite(self.squared) else np.nan


def reliability(confidence: Float[np.ndarray, " n"], right: Bool[np.ndarray, " n"], bins: int = BINS) -> Reliability:
    """Units in bins of equal size by confidence.

    Args:
        confidence: score of the predicted class, 0 to 1.
        right: whether the prediction is right.
        bins: largest number; fewer where a bin would have fewer than five units.
    """
    n = len(confidence)
    bins = max(1, min(bins, n // FEWEST))
    rank = np.searchsorted(np.sort(confidence), confidence)
    _, code = np.unique(rank * bins // max(n, 1), return_inverse=True)
    count = np.bincount(code)
    off = right - confidence
    mean = np.bincount(code, off) / count
    squares = np.bincount(code, (off - mean[code]) ** 2)
    variance = np.where(count > 1, squares / np.maximum(count - 1, 1) / count, np.nan)
    chance = np.sqrt(2 / np.pi * np.bincount(code, confidence * (1 - confidence)))  # of a bin's sum, about normal
    return Reliability(
        count,
        np.bincount(code, confidence) / count,
        np.bincount(code, right) / count,
        variance,
        float(chance.sum() / n) if n else np.nan,
    )


def heated(scores: Float[np.ndarray, "n k"], temperature: float) -> Float[np.ndarray, "n k"]:
    """Scores whose logarithms are divided by a temperature, in rows that sum to 1; above 1 they are less sure."""
    logits = np.log(np.maximum(scores, LEAST)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def surprise(scores: Float[np.ndarray, "n k"], y: Int[np.ndarray, " n"]) -> float:
    """Mean negative log-likelihood of the labels, in nats; NaN without any."""
    return float(-np.log(np.maximum(scores[np.arange(len(y)), y], LEAST)).mean()) if len(y) else np.nan


def best_temperature(scores: Float[np.ndarray, "n k"], y: Int[np.ndarray, " n"]) -> float:
    """The temperature under which the labels are likeliest (Guo et al. 2017), between 1/64 and 64.

    It is at an end of that range where labels are all right, or have nothing to do with the scores; 1 where all classes
    always have the same score.
    """
    from scipy.optimize import brentq  # takes a second to import

    logits = np.log(np.maximum(scores, LEAST))
    logits -= logits.max(axis=1, keepdims=True)
    if not len(y) or not logits.any():
        return 1.0
    own = float(logits[np.arange(len(y)), y].mean())

    def slope(log_temperature: float) -> float:
        """Slope of the mean log-likelihood, which is concave in one over the temperature."""
        powers = np.exp(logits / np.exp(log_temperature))
        return own - float(((powers * logits).sum(axis=1) / powers.sum(axis=1)).mean())

    end = float(np.log(HOTTEST))
    if slope(end) <= 0:
        return HOTTEST
    if slope(-end) >= 0:
        return 1 / HOTTEST
    return float(np.exp(brentq(slope, -end, end, xtol=1e-4)))  # pyright: ignore[reportCallIssue, reportArgumentType]


def risk_by_coverage(confidence: Float[np.ndarray, " n"], right: Bool[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Share of errors among the most confident 1, 2, ..., n units; its mean is the area under the curve (AURC).

    Units of equal confidence come in any order: the share is the mean over all orders.
    """
    levels, code = np.unique(-confidence, return_inverse=True)
    wrong = np.bincount(code, ~right, minlength=len(levels)) / np.bincount(code, minlength=len(levels))
    return np.cumsum(wrong[np.sort(code)]) / np.arange(1, len(confidence) + 1)


def lac(scores: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n k"]:
    """How strange each class would be by its own score (least ambiguous classifier; Sadinle, Lei, Wasserman 2019)."""
    return 1 - scores


def aps(scores: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n k"]:
    """How strange each class would be by the scores of it and of all likelier ones together.

    These are adaptive prediction sets (Romano, Sesia, Candes 2020) without randomisation, which covers a little more.
    """
    order = np.argsort(-scores, axis=1, kind="stable")
    sums = np.cumsum(np.take_along_axis(scores, order, axis=1), axis=1)
    strange = np.empty_like(sums)
    np.put_along_axis(strange, order, sums, axis=1)
    return strange


def conformal_threshold(strange: Float[np.ndarray, " n"], alpha: float) -> float:
    """The strangeness up to which classes belong to the set, by that of the true classes of units for calibration.

    A set of a further, exchangeable unit then holds its true class with a probability of 1 - alpha at least. Infinite,
    so that all classes do, where there are fewer than 1 / alpha - 1 units.
    """
    rank = int(np.ceil((len(strange) + 1) * (1 - alpha) - 1e-9))
    return float(np.partition(strange, rank - 1)[rank - 1]) if rank <= len(strange) else np.inf


def held_out(group: Shaped[np.ndarray, " n"], parts: int = PARTS) -> Iterator[Bool[np.ndarray, " n"]]:
    """Parts of the units by whole groups, each to be predicted from all others: one per group, or fewer.

    Yields nothing of a single group.
    """
    names, code = np.unique(group, return_inverse=True)
    if len(names) < 2:
        return
    parts = min(parts, len(names))
    for part in range(parts):
        yield code % parts == part


@dataclass(frozen=True, slots=True, eq=False)
class Apart:
    """What units are told by temperatures and thresholds of others, by the same training."""

    temperature: Float[np.ndarray, " n"]
    """The one that was fitted for each unit."""
    scores: Float[np.ndarray, "n k"]
    """Class scores under that temperature."""
    by_lac: Bool[np.ndarray, "n k"]
    """Conformal sets by `lac`."""
    by_aps: Bool[np.ndarray, "n k"]
    """Conformal sets by `aps`."""


def calibrated_on(
    scores: Float[np.ndarray, "n k"], others: Float[np.ndarray, "m k"], answers: Int[np.ndarray, " m"], alpha: float
) -> Apart:
    """Temperature and conformal sets of units, from other units, such as those of the validation part.

    Args:
        scores: of a training, for the units.
        others: of the same training, for the other units, whose labels it has not learnt from.
        answers: true class of each other unit.
        alpha: share of the units whose set may miss the true class.
    """
    temperature, own = best_temperature(others, answers), np.arange(len(answers))
    by_lac, by_aps = (
        strangeness(scores) <= conformal_threshold(strangeness(others)[own, answers], alpha)
        for strangeness in (lac, aps)
    )
    return Apart(np.full(len(scores), temperature), heated(scores, temperature), by_lac, by_aps)


def calibrated_apart(
    scores: Float[np.ndarray, "n k"], y: Int[np.ndarray, " n"], group: Shaped[np.ndarray, " n"], alpha: float
) -> Apart | None:
    """Temperature and conformal sets of one training's test units, each from the units of other groups.

    Args:
        scores: of a training.
        y: true class of each unit.
        group: of each unit. Units of a group are alike, so none of it may calibrate for another.
        alpha: share of the units whose set may miss the true class.

    Returns:
        None where all units are of one group.
    """
    told = Apart(
        np.full(len(y), np.nan), np.empty(scores.shape), np.zeros(scores.shape, bool), np.zeros(scores.shape, bool)
    )
    parts = list(held_out(group))
    for part in parts:
        own = calibrated_on(scores[part], scores[~part], y[~part], alpha)
        told.temperature[part], told.scores[part] = own.temperature, own.scores
        told.by_lac[part], told.by_aps[part] = own.by_lac, own.by_aps
    return told if parts else None
