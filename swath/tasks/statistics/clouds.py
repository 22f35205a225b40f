"""What clouds do to a row and to the difference between two (S4, figure 6).

By the clouds that units happen to have, in bins; or by those that were painted over all of them, level by level.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from swath.corpus import Corpus
from swath.tasks.schema import CloudGain, CloudValue
from swath.tasks.statistics.panels import Panel, RowIdentity, TaskResults
from swath.tasks.statistics.summary import StatisticsConfig, TaskRules, interval_of, interval_of_value


def cloud_share(corpus: Corpus) -> pd.Series:
    """Mean cloud fraction of each location's series, by uid; NaN where no chip says any."""
    location, cloud = corpus.chips["location"].to_numpy(np.int64), corpus.chips["cloud"].to_numpy(float)
    known = np.isfinite(cloud)
    total = np.bincount(location[known], weights=cloud[known], minlength=len(corpus.locations))
    count = np.bincount(location[known], minlength=len(corpus.locations))
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return pd.Series(mean, index=corpus.locations["uid"].to_numpy(dtype=str))


def gains(
    task: str,
    predictions: pd.DataFrame,
    share: pd.Series,
    bins: Sequence[float],
    rules: TaskRules,
    config: StatisticsConfig,
) -> list[CloudGain]:
    """The differences between every pre-trained row and every other one, bin by bin.

    Args:
        task: its name.
        predictions: of this task alone.
        share: of clouds, by uid; units without one are in no bin.
        bins: their edges, ascending.
        rules: what is compared, which is the first metric.
        config: how intervals are made.
    """
    cloud = share.reindex(predictions["uid"]).to_numpy(float)
    lines = []
    for i, (low, high) in enumerate(pairwise(bins)):
        inside = ((cloud > low) | ((cloud == low) & (i == 0))) & (cloud <= high)
        if inside.any():
            results = TaskResults.of(
                predictions.loc[inside], 1, config.seed, multi_label=rules.multi_label, regression=rules.regression
            )
            for panel in results.panels({}):
                lines += _differences(task, results, panel, rules.metrics[0], (low, high), config)
    return lines


def at_level(
    task: str, predictions: pd.DataFrame, share: float, metric: str, config: StatisticsConfig
) -> tuple[list[CloudValue], list[CloudGain]]:
    """Every row, and the differences between every pre-trained row and every other one, at one level of clouds.

    Args:
        task: its name.
        predictions: of this task and level alone.
        share: the level.
        metric: what is measured.
        config: how intervals are made.
    """
    results = TaskResults.of(predictions, 1, config.seed)
    levels, differences = [], []
    for panel in results.panels({}):
        for row in panel.rows:
            value = results.value(panel, row, metric)
            apart = results.left_out(panel, row, metric)
            assert apart is not None, "metrics of painted clouds need no scores"
            low, high = interval_of_value(apart, row, config.confidence, metric)
            levels.append(
                CloudValue(
                    task=task,
                    input=panel.input,
                    probe=panel.probe,
                    row=row.name,
                    role=row.role,
                    of_arm=row.of_arm,
                    metric=metric,
                    cloud=share,
                    n_units=len(results.uid),
                    n_groups=results.groups,
                    value=value,
                    low=low,
                    high=high,
                )
            )
        differences += _differences(task, results, panel, metric, (share, share), config)
    return levels, differences


def _differences(
    task: str, results: TaskResults, panel: Panel, metric: str, ends: tuple[float, float], config: StatisticsConfig
) -> Iterator[CloudGain]:
    for a, b in _pairs(panel.rows):
        difference = results.difference(panel, a, b, metric)
        if difference is None:
            continue
        apart = difference.total
        low, high = interval_of(apart, [a, b], config.confidence)
        yield CloudGain(
            task=task,
            input=panel.input,
            probe=panel.probe,
            a=a.name,
            role_a=a.role,
            of_arm_a=a.of_arm,
            b=b.name,
            role_b=b.role,
            of_arm_b=b.of_arm,
            metric=metric,
            low_cloud=ends[0],
            high_cloud=ends[1],
            n_units=len(results.uid),
            n_groups=results.groups,
            value_a=results.value(panel, a, metric),
            value_b=results.value(panel, b, metric),
            difference=float(apart.value.mean()),
            low=low,
            high=high,
        )


def _pairs(rows: Sequence[RowIdentity]) -> Iterator[tuple[RowIdentity, RowIdentity]]:
    for a in rows:
        if a.role == "pretrained":
            yield from ((a, b) for b in rows if b != a)
