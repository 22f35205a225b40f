"""How much better rows look when neighbours of what is tested were learnt from: the same locations, split otherwise."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from swath.tasks import metrics
from swath.tasks.schema import SplitValue
from swath.tasks.statistics.claims import caution
from swath.tasks.statistics.left_out import LeftOut, weighted_sum
from swath.tasks.statistics.panels import Panel, RowIdentity, TaskResults
from swath.tasks.statistics.summary import StatisticsConfig, TaskRules, interval_of, interval_of_value, spread_of

RANDOM = "random"
"""The split that knows nothing of where locations lie."""


class Folds(NamedTuple):
    """The folds of one way to split."""

    count: int
    train: float
    """Training locations, mean over the folds."""
    note: str = ""
    """What must be known of all that is learnt in them."""


def over_splits(
    task: str,
    predictions: pd.DataFrame,
    about: Mapping[str, Folds],
    notes: Mapping[str, str],
    rules: TaskRules,
    config: StatisticsConfig,
) -> Iterator[SplitValue]:
    """The lines of one input and probe.

    Args:
        task: its name.
        predictions: lines of predictions, with the name of the split in the column `run`: to the statistics a row under
            another split is one of another run, on the same test units.
        about: the folds of each split.
        notes: by row, what else must be known of it than how far its intervals are to be trusted.
        rules: what is compared, which is the first metric.
        config: how intervals are made.
    """
    results = TaskResults.of(predictions, 1, config.seed, multi_label=rules.multi_label, regression=rules.regression)
    metric = rules.metrics[0]
    for panel in results.panels({}):
        there = {row: results.left_out(panel, row, metric) for row in panel.rows}
        for row, apart in there.items():
            if apart is not None:
                lucky = there.get(row._replace(run=RANDOM)) if row.run != RANDOM else None
                gained = _optimism(lucky, apart, row, metric, config)
                note = notes.get(row.name, "")
                yield _line(task, panel, row, apart, gained, about[row.run], note, results, config, metric)


def _optimism(
    lucky: LeftOut | None, apart: LeftOut, row: RowIdentity, metric: str, config: StatisticsConfig
) -> tuple[float, float, float]:
    """How much better the random split looks, with its interval."""
    if lucky is None or len(lucky.value) != len(apart.value):
        return np.nan, np.nan, np.nan
    sign = -1.0 if metrics.find(metric).better == "lower" else 1.0
    gained = weighted_sum([(sign, lucky), (-sign, apart)])
    return float(gained.value.mean()), *interval_of(gained, [row], config.confidence)


def _line(
    task: str,
    panel: Panel,
    row: RowIdentity,
    apart: LeftOut,
    optimism: tuple[float, float, float],
    about: Folds,
    note: str,
    results: TaskResults,
    config: StatisticsConfig,
    metric: str,
) -> SplitValue:
    low, high = interval_of_value(apart, row, config.confidence, metric)
    said = [note, about.note, spread_of(apart, [row])[1], caution(results.sizes)]
    return SplitValue(
        task=task,
        input=panel.input,
        probe=panel.probe,
        row=row.name,
        role=row.role,
        of_arm=row.of_arm,
        metric=metric,
        split=row.run,
        folds=about.count,
        train=about.train,
        n_units=len(results.uid),
        n_groups=results.groups,
        replicates=len(apart.value),
        value=float(apart.value.mean()),
        low=low,
        high=high,
        optimism=optimism[0],
        optimism_low=optimism[1],
        optimism_high=optimism[2],
        note="; ".join(filter(None, said)),
    )
