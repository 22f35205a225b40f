import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from swath.tasks.probes import knn
from tests.tasks.probes.test_every_probe import clouds


def test_plain_majority_equals_scikit_learn():
    features, _ = clouds(apart=0.7)
    ours = knn.fit_predict(knn.Config(k=5, distance="l2", weights="uniform"), features, 0)
    theirs = KNeighborsClassifier(5).fit(features.train_x, features.train_y)
    assert (ours.y_pred == theirs.predict(features.test_x)).mean() > 0.98
    assert ours.scores == pytest.approx(theirs.predict_proba(features.test_x), abs=0.21)


def test_weighted_cosine_equals_its_formula():
    features, _ = clouds(apart=0.7)
    ours = knn.fit_predict(knn.Config(k=7, temperature=0.07), features, 0)
    a = features.test_x / np.linalg.norm(features.test_x, axis=1, keepdims=True)
    b = features.train_x / np.linalg.norm(features.train_x, axis=1, keepdims=True)
    cosine = a @ b.T
    for row, scores in zip(cosine, ours.scores, strict=True):
        near = np.argsort(-row)[:7]
        votes = np.bincount(features.train_y[near], np.exp(row[near] / 0.07), minlength=3)
        assert scores == pytest.approx(votes / votes.sum(), abs=1e-3)


def test_more_neighbours_than_samples_is_all_of_them():
    features, _ = clouds(n=(9, 3, 6))
    found = knn.fit_predict(knn.Config(k=500, weights="uniform"), features, 0)
    assert found.scores == pytest.approx(np.full((6, 3), 1 / 3))


def test_labels_say_what_is_not_the_default():
    assert knn.Config().label() == "knn"
    assert knn.Config(k=5, distance="l2", weights="uniform").label() == "knn (k=5, distance=l2, weights=uniform)"
