"""How far a value may be chance: of which places were tested, and of how the trainings came out.

The value is the mean, over trainings, of a metric of the whole test set. Its variance is estimated by the two-way
jackknife: leave out each place in turn, leave out each training in turn, and take off once what both count (the same
decomposition: Owen 2007, "The pigeonhole bootstrap"). It needs nothing of a metric but that it can be computed
without a place, so it serves accuracy, F1, IoU, average precision and areas under curves alike.

The reference is Student's t with the mean of both sources' quantiles, weighted by their variances (Cochran 1964,
"Approximations to the Behrens-Fisher problem"). Satterthwaite's degrees of freedom, the usual choice, are themselves
estimated: with three trainings they let more true null hypotheses fall than the level (`benchmarks/calibration`).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Integer
from scipy import special

LEAST_P = 1e-12
"""Smallest p-value that is reported: nobody should believe in more zeros."""
LEAST_TRAININGS, LEAST_EQUAL_GROUPS = 3, 8.0
"""Designs below these get no verdict: there the simulation finds too many differences between equal methods."""


def number_of_equal_groups(sizes: Integer[np.ndarray, " g"] | Float[np.ndarray, " g"]) -> float:
    """How many groups of equal size say as much as groups of these sizes: 1 / sum of squared shares."""
    share = np.asarray(sizes) / np.sum(sizes)
    return float(1 / (share**2).sum())


def has_verdict(trainings: int, sizes: Integer[np.ndarray, " g"] | Float[np.ndarray, " g"]) -> bool:
    """Whether a design has what a verdict needs.

    Args:
        trainings: of each fold.
        sizes: of the groups that are tested, in units.
    """
    return trainings >= LEAST_TRAININGS and number_of_equal_groups(sizes) >= LEAST_EQUAL_GROUPS


@dataclass(frozen=True, slots=True)
class Source:
    """A source of chance: the variance that it adds to the value, and how well that variance is known."""

    variance: float
    freedom: float
    """Degrees of freedom; 0: the variance is unknown."""

    def shared(self, times: float) -> "Source":
        """The source where the mean is over so many times as many."""
        freedom = (self.freedom + 1) * times - 1 if self.freedom > 0 else 0.0
        return Source(self.variance / times, max(freedom, 0.0))


@dataclass(frozen=True, slots=True)
class Spread:
    """A value and its uncertainty."""

    value: float
    places: Source
    trainings: Source
    both: float
    """Variance that both sources count: how differently each training does in each group."""

    @classmethod
    def unknown(cls) -> "Spread":
        """The spread of a value that does not exist."""
        return cls(np.nan, Source(np.nan, 0.0), Source(np.nan, 0.0), np.nan)

    @property
    def variance(self) -> float:
        """Variance of the value; not less than that of either source alone, since `both` is an estimate too."""
        parts = self.places.variance, self.trainings.variance
        return max(sum(parts) - self.both, *parts)

    @property
    def error(self) -> float:
        """Standard error of the value: the root of `variance`."""
        return float(np.sqrt(self.variance))

    @property
    def training_share(self) -> float:
        """Share of the variance that comes from how the trainings came out, 0 to 1; NaN where there is no variance."""
        total = self.places.variance + self.trainings.variance
        return self.trainings.variance / total if total > 0 else np.nan

    def quantile(self, tail: float) -> float:
        """How many standard errors are exceeded by chance with this probability, on one side.

        NaN where there is no variance or a source's is not known.
        """
        known = [source for source in (self.places, self.trainings) if source.variance > 0]
        if not known or any(source.freedom <= 0 for source in (self.places, self.trainings)):
            return np.nan
        weights = np.array([source.variance for source in known])
        quantiles = [-special.stdtrit(source.freedom, tail) for source in known]
        return float(np.average(quantiles, weights=weights))

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Ends of the interval of the value; NaN as `quantile`, but for a value of exactly 0 without variance."""
        if self.variance == 0 == self.value:
            return 0.0, 0.0
        half = self.quantile((1 - confidence) / 2) * self.error
        return self.value - half, self.value + half

    def p(self) -> float:
        """Two-sided p of the value 0: the level at which an end of the interval is 0. NaN as `quantile`.

        A value of exactly 0 without variance, such as a row compared with itself, has p = 1.
        """
        if self.variance == 0:
            return 1.0 if self.value == 0 else np.nan
        if np.isnan(self.quantile(0.25)):
            return np.nan
        distance = abs(self.value) / self.error
        low, high = np.log(LEAST_P), 0.0  # of log p, which falls as the distance grows
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if self.quantile(np.exp(middle) / 2) > distance else (low, middle)
        return float(np.exp(high))

    def detectable(self, power: float = 0.8, alpha: float = 0.05) -> float:
        """The smallest true difference that this design finds with this probability; NaN as `quantile`."""
        return (self.quantile(alpha / 2) + self.quantile(1 - power)) * self.error

    def enlarged(self, places: float = 1.0, trainings: float = 1.0) -> "Spread":
        """The spread that is expected with this many times the groups or the trainings of each fold."""
        return Spread(
            self.value, self.places.shared(places), self.trainings.shared(trainings), self.both / (places * trainings)
        )


def spread(
    value: Float[np.ndarray, " r"],
    without_place: Float[np.ndarray, "g r"],
    swapped: Float[np.ndarray, "f r"],
    fold: Int[np.ndarray, " g"],
) -> Spread:
    """The spread of a mean over trainings.

    Where each fold has one training only, a fold is the unit that is left out; there its places and its training cannot
    be told apart. Where there is one training in all, nothing is known of the luck of trainings.

    Args:
        value: the metric of the whole test set, for each round of trainings: one per fold, all folds together.
        without_place: the same without each place (a group of locations, the evaluation's unit).
        swapped: how much the value of a round changes when the predictions of one fold come from another training of
            that fold, mean over the others; 0 where there is one round.
        fold: which fold tests each place, from 0.
    """
    places, rounds = without_place.shape
    folds = len(swapped)
    mean = float(value.mean())
    by_place = Source(_jackknife(without_place.mean(axis=1)), float(places - 1))
    if rounds == 1 or places < 2:
        unknown = Source(0.0, 0.0)
        return Spread(mean, by_place if places > 1 else unknown, unknown, 0.0)
    # leaving out a training changes the mean over rounds by what the others of its fold would have given in its round
    each = (swapped / rounds).var(axis=1) * (rounds - 1)
    total = float(each.sum())
    squares = float((each**2).sum()) / (rounds - 1)
    by_training = Source(total, total**2 / squares if squares > 0 else float(folds * (rounds - 1)))
    return Spread(mean, by_place, by_training, _both(without_place, fold, rounds))


def _jackknife(left_out: Float[np.ndarray, " n"]) -> float:
    """Variance of a value from what it is without each unit."""
    n = len(left_out)
    return float((n - 1) * left_out.var()) if n > 1 else 0.0


def _both(without_place: Float[np.ndarray, "g r"], fold: Int[np.ndarray, " g"], rounds: int) -> float:
    """Variance of the interaction: what is left of each place in each training when the means of both are taken off."""
    variance = 0.0
    for number in np.unique(fold):
        own = without_place[fold == number]
        rest = own - own.mean(axis=0) - own.mean(axis=1, keepdims=True) + own.mean()
        places = len(without_place)
        variance += float((rest**2).sum()) * (places - 1) / places / (rounds * (rounds - 1))
    return variance


def spread_of_folds(value: float, without_fold: Float[np.ndarray, " f"]) -> Spread:
    """The spread of one training per fold: what differs between folds is chance of places and of trainings together."""
    return Spread(value, Source(_jackknife(without_fold), float(len(without_fold) - 1)), Source(0.0, np.inf), 0.0)
