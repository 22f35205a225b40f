"""How often equal regressions are told apart, and how often intervals hold the truth: by simulation."""

import numpy as np
import pytest

from swath.tasks import has_verdict, metrics
from swath.tasks.statistics import left_out

UNITS, EXPERIMENTS = 30, 1000
ERROR, BETTER = 3.0, 2.7
"""Standard deviation of the error of two equal methods, and of a better one, where that of the labels is 10."""


def sums(rng, y, group, groups, trainings, luck, error):
    """Error sums "g r 5" of a method: errors differ by place, by training, and by both."""
    in_place = np.exp(rng.normal(0, 0.15, groups))
    by_training = np.exp(rng.normal(0, luck, trainings))
    tallies = []
    for training in range(trainings):
        scale = error * by_training[training] * (in_place * np.exp(rng.normal(0, 0.1, groups)))[group]
        shift = rng.normal(0, 0.8, groups)[group]
        tallies.append(metrics.error_sums(y, y + shift + scale * rng.normal(size=len(y)), group, groups))
    return np.stack(tallies, axis=1)


def differences(rng, groups, trainings, luck, names):
    """By metric: spreads of the difference of two equal methods, and of a better one and the first."""
    group = np.repeat(np.arange(groups), UNITS)
    y = rng.normal(0, 7, groups)[group] + rng.normal(0, 7, len(group))
    first, other, better = (sums(rng, y, group, groups, trainings, luck, error) for error in (ERROR, ERROR, BETTER))
    fold = np.zeros(groups, int)

    def spread(a, b, name):
        apart = [left_out.of_matrices(one, one.sum(0)[None], metrics.find(name).of_sums(), fold) for one in (a, b)]
        return left_out.weighted_sum([(1.0, apart[0]), (-1.0, apart[1])]).spread()

    return {name: (spread(first, other, name), spread(better, first, name)) for name in names}


@pytest.mark.slow
@pytest.mark.parametrize(("groups", "trainings", "luck"), [(8, 3, 0.0), (18, 3, 0.05), (18, 5, 0.1), (60, 3, 0.1)])
def test_equal_regressions_are_rarely_told_apart_and_intervals_hold_the_truth(groups, trainings, luck):
    assert has_verdict(trainings, np.full(groups, UNITS))
    rng, names = np.random.default_rng([groups, trainings]), ("r2", "rmse", "mae")
    made = [differences(rng, groups, trainings, luck, names) for _ in range(EXPERIMENTS)]
    # three standard errors of a share of so many experiments
    margin = 3 * np.sqrt(0.05 * 0.95 / EXPERIMENTS)
    for name in names:
        equal, unequal = zip(*(one[name] for one in made), strict=True)
        truth = np.mean([one.value for one in unequal])
        assert np.mean([one.p() < 0.05 for one in equal]) <= 0.06 + margin, name
        held = [low <= truth <= high for low, high in (one.interval() for one in unequal)]
        assert np.mean(held) >= 0.93 - margin, name
