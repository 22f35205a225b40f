"""Floors that know where a location lies and nothing else, against transcriptions in NumPy."""

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.linear_model import Ridge

from swath.corpus.splits.partition import SplitConfig, split
from swath.errors import TrainingError
from swath.tasks import Features, Task, TaskConfig, floors
from swath.tasks.floors import nearest_locations
from swath.tasks.floors.latitude import powers
from swath.tasks.floors.nearest_locations import fit_predict, radians
from tests.tasks.fakes import ALL

SPLIT = SplitConfig(fractions=(0.5, 0.25, 0.25))
NORTH = {"rule": "value", "column": "lat", "unit": "degrees"}
KIND = {"rule": "scalar", "column": "kind"}


def task(corpus, target, probe, metric) -> Task:
    config = TaskConfig.model_validate(
        {"target": target, "inputs": {"x": ALL[:1]}, "probes": [probe], "metric": metric, "floors": ["latitude"]}
    )
    return Task("t", config, corpus, split(corpus, SPLIT), SPLIT)


def haversine(a, b):
    """Great-circle distances, in radians, between points in degrees (lon, lat)."""
    lon, lat = np.radians(a[:, None] - b[None]).transpose(2, 0, 1)
    h = (
        np.sin(lat / 2) ** 2
        + np.cos(np.radians(a[:, None, 1])) * np.cos(np.radians(b[None, :, 1])) * np.sin(lon / 2) ** 2
    )
    return 2 * np.arcsin(np.sqrt(h))


def weighted(k, x, y, at):
    """Mean of the k nearest, weighted by inverse distance."""
    away = haversine(at, x)
    near = np.argsort(away, axis=1)[:, :k]
    weights = 1 / np.take_along_axis(away, near, axis=1)
    return (weights * y[near]).sum(axis=1) / weights.sum(axis=1)


def world(n=(80, 40, 30), seed=0):
    """Smooth numbers over the sphere: points in degrees, and features of them in radians."""
    rng = np.random.default_rng(seed)
    at = [np.stack([rng.uniform(-180, 180, m), np.degrees(np.arcsin(rng.uniform(-1, 1, m)))], 1) for m in n]
    y = [
        20 * np.cos(np.radians(one[:, 1])) + 3 * np.cos(np.radians(one[:, 0])) + rng.normal(0, 1, len(one))
        for one in at
    ]
    x = [radians(one) for one in at]
    return at, y, Features(x[0], y[0], x[1], y[1], x[2], 0, x[0][:0])


def test_neighbours_are_the_nearest_on_the_sphere_and_validation_chooses_how_many():
    at, y, features = world()
    ks = (1, 3, 10, 40)
    error = {k: np.square(weighted(k, at[0], y[0], at[1]) - y[1]).mean() for k in ks}
    best = min(ks, key=error.__getitem__)
    assert best not in (1, 40)
    found = fit_predict(ks, features, "tunes").y_pred
    np.testing.assert_allclose(found, weighted(best, at[0], y[0], at[2]), rtol=1e-6)
    both, both_y = np.concatenate(at[:2]), np.concatenate(y[:2])
    np.testing.assert_allclose(fit_predict(ks, features, "fits").y_pred, weighted(best, both, both_y, at[2]), rtol=1e-6)
    alone = fit_predict((1, 3, 10), features.without_validation(), "unused").y_pred
    np.testing.assert_allclose(alone, weighted(3, at[0], y[0], at[2]), rtol=1e-6)


def test_neighbours_meet_over_the_antimeridian_and_the_pole():
    known = np.array([[179.0, 10.0], [-120.0, 10.0], [0.0, 89.0], [0.0, 60.0]])
    asked = np.array([[-179.5, 10.0], [180.0, 88.0]])
    x = radians(known)
    y = np.array([1.0, 2.0, 3.0, 4.0])
    features = Features(x, y, x[:0], y[:0], radians(asked), 0, x[:0])
    np.testing.assert_allclose(fit_predict((1,), features, "unused").y_pred, [1.0, 3.0])


def test_neighbours_vote_on_classes():
    at, y, features = world()
    classes = [(one > np.median(y[0])).astype(np.int64) for one in y]
    told = Features(
        features.train_x, classes[0], features.val_x[:0], classes[1][:0], features.test_x, 2, features.pool_x
    )
    found = fit_predict((5,), told, "unused")
    share = weighted(5, at[0], classes[0].astype(float), at[2])
    np.testing.assert_allclose(found.scores[:, 1], share, rtol=1e-5)
    np.testing.assert_array_equal(found.y_pred, share > 0.5)


def test_equal_labels_leave_nothing_to_learn():
    _, y, features = world()
    same = Features(features.train_x, np.ones(80), features.val_x, y[1], features.test_x, 0, features.pool_x)
    with pytest.raises(TrainingError, match="all the same"):
        fit_predict((1,), same, "tunes")


def test_latitude_is_a_polynomial_and_the_distance_from_the_equator(corpus):
    made = task(corpus, NORTH, {"name": "knn"}, "r2")
    (found,) = floors.outcomes(floors.find("latitude"), made, made.panels, 0)
    lat = corpus.locations["lat"].to_numpy() / 90
    x = np.stack([lat, lat**2, lat**3, lat**4, np.abs(lat)], axis=1)
    np.testing.assert_allclose(powers(corpus.locations[["lon", "lat"]].to_numpy(), 4), x)
    rows, test = made.parts["train"].locations, made.parts["test"].locations
    mean, std = x[rows].mean(axis=0), x[rows].std(axis=0)
    # beside k-NN no validation label is used, and alpha is scikit-learn's default
    model = Ridge(1.0).fit((x[rows] - mean) / std, made.parts["train"].y)
    np.testing.assert_allclose(found.prediction.y_pred, model.predict((x[test] - mean) / std), rtol=1e-5)


@pytest.mark.parametrize("floor", ["latitude", "nearest-locations"])
@pytest.mark.parametrize(("target", "probe", "metric"), [(NORTH, "ridge", "r2"), (KIND, "linear", "accuracy")])
def test_they_use_validation_labels_as_the_probe_does(corpus, floor, target, probe, metric):
    made = task(corpus, target, {"name": probe}, metric)
    (found,) = floors.outcomes(floors.find(floor), made, made.panels, 0)
    assert found.prediction is not None, found.note
    assert len(found.prediction.y_pred) == len(made.units)


def test_locations_without_coordinates_are_said(corpus, monkeypatch):
    made = task(corpus, NORTH, {"name": "ridge"}, "r2")
    lost = corpus.locations.assign(lon=np.nan)
    monkeypatch.setattr(made.corpus, "locations", lost)
    (found,) = floors.outcomes(floors.find("latitude"), made, made.panels, 0)
    assert found.prediction is None
    assert "have no coordinates" in found.note


@pytest.mark.parametrize("k", [(0,), (5, -1), ()])
def test_no_neighbour_at_all_is_no_number_of_neighbours(k):
    with pytest.raises(ValidationError, match="k"):
        nearest_locations.Config(k=k)
