"""What holds for every metric: a record of its own, and a value that rises with what is right."""

import numpy as np
import pytest
from pydantic import ValidationError

from swath import plugins
from swath.errors import RecipeError
from swath.tasks import TaskConfig, metrics
from swath.tasks.metrics import confusion, confusion_by_class

N, CLASSES = 300, 3
TRUTH = np.random.default_rng(0).integers(0, CLASSES, N)


@pytest.fixture(params=metrics.names())
def metric(request):
    return metrics.find(request.param)


def said(right, rng):
    """Scores of units with one class each, the share `right` of which are as they should be."""
    guess = np.where(rng.random(N) < right, TRUTH, rng.integers(0, CLASSES, N))
    scores = np.eye(CLASSES)[guess] + 0.1 * rng.random((N, CLASSES))
    return scores / scores.sum(axis=1, keepdims=True)


def estimates(right, rng):
    """Numbers, and estimates of which so much is not noise."""
    y = rng.normal(280, 9, N)
    return metrics.error_sums(y - 280, y - 280 + (1 - right) * rng.normal(0, 9, N), np.zeros(N, int), 1)[0]


def value(metric, scores, *, multi_label):
    truth = np.eye(CLASSES, dtype=int)[TRUTH] if multi_label else TRUTH
    if metric.needs_scores:
        return metric.of_scores(multi_label=multi_label)(truth, scores, np.ones((1, N)))[0]
    if multi_label:
        return metric.of_matrices(multi_label=True)(confusion_by_class(truth, (scores > 0.5).astype(int)))
    return metric.of_matrices(multi_label=False)(confusion(truth, scores.argmax(axis=1), CLASSES))


def test_its_record_is_whole(metric):
    assert isinstance(plugins.find("swath.tasks.metrics", metric.name), metrics.MetricPlugin)
    assert metric.label
    assert metric.single_label or metric.multi_label or metric.numbers
    assert not (metric.needs_scores and metric.per_pixel)
    assert metrics.find(metric.name) is metric


def test_it_is_better_where_more_is_right(metric):
    for multi_label in (False, True):
        if not metric.serves(multi_label=multi_label):
            continue
        values = [
            value(metric, said(share, np.random.default_rng(1)), multi_label=multi_label) for share in (0.2, 0.7, 1)
        ]
        assert values == sorted(values, reverse=metric.better == "lower")
        assert len(set(np.round(values, 6))) == 3
        if metric.unit == "share":
            assert 0 < values[0] < values[2] <= 1
            assert values[2] == pytest.approx(1)


def test_it_is_better_where_estimates_are_nearer(metric):
    if metric.serves(multi_label=False, regression=True):
        found = [float(metric.of_sums()(estimates(share, np.random.default_rng(1)))) for share in (0.2, 0.7, 1)]
        assert found == sorted(found, reverse=metric.better == "lower")
        assert found[2] == pytest.approx(1 if metric.better == "higher" else 0)


def test_a_metric_is_one_file(add_plugin):
    add_plugin(
        "swath.tasks.metrics",
        "error_rate",
        """
        from swath.tasks.metrics import Metric, share_right

        METRIC = Metric(
            name="error_rate", label="error rate", better="lower", single_label=lambda cm: 1 - share_right(cm)
        )
        """,
    )
    assert "error_rate" in metrics.names()
    metric = metrics.find("error_rate")
    scores = said(0.7, np.random.default_rng(2))
    expected = (scores.argmax(axis=1) != TRUTH).mean()
    assert value(metric, scores, multi_label=False) == pytest.approx(expected)
    # settings are built once: those of before know nothing of the file
    again = type("TaskConfig", (TaskConfig,), {})
    task = {"target": {"rule": "scalar", "column": "kind"}, "inputs": {"x": ["sentinel-2-l2a/B02"]}}
    assert again.model_validate(task | {"metric": "error_rate"}).metric == "error_rate"
    with pytest.raises(ValidationError, match="several classes per location are not judged by error_rate"):
        again.model_validate(task | {"metric": "error_rate", "target": {"rule": "multi-label", "column": "x"}})


def test_unknown_metrics_are_named_with_the_nearest():
    with pytest.raises(RecipeError, match="unknown metric 'acuracy'"):
        metrics.find("acuracy")


def test_a_package_whose_metric_is_broken_bothers_only_who_asks_for_it(tmp_path, monkeypatch):
    site, metadata = tmp_path / "broken_metrics", tmp_path / "broken_metrics-1.0.dist-info"
    site.mkdir()
    metadata.mkdir()
    (site / "__init__.py").write_text("import no_such_library")
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-metrics\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[swath.metrics]\nkappa = broken_metrics\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert {"accuracy", "kappa"} <= set(metrics.names())
    assert metrics.find("accuracy").name == "accuracy"
    with pytest.raises(RecipeError, match=r"'kappa' of broken-metrics 1\.0 cannot be imported"):
        metrics.find("kappa")
