"""Fitted probes as layers of a network: the same numbers as the probe's own, by other code."""

import numpy as np
import pytest
import torch

from swath import encoders, plugins
from swath.encoders import InputContract
from swath.errors import RecipeError
from swath.tasks import probes
from swath.tasks._types import Features, Prediction
from swath.tasks.trained import TrainedProbe

N, D = 40, 5


def features(kind):
    """Features far from 0, on scales that differ, one of them constant."""
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(3, N, D)) * 10.0 ** np.arange(-2, 3) + 1000 * np.arange(D)).astype(np.float32)
    x[:, :, 2] = 7.0
    y = {
        "two classes": np.arange(N) % 2,
        "one class unseen": np.array([0, 2, 3])[np.arange(N) % 3],
        "several a location": np.stack([np.arange(N) % 2, np.ones(N), np.zeros(N), np.arange(N) % 3 == 0], axis=1),
        "numbers": 300 + 5 * rng.normal(size=N),
    }[kind]
    y = y if kind == "numbers" else y.astype(np.int64)
    classes = {"two classes": 2, "numbers": 0}.get(kind, 4)
    return Features(x[0], y, x[1], y, x[2], classes)


CLASSES = ["two classes", "one class unseen", "several a location"]
CASES = [
    *(("linear", {"c_count": 2}, kind) for kind in CLASSES),
    ("ridge", {}, "numbers"),
    *(("mlp", {"epochs": 2}, kind) for kind in (*CLASSES, "numbers")),
    *(("knn", {"k": 3}, kind) for kind in (*CLASSES, "numbers")),
    ("knn", {"distance": "l2"}, "two classes"),
]


@pytest.mark.parametrize(("name", "settings", "kind"), CASES)
def test_layers_give_what_the_probe_gives(name, settings, kind):
    config = plugins.find("swath.tasks.probes", name).Config(**settings)
    given = features(kind)
    fitted = probes.fit(config, given, seed=0)
    said = fitted(given.test_x)
    expected = said.y_pred[:, None] if said.scores is None else said.scores
    with torch.no_grad():
        found = fitted.layers().eval()(torch.from_numpy(given.test_x)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert found.shape == (N, max(given.classes, 1))


def test_linear_layers_are_scikit_learns_own_formula():
    """Softmax of w z + b, z by the training part's mean and deviation; what was never seen has no probability."""
    given = features("one class unseen")
    config = plugins.find("swath.tasks.probes", "linear").Config()
    layers = probes.fit(config, given, seed=0).layers()
    mean, std = given.train_x.mean(0, dtype=float), given.train_x.std(0, dtype=float)
    z = (given.test_x - mean) / np.where(std > 0, std, np.inf)
    weight, bias = (np.asarray(layers[1].state_dict()[key], float) for key in ("weight", "bias"))
    seen = [0, 2, 3]
    logits = z @ weight[seen].T + bias[seen]
    share = np.exp(logits - logits.max(1, keepdims=True))
    with torch.no_grad():
        found = layers(torch.from_numpy(given.test_x)).numpy()
    np.testing.assert_allclose(found[:, seen], share / share.sum(1, keepdims=True), rtol=1e-4, atol=1e-6)
    assert (found[:, 1] == 0).all()


def test_a_probe_without_layers_is_refused():
    def guess(x):
        return Prediction.of(np.ones((len(x), 2)), multi_label=False)

    config = plugins.find("swath.encoders", "image-statistics").Config()
    encoder = encoders.build(config, InputContract(1, ("hls/RED",), True, ("reflectance",), (0.1,), (0.1,)))
    with pytest.raises(RecipeError, match=r"no layers.*\n.*swath\.tasks\.trained\.Layered"):
        TrainedProbe(encoder, ("hls/RED",), guess).module()
