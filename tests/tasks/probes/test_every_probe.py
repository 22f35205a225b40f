"""What holds for every probe of frozen features: found by name, strict, honest about labels that allow nothing."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from swath import plugins
from swath.errors import RecipeError, TrainingError
from swath.tasks import probes
from swath.tasks._types import Features

CLASSES = 3


def clouds(n=(90, 45, 60), d=12, classes=CLASSES, apart=2.0, seed=0):
    """Gaussian classes around random centres, on scales that differ by feature."""
    rng = np.random.default_rng(seed)
    centres, scale = rng.normal(0, apart, (classes, d)), 10.0 ** rng.uniform(-2, 2, d)
    y = [np.arange(size) % classes for size in n]
    x = [((centres[labels] + rng.normal(0, 1, (len(labels), d))) * scale).astype(np.float32) for labels in y]
    return Features(x[0], y[0], x[1], y[1], x[2], classes), y[2]


def needed(probe):
    # neighbours are found in the features as they are, whose scales differ here by four orders of magnitude
    return 0.7 if probe.name == "knn" else 0.9


def config(name):
    required = {"distil": {"teacher": ("all",)}}
    return plugins.find("swath.tasks.probes", name).Config(**required.get(name, {}))


def judged(probe, features, seed):
    """A teacher, where there is one, sees the same features, and the test part as locations without labels."""
    if probe.taught_by():
        pool = replace(features, pool_x=features.test_x)
        features = replace(pool, teacher=pool)
    return probes.fit_predict(probe, features, seed)


@pytest.fixture(
    params=[
        name for name in probes.names() if not config(name).supervision() and "classes" in config(name).label_kinds()
    ]
)
def probe(request):
    return config(request.param)


def test_separable_classes_are_separated_and_scores_are_shares(probe):
    features, truth = clouds()
    found = judged(probe, features, 0)
    assert (found.y_pred == truth).mean() > needed(probe)
    assert found.scores.shape == (60, CLASSES)
    assert found.scores.sum(1) == pytest.approx(np.ones(60), abs=1e-5)
    assert (found.scores.argmax(1) == found.y_pred).all()


def test_the_same_seed_gives_the_same_prediction(probe):
    features, _ = clouds(apart=0.5)
    one, other = (judged(probe, features, 3) for _ in range(2))
    assert (one.scores == other.scores).all()


def test_one_class_only_is_an_error_that_says_so(probe):
    features, _ = clouds()
    alone = Features(
        features.train_x, np.zeros_like(features.train_y), features.val_x, features.val_y, features.test_x, CLASSES
    )
    with pytest.raises(TrainingError, match="holds one class, so"):
        judged(probe, alone, 0)


def test_a_class_without_a_label_is_never_predicted(probe):
    features, _ = clouds(classes=2)
    wider = Features(
        features.train_x, features.train_y * 2, features.val_x, features.val_y * 2, features.test_x, CLASSES
    )
    found = judged(probe, wider, 0)
    assert found.scores.shape == (60, CLASSES)
    assert set(found.y_pred) <= {0, 2}


def test_features_that_are_not_finite_are_refused(probe):
    features, _ = clouds()
    features.test_x[3, 2] = np.nan
    with pytest.raises(TrainingError, match="not finite"):
        judged(probe, features, 0)


def test_constant_features_do_no_harm(probe):
    features, truth = clouds()
    for x in (features.train_x, features.val_x, features.test_x):
        x[:, 0] = 1e6
    found = judged(probe, features, 0)
    if probe.name != "knn":
        assert (found.y_pred == truth).mean() > 0.85
    assert np.isfinite(found.scores).all()


def test_no_validation_and_no_test_units(probe):
    features, truth = clouds(n=(90, 0, 60))
    assert (judged(probe, features, 0).y_pred == truth).mean() > needed(probe)


def test_settings_are_strict(probe):
    with pytest.raises(ValidationError):
        type(probe).model_validate({"name": probe.name, "neighbours": 3})


OPTICAL, RADAR = ["sentinel-2-l2a/B02", "sentinel-2-l2a/B03"], ["sentinel-1-grd/VV"]
NAMED = {"optical": OPTICAL, "radar": RADAR, "all": OPTICAL + RADAR}


@pytest.mark.parametrize("name", probes.names())
def test_what_a_task_has_to_know_of_it_is_there(name):
    module, probe = plugins.find("swath.tasks.probes", name), config(name)
    assert isinstance(probe, probes.ProbeSettings)
    assert probe.name == name
    assert probe.label().startswith(name)
    inputs = probe.inputs(NAMED)
    assert inputs
    assert all(keys and set(keys) <= {key for keys in NAMED.values() for key in keys} for keys in inputs.values())
    assert set().union(*probe.input_groups(NAMED).values(), inputs) == set(inputs)
    if probe.supervision():
        assert isinstance(module, probes.TrainingProbe)
    else:
        assert isinstance(module, probes.FeatureProbe)
        assert probe.keeps_encoder()
    again = type(probe).model_validate(probe.model_dump(mode="json"))
    assert again == probe


def test_a_probe_is_one_file(add_plugin):
    features, truth = clouds()
    add_plugin(
        "swath.tasks.probes",
        "nearest_mean",
        """
        from typing import Literal

        import numpy as np

        from swath.tasks import Prediction
        from swath.tasks.probes import ProbeSettings


        class Config(ProbeSettings):
            name: Literal["nearest-mean"] = "nearest-mean"

            def label(self):
                return "nearest-mean of a class"


        def fit_predict(config, features, seed):
            classes = range(features.classes)
            means = np.stack([features.train_x[features.train_y == k].mean(axis=0) for k in classes])
            scale = features.train_x.std(axis=0)
            away = np.square((features.test_x[:, None] - means) / scale).sum(axis=2)
            return Prediction.of(np.exp(-away) / np.exp(-away).sum(axis=1, keepdims=True), multi_label=False)
        """,
    )
    assert "nearest-mean" in probes.names()
    probe = config("nearest-mean")
    assert (probes.fit_predict(probe, features, 0).y_pred == truth).mean() > 0.9
    # settings are built once: those of before know nothing of the file
    inside = type("Config", (plugins.find("swath.tasks.probes", "band-wise").Config,), {})
    assert inside.model_validate({"probe": {"name": "nearest-mean"}}).label() == "band-wise nearest-mean"


def test_unknown_probes_are_named_with_the_nearest():
    with pytest.raises(RecipeError, match="unknown probe 'liner'"):
        plugins.find("swath.tasks.probes", "liner")
