"""The promises of a probe of frozen features; of one that trains encoders only the settings are checked."""

from dataclasses import replace
from typing import Any

import numpy as np

from swath.errors import TrainingError
from swath.tasks import Features, Prediction, probes
from swath.testing._data import features, numbers

SEPARABLE = 0.7
"""Accuracy that any probe must reach on classes that lie far apart."""
EXPLAINED = 0.5
"""R² that any probe must reach on numbers that follow from the features."""


def predicted(settings: Any, given: Features, seed: int = 0) -> Prediction | None:
    """The probe's prediction, with a teacher that sees the same features; None for a probe that trains encoders, or
    that does not learn such labels.
    """
    kind = "numbers" if given.regression else "classes"
    if settings.supervision() or kind not in settings.label_kinds():
        return None
    if settings.taught_by():
        given = replace(given, pool_x=given.test_x)
        given = replace(given, teacher=given)
    return probes.fit_predict(settings, given, seed)


def classes_that_lie_apart_are_told_apart(settings: Any) -> None:
    """On easy classes it is right, with a class and a row of scores that sum to 1 for each unit."""
    given, truth = features()
    if (prediction := predicted(settings, given)) is None:
        return
    accuracy = float((prediction.y_pred == truth).mean())
    assert prediction.y_pred.shape == truth.shape, f"{prediction.y_pred.shape} predictions for {truth.shape} units"
    assert accuracy > SEPARABLE, f"classes that lie apart are told apart in {accuracy:.0%} of the cases"
    assert prediction.scores is not None, "it gives no scores"
    assert prediction.scores.shape == (len(truth), given.classes), f"scores have the shape {prediction.scores.shape}"
    assert np.allclose(prediction.scores.sum(axis=1), 1, atol=1e-4), "the scores of a unit do not sum to 1"


def numbers_are_estimated(settings: Any) -> None:
    """If it learns numbers: those that its features tell, a finite one for each unit."""
    given, truth = numbers()
    if (prediction := predicted(settings, given)) is None:
        return
    assert prediction.y_pred.shape == truth.shape, f"{prediction.y_pred.shape} estimates for {truth.shape} units"
    assert np.isfinite(prediction.y_pred).all(), "an estimate is not finite"
    explained = 1 - np.square(prediction.y_pred - truth).sum() / np.square(truth - truth.mean()).sum()
    assert explained > EXPLAINED, f"R² of numbers that follow from the features is {explained:.2f}"


def the_same_seed_gives_the_same_prediction(settings: Any) -> None:
    """All randomness comes from the seed."""
    for given, _ in (features(apart=0.5), numbers()):
        one, other = (predicted(settings, given, 3) for _ in range(2))
        if one is not None and other is not None:
            assert np.array_equal(one.y_pred, other.y_pred), "two trainings of one seed differ"


def labels_of_one_class_are_refused(settings: Any) -> None:
    """Where there is nothing to tell apart, it raises TrainingError instead of a number."""
    for given, _ in (features(), numbers()):
        alone = replace(given, train_y=np.zeros_like(given.train_y), pool_x=given.test_x[:0])
        try:
            prediction = predicted(settings, alone)
        except TrainingError:
            continue
        assert prediction is None, "a training part of one class, or of one number, is not refused"


CHECKS = (
    classes_that_lie_apart_are_told_apart,
    numbers_are_estimated,
    the_same_seed_gives_the_same_prediction,
    labels_of_one_class_are_refused,
)
