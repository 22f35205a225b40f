"""The promises of a metric."""

from typing import Any, Literal

import numpy as np

from swath.tasks import metrics
from swath.tasks.metrics import Metric

UNITS, CLASSES, WEIGHTINGS = 60, 3, 4


Kind = Literal["class", "classes", "number"]
"""Kind of the units' labels: one class, several classes, or a number."""
OF_KIND: dict[Kind, dict[str, bool]] = {
    "class": {"multi_label": False},
    "classes": {"multi_label": True},
    "number": {"multi_label": False, "regression": True},
}


def measured(metric: Metric, weights: np.ndarray, kind: Kind) -> np.ndarray:
    """Values of the metric for generated predictions, one for each weighting "b n" of the units."""
    rng = np.random.default_rng(0)
    multi_label = kind == "classes"
    if kind == "number":
        y = rng.normal(size=UNITS)
        sums = metrics.error_sums(y, y + 0.3 * rng.normal(size=UNITS), np.arange(UNITS), UNITS)
        return np.asarray(metric.of_sums()(weights @ sums))
    if multi_label:
        truth = rng.integers(0, 2, (UNITS, CLASSES))
        scores = np.clip(0.3 * rng.normal(size=truth.shape) + 0.25 + 0.5 * truth, 0.01, 0.99)
        said = (scores > 0.5).astype(np.int64)
        single = np.stack([metrics.confusion_by_class(truth[[i]], said[[i]]) for i in range(UNITS)])
    else:
        truth = np.arange(UNITS) % CLASSES
        scores = rng.random((UNITS, CLASSES)) + np.eye(CLASSES)[truth]
        scores /= scores.sum(axis=1, keepdims=True)
        single = np.stack(
            [metrics.confusion(truth[i : i + 1], scores[i : i + 1].argmax(1), CLASSES) for i in range(UNITS)]
        )
    if metric.needs_scores:
        return np.asarray(metric.of_scores(multi_label=multi_label)(truth, scores, weights))
    return np.asarray(metric.of_matrices(multi_label=multi_label)(np.tensordot(weights, single, axes=1)))


def it_gives_a_number_a_weighting(name: str) -> None:
    """For every kind of units that it serves: one finite number per weighting, the same for the same weights."""
    metric: Any = metrics.find(name)
    assert metric.name.replace("_", "-") == name.replace("_", "-"), f"METRIC of {name} is called {metric.name}"
    served: list[Kind] = [kind for kind, said in OF_KIND.items() if metric.serves(**said)]
    assert served, f"{name} serves no kind of units"
    weights = np.random.default_rng(1).integers(1, 4, (WEIGHTINGS, UNITS)).astype(float)
    for kind in served:
        values = measured(metric, weights, kind)
        assert values.shape == (WEIGHTINGS,), f"{name} gives the shape {values.shape} for {WEIGHTINGS} weightings"
        assert np.isfinite(values).all(), f"{name} is not finite"
        again = measured(metric, 2 * weights, kind)
        assert np.allclose(values, again), f"{name} changes when every unit counts twice"


CHECKS = (it_gives_a_number_a_weighting,)
