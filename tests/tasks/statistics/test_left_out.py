"""Parts of an experiment left out and exchanged, against computing the metric anew on what is left."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score

from swath.tasks import metrics
from swath.tasks.statistics.jackknife import spread
from swath.tasks.statistics.left_out import blocks, of_matrices, of_scores, weighted_sum

GROUPS, REPLICATES, CLASSES, UNITS = 6, 3, 3, 120
FOLD = np.array([0, 0, 1, 1, 1, 0])


@pytest.fixture(scope="module")
def experiment():
    rng = np.random.default_rng(0)
    codes = rng.permutation(np.arange(UNITS) % GROUPS)
    y = rng.integers(0, CLASSES, UNITS)
    scores = np.eye(CLASSES)[y] + rng.normal(0, 0.8, (REPLICATES, UNITS, CLASSES))
    return codes, y, scores, scores.argmax(axis=2)


def matrices(codes, y, predicted):
    """By group, and by fold."""
    found = np.zeros((GROUPS, len(predicted), CLASSES, CLASSES))
    for replicate, said in enumerate(predicted):
        np.add.at(found, (codes, replicate, y, said), 1)
    return found, np.stack([found[fold == FOLD].sum(axis=0) for fold in range(FOLD.max() + 1)])


def macro_f1(y, predicted):
    return f1_score(y, predicted, average="macro")


def macro_ap(y, scores):
    return average_precision_score(np.eye(CLASSES)[y], scores, average="macro")


def check(found, codes, y, said, metric):
    """`said` is what replicates say of units: classes or scores."""
    folds = FOLD[codes]
    for r in range(REPLICATES):
        assert found.value[r] == pytest.approx(metric(y, said[r]))
        for g in range(GROUPS):
            assert found.without_group[g, r] == pytest.approx(metric(y[codes != g], said[r][codes != g]))
        for f in (0, 1):
            assert found.without_fold[f, r] == pytest.approx(metric(y[folds != f], said[r][folds != f]))
            others = []
            for other in set(range(REPLICATES)) - {r}:
                mixed = said[r].copy()
                mixed[folds == f] = said[other][folds == f]
                others.append(metric(y, mixed) - metric(y, said[r]))
            assert found.swapped[f, r] == pytest.approx(np.mean(others))


def test_of_confusion_matrices(experiment):
    codes, y, _, predicted = experiment
    check(
        of_matrices(*matrices(codes, y, predicted), metrics.find("macro_f1").of_matrices(multi_label=False), FOLD),
        codes,
        y,
        predicted,
        macro_f1,
    )


def test_of_class_scores(experiment):
    codes, y, scores, _ = experiment

    def measure(values, weights):
        return metrics.find("macro_ap").of_scores(multi_label=True)(np.eye(CLASSES, dtype=int)[y], values, weights)

    check(of_scores(scores, measure, codes, FOLD[codes]), codes, y, scores, macro_ap)


def test_a_difference_is_a_weighted_sum(experiment):
    codes, y, _, predicted = experiment
    a = of_matrices(*matrices(codes, y, predicted), metrics.find("miou").of_matrices(multi_label=False), FOLD)
    b = of_matrices(
        *matrices(codes, y, predicted[:1]), metrics.find("miou").of_matrices(multi_label=False), FOLD
    ).repeated(REPLICATES)
    found = weighted_sum([(1.0, a), (-1.0, b)])
    np.testing.assert_allclose(found.value, a.value - b.value[0])
    np.testing.assert_allclose(found.swapped, a.swapped, err_msg="nothing random went into the other one")
    expected = spread(found.value, found.without_group, found.swapped, FOLD)
    assert found.spread() == expected


def test_one_training_of_each_fold_makes_the_fold_the_unit(experiment):
    codes, y, _, predicted = experiment
    one = of_matrices(*matrices(codes, y, predicted[:1]), metrics.find("accuracy").of_matrices(multi_label=False), FOLD)
    without = one.without_fold[:, 0]
    found = one.spread()
    assert found.places.variance == pytest.approx(((without - without.mean()) ** 2).sum() / 2)
    assert found.places.freedom == 1
    certain = one.spread(random=False)
    assert certain.places.freedom == GROUPS - 1, "where nothing is random, groups are all there is to chance"
    assert np.isfinite(certain.p())


def test_one_training_in_all_says_nothing_of_luck(experiment):
    codes, y, _, predicted = experiment
    by_group, _ = matrices(codes, y, predicted[:1])
    one = of_matrices(
        by_group,
        by_group.sum(axis=0, keepdims=True),
        metrics.find("accuracy").of_matrices(multi_label=False),
        np.zeros(GROUPS, int),
    )
    assert np.isnan(one.spread().p())
    assert np.isfinite(one.spread(random=False).p())


def test_thousands_of_groups_are_left_out_in_blocks():
    fold_of_group = np.repeat([0, 1], [700, 300])
    group = np.repeat(np.arange(1000), 2)
    block, fold = blocks(group, fold_of_group[group], most=100)
    assert (len(np.unique(block)), len(fold)) == (100, 100)
    assert (block[::2] == block[1::2]).all(), "groups stay whole"
    assert (fold[block] == fold_of_group[group]).all(), "blocks are of one fold"
    assert np.bincount(block).tolist() == [20] * 100
    few = np.array([0, 1, 1, 0])
    assert blocks(few, np.array([1, 0, 0, 1]))[0] is few


def test_blocks_find_the_variance_that_groups_have():
    """Of a mean of independent values, whichever way they are parted."""
    values = np.random.default_rng(0).normal(size=2000)
    everyone, nowhere = np.arange(2000), np.zeros(2000, int)

    def mean(scores, weights):
        return weights @ scores[:, 0] / np.maximum(weights.sum(axis=1), 1)

    found = of_scores(values[None, :, None], mean, everyone, nowhere).spread(random=False)
    assert found.places.variance == pytest.approx(values.var() / 2000, rel=0.2)
    assert found.places.freedom == 299
