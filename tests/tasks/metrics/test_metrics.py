"""Metrics against scikit-learn, on the whole set, in resamples, and from per-image matrices."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from swath.tasks import metrics
from swath.tasks.metrics import auc, class_iou, confusion
from swath.tasks.metrics.accuracy import share_right as accuracy
from swath.tasks.metrics.balanced_accuracy import balanced_accuracy
from swath.tasks.metrics.macro_f1 import macro_f1
from swath.tasks.metrics.micro_jaccard import micro_jaccard
from swath.tasks.metrics.miou import miou
from swath.tasks.metrics.roc_auc import roc_auc

OF_MATRICES = [
    name for name in metrics.names() if metrics.find(name).single_label and not metrics.find(name).needs_scores
]


@st.composite
def labelled(draw, classes=4):
    """Every class is true at least once, so that no mean is over a class that is not there."""
    extra = draw(st.lists(st.tuples(st.integers(0, classes - 1), st.integers(0, classes - 1)), max_size=60))
    pairs = [(c, draw(st.integers(0, classes - 1))) for c in range(classes)] + extra
    y_true, y_pred = np.array(pairs).T
    return y_true, y_pred


@given(labelled())
@settings(max_examples=60, deadline=None)
def test_equal_scikit_learn(pair):
    y_true, y_pred = pair
    cm = confusion(y_true, y_pred, 4)
    assert (cm == sk.confusion_matrix(y_true, y_pred)).all()
    assert accuracy(cm) == pytest.approx(sk.accuracy_score(y_true, y_pred))
    assert balanced_accuracy(cm) == pytest.approx(sk.balanced_accuracy_score(y_true, y_pred))
    assert macro_f1(cm) == pytest.approx(sk.f1_score(y_true, y_pred, average="macro"))
    assert miou(cm) == pytest.approx(sk.jaccard_score(y_true, y_pred, average="macro"))
    assert micro_jaccard(cm) == pytest.approx(sk.jaccard_score(y_true, y_pred, average="micro"))
    assert micro_jaccard(cm) == pytest.approx(accuracy(cm) / (2 - accuracy(cm)))


def test_miou_is_of_the_whole_set_not_the_mean_over_images():
    rng = np.random.default_rng(0)
    y_true, y_pred = rng.integers(0, 3, (5, 200)), rng.integers(0, 3, (5, 200))
    images = np.stack([confusion(t, p, 3) for t, p in zip(y_true, y_pred, strict=True)])
    whole = sk.jaccard_score(y_true.ravel(), y_pred.ravel(), average="macro")
    assert miou(images.sum(0)) == pytest.approx(whole)
    assert miou(images).mean() != pytest.approx(whole)


def test_a_class_without_a_true_unit_counts_in_no_mean():
    y_true, y_pred = np.array([0, 0, 1, 1]), np.array([0, 2, 1, 1])
    cm = confusion(y_true, y_pred, 4)
    present = [0, 1]
    assert balanced_accuracy(cm) == pytest.approx(0.75)
    assert macro_f1(cm) == pytest.approx(sk.f1_score(y_true, y_pred, labels=present, average="macro"))


def test_miou_counts_what_is_true_or_predicted_as_scikit_learn_does():
    y_true, y_pred = np.array([0, 0, 1, 1]), np.array([0, 2, 1, 1])
    cm = confusion(y_true, y_pred, 4)
    assert miou(cm) == pytest.approx(sk.jaccard_score(y_true, y_pred, average="macro"))
    assert miou(cm) == pytest.approx((0.5 + 1 + 0) / 3)
    assert class_iou(cm) == pytest.approx([0.5, 1, 0, np.nan], nan_ok=True)


@pytest.mark.parametrize("name", OF_MATRICES)
def test_metrics_work_on_any_stack_and_weighting(name):
    rng = np.random.default_rng(1)
    stack = rng.integers(0, 9, (2, 5, 3, 3)).astype(float)
    values = metrics.find(name).single_label(stack)
    assert values.shape == (2, 5)
    assert values[1, 2] == pytest.approx(metrics.find(name).single_label(stack[1, 2]))
    # doubling every unit changes nothing
    assert metrics.find(name).single_label(2 * stack) == pytest.approx(values)
    assert np.isnan(metrics.find(name).single_label(np.zeros((3, 3))))


@given(st.integers(0, 10_000), st.integers(1, 8))
@settings(max_examples=50, deadline=None)
def test_weighted_auc_equals_scikit_learn_with_ties(seed, levels):
    rng = np.random.default_rng(seed)
    y = np.r_[0, 1, rng.integers(0, 2, 30)]
    score = rng.integers(0, levels, len(y)).astype(float)
    weights = np.stack([np.ones(len(y)), rng.integers(1, 4, len(y))])
    ours = auc(y, score, weights)
    theirs = [sk.roc_auc_score(y, score, sample_weight=w) for w in weights]
    assert ours == pytest.approx(theirs)


def test_auc_is_not_defined_without_both_sides():
    assert np.isnan(auc(np.ones(5, int), np.arange(5.0), np.ones((1, 5)))).all()


def test_multiclass_auc_is_the_mean_of_one_against_the_rest():
    rng = np.random.default_rng(3)
    y = rng.integers(0, 3, 80)
    scores = rng.dirichlet(np.ones(3), 80)
    ours = roc_auc(y, scores, np.ones((1, 80)))
    assert ours[0] == pytest.approx(sk.roc_auc_score(y, scores, multi_class="ovr", average="macro"))
