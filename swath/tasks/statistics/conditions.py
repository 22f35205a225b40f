"""What conditions of the test images cost each row: paired by test unit, with the run's own intervals."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from jaxtyping import Int

from swath.tasks import metrics
from swath.tasks.data import Condition
from swath.tasks.schema import Stressed
from swath.tasks.statistics.claims import caution
from swath.tasks.statistics.left_out import LeftOut, weighted_sum
from swath.tasks.statistics.panels import Panel, RowIdentity, TaskResults
from swath.tasks.statistics.summary import StatisticsConfig, TaskRules, interval_of, interval_of_value, spread_of

AS_IT_IS = ""
"""Key of what no condition changed."""


def under_conditions(
    task: str,
    predictions: pd.DataFrame,
    conditions: Mapping[str, Condition],
    hidden: Mapping[tuple[str, str], bool],
    rules: TaskRules,
    config: StatisticsConfig,
) -> Iterator[Stressed]:
    """The lines of one input and probe.

    Args:
        task: its name.
        predictions: lines of predictions, with the key of their condition in the column `run`: to the statistics a row
            under a condition is one of another run, on the same test units.
        conditions: by key.
        hidden: by row and condition, whether the network was told which bands are missing.
        rules: what is compared, which is the first metric.
        config: how intervals are made.
    """
    results = TaskResults.of(predictions, 1, config.seed, multi_label=rules.multi_label, regression=rules.regression)
    metric = rules.metrics[0]
    for panel in results.panels({}):
        there = {row: results.left_out(panel, row, metric) for row in panel.rows}
        for row, apart in there.items():
            plain = there.get(row._replace(run=AS_IT_IS))
            if row.run == AS_IT_IS or apart is None or plain is None or len(apart.value) != len(plain.value):
                continue
            how = "" if not conditions[row.run].without else "hidden" if hidden[row.name, row.run] else "mean"
            yield _line(task, panel, row, metric, (plain, apart), conditions[row.run], how, results, config)


def _line(
    task: str,
    panel: Panel,
    row: RowIdentity,
    metric: str,
    both: tuple[LeftOut, LeftOut],
    condition: Condition,
    how: str,
    results: TaskResults,
    config: StatisticsConfig,
) -> Stressed:
    plain, apart = both
    lost, share = drop(plain, apart, metric), relative_drop(plain, apart, metric)
    ends = interval_of_value(apart, row, config.confidence, metric)
    of_drop, of_share = (interval_of(one, [row], config.confidence) for one in (lost, share))
    return Stressed(
        task=task,
        input=panel.input,
        probe=panel.probe,
        row=row.name,
        role=row.role,
        of_arm=row.of_arm,
        metric=metric,
        kind=condition.kind,
        name=condition.name,
        level=condition.level,
        how=how,
        about=condition.about,
        n_units=len(results.uid),
        n_groups=results.groups,
        replicates=len(apart.value),
        as_it_is=float(plain.value.mean()),
        value=float(apart.value.mean()),
        low=ends[0],
        high=ends[1],
        drop=float(lost.value.mean()),
        drop_low=of_drop[0],
        drop_high=of_drop[1],
        relative=float(share.value.mean()),
        relative_low=of_share[0],
        relative_high=of_share[1],
        note="; ".join(filter(None, [spread_of(apart, [row])[1], caution(results.sizes)])),
    )


def elsewhere(
    task: str,
    predictions: pd.DataFrame,
    is_new: Mapping[str, bool],
    kind: str,
    name: str,
    rules: TaskRules,
    config: StatisticsConfig,
) -> Iterator[Stressed]:
    """The lines of one input and probe on the test units of regions, or years, that were not learnt from.

    What they are held against are the other units of the test part, so nothing is paired: both parts' groups are left
    out one by one.

    Args:
        task: its name.
        predictions: lines of predictions.
        is_new: whether each unit is of an unseen region, by its uid.
        kind: `other-region` or `other-year`.
        name: what tells regions apart.
        rules: what is compared, which is the first metric.
        config: how intervals are made.
    """
    new = predictions["uid"].map(dict(is_new).get)  # None where it is not known
    parts = [predictions.loc[new == value] for value in (False, True)]
    folds = [np.unique(part["fold"]) for part in parts]
    seen, other = (
        TaskResults.of(part, 1, config.seed, multi_label=rules.multi_label, regression=rules.regression)
        for part in parts
    )
    metric, condition = rules.metrics[0], Condition(kind, name, 1.0, lambda reader, rows: reader.read(rows))
    for panel in other.panels({}):
        for row in panel.rows:
            plain, apart = (results.left_out(panel, row, metric) for results in (seen, other))
            if plain is not None and apart is not None and len(plain.value) == len(apart.value):
                yield _line(
                    task, panel, row, metric, _side_by_side((plain, apart), folds), condition, "", other, config
                )


def _side_by_side(both: tuple[LeftOut, LeftOut], folds: Sequence[Int[np.ndarray, " _"]]) -> tuple[LeftOut, LeftOut]:
    """Two metrics of different groups as metrics of all of these: without a group of the one the other stays.

    Args:
        both: metrics.
        folds: numbers of those that test groups of each, ascending.
    """
    every = np.union1d(*folds)
    one, other = (
        _in_folds(own, np.searchsorted(every, there), len(every)) for own, there in zip(both, folds, strict=True)
    )

    def widened(own: LeftOut, before: int, after: int) -> LeftOut:
        stay = [np.tile(own.value, (count, 1)) for count in (before, after)]
        return replace(
            own, without_group=np.concatenate([stay[0], own.without_group, stay[1]]), fold=np.concatenate(of_groups)
        )

    of_groups = [one.fold, other.fold]
    return widened(one, 0, len(other.fold)), widened(other, len(one.fold), 0)


def _in_folds(own: LeftOut, at: Int[np.ndarray, " f"], count: int) -> LeftOut:
    """A metric whose folds are at these positions among so many; what the others say changes nothing of it."""
    without_fold, swapped = np.tile(own.value, (count, 1)), np.zeros((count, len(own.value)))
    without_fold[at], swapped[at] = own.without_fold, own.swapped
    return replace(own, without_fold=without_fold, swapped=swapped, fold=at[own.fold])


def drop(plain: LeftOut, apart: LeftOut, metric: str) -> LeftOut:
    """How much worse a row is under a condition."""
    sign = -1.0 if metrics.find(metric).better == "lower" else 1.0
    return weighted_sum([(sign, plain), (-sign, apart)])


def relative_drop(plain: LeftOut, apart: LeftOut, metric: str) -> LeftOut:
    """The drop as a share of the value without the condition, both of which vary: to first order in their changes."""
    sign = -1.0 if metrics.find(metric).better == "lower" else 1.0
    before, after = float(plain.value.mean()), float(apart.value.mean())
    if not before > 0:
        nothing = weighted_sum([(np.nan, plain)])
        return replace(nothing, value=np.full_like(plain.value, np.nan))
    changes = weighted_sum([(sign * after / before**2, plain), (-sign / before, apart)])
    # the two terms cancel in the value itself, which is the share
    return replace(changes, value=changes.value + sign * (1 - after / before))
