"""What is minimised, against transcriptions in NumPy; void pixels are in none of it."""

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from swath.corpus.labels import VOID
from swath.tasks._losses import balanced, chosen, dice_loss, focal_loss

K = 4


@pytest.fixture
def given():
    rng = np.random.default_rng(0)
    logits, y = rng.normal(0, 2, (3, K, 5, 6)), rng.integers(0, K - 1, (3, 5, 6))
    y[0, :2] = VOID
    return logits, y


def flat(logits, y):
    """Probabilities and classes of the labelled pixels alone."""
    there = y != VOID
    z = np.moveaxis(logits, 1, -1)[there]
    p = np.exp(z - z.max(1, keepdims=True))
    return p / p.sum(1, keepdims=True), y[there]


def value(loss, logits, y):
    return float(loss(torch.from_numpy(logits), torch.from_numpy(y)))


WEIGHT = np.array([0.5, 2.0, 1.0, 0.0])


@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_cross_entropy_and_focal_are_the_formulas(given, weight):
    p, y = flat(*given)
    true, each = p[np.arange(len(y)), y], np.ones(len(y)) if weight is None else weight[y]
    tensor = None if weight is None else torch.from_numpy(weight)
    entropy = -(each * np.log(true)).sum() / each.sum()
    assert value(chosen("cross-entropy", tensor), *given) == pytest.approx(entropy)
    focal = -(each * (1 - true) ** 2 * np.log(true)).sum() / each.sum()
    assert value(chosen("focal", tensor), *given) == pytest.approx(focal)


def test_dice_is_the_formula_over_the_classes_that_are_there(given):
    p, y = flat(*given)
    t = np.eye(K)[y]
    of_class = [2 * (p[:, k] * t[:, k]).sum() / (p[:, k].sum() + t[:, k].sum()) for k in range(K - 1)]
    assert value(chosen("dice", None), *given) == pytest.approx(1 - np.mean(of_class))


@pytest.mark.parametrize("loss", [focal_loss, dice_loss, chosen("cross-entropy", None)])
def test_void_pixels_change_nothing_and_teach_nothing(given, loss):
    logits, y = given
    other = logits.copy()
    np.moveaxis(other, 1, -1)[y == VOID] += 100
    assert value(loss, other, y) == value(loss, logits, y)
    x = torch.from_numpy(logits).requires_grad_()
    loss(x, torch.from_numpy(y)).backward()
    assert not x.grad.movedim(1, -1)[torch.from_numpy(y) == VOID].any()
    assert x.grad.movedim(1, -1)[torch.from_numpy(y) != VOID].any()


def test_balanced_weights_are_scikit_learns_and_0_for_a_class_without_a_label():
    y = np.repeat([0, 1, 3], [10, 1, 4])
    expected = compute_class_weight("balanced", classes=np.array([0, 1, 3]), y=y)
    found = balanced(np.bincount(y, minlength=5)).numpy()
    np.testing.assert_allclose(found[[0, 1, 3]], expected, rtol=1e-6)
    assert not found[[2, 4]].any()
