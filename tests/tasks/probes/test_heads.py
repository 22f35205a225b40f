"""Probes that can be written as networks say the same as such."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from swath.tasks import probes
from swath.tasks._losses import probabilities
from swath.tasks.probes import knn, linear, mlp, ridge
from swath.tasks.trained import WithHead
from swath.testing import features
from swath.testing._data import numbers


def two_classes():
    given, _ = features(apart=0.5, classes=2)
    return given


def one_class_of_three_is_never_shown():
    given, _ = features(apart=0.5)
    return replace(given, pool_x=given.train_x[:0], train_y=given.train_y % 2, val_y=given.val_y % 2)


def several_classes_each():
    given, _ = features(apart=0.5)
    has = [np.stack([y > 0, y == 1, np.ones_like(y)], axis=1).astype(np.int64) for y in (given.train_y, given.val_y)]
    return replace(given, pool_x=given.train_x[:0], train_y=has[0], val_y=has[1])


def some_numbers():
    return numbers()[0]


CASES = [
    pytest.param(linear.Config(c_count=3), two_classes, id="two classes"),
    pytest.param(linear.Config(c_count=3), one_class_of_three_is_never_shown, id="a class that is never shown"),
    pytest.param(linear.Config(c_count=3), several_classes_each, id="several classes each"),
    pytest.param(ridge.Config(), some_numbers, id="numbers"),
    pytest.param(mlp.Config(epochs=2), two_classes, id="mlp"),
    pytest.param(mlp.Config(epochs=2), some_numbers, id="mlp of numbers"),
]


@pytest.mark.parametrize(("config", "make"), CASES)
def test_the_head_says_what_the_probe_says(config, make):
    given = make()
    x = [part.copy() for part in (given.train_x, given.val_x, given.test_x)]
    for part in x:
        part[:, 0] = 3.5  # a feature that is constant says nothing
    given = replace(given, train_x=x[0], val_x=x[1], test_x=x[2], pool_x=x[0][:0])
    fitted = probes.fit(config, given, 0)
    assert isinstance(fitted, WithHead)
    said = fitted(given.test_x)
    with torch.no_grad():
        outputs = fitted.head()(torch.from_numpy(given.test_x))
    if given.regression:
        np.testing.assert_allclose(outputs[:, 0], said.y_pred, rtol=1e-5)
    else:
        shares = probabilities(outputs, multi_label=given.multi_label).numpy()
        np.testing.assert_allclose(shares, said.scores, atol=1e-5)


def test_nearest_neighbours_have_none():
    assert not isinstance(probes.fit(knn.Config(), two_classes(), 0), WithHead)
