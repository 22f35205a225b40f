"""Which arm came first: of the first panel, and by what is good of its metric."""

from dataclasses import replace

import pandas as pd
import pytest

from swath.sweep import ranked
from swath.tasks import metrics

ARMS = pd.DataFrame(
    [
        ("a", "cover", "accuracy", 0.5),
        ("b", "cover", "accuracy", 0.7),
        ("c", "cover", "accuracy", float("nan")),
        ("d", "cover", "accuracy", 0.2),
        ("a", "water", "accuracy", 0.9),
    ],
    columns=["arm", "task", "metric", "value"],
).assign(input="all", probe="knn")


@pytest.mark.parametrize(("better", "order"), [("higher", ["b", "a", "d"]), ("lower", ["d", "a", "b"])])
def test_the_best_comes_first_whichever_end_of_the_scale_is_good(monkeypatch, better, order):
    metric = replace(metrics.find("accuracy"), better=better)
    monkeypatch.setattr(metrics, "find", lambda _: metric)
    assert list(ranked(ARMS)["arm"]) == order


def test_without_values_there_is_none():
    assert ranked(ARMS.iloc[2:3]).empty
