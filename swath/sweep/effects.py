"""What each level of each axis does to the result, and each pair of levels, with intervals.

The value of an arm is explained by least squares: a mean, a term for each level of each axis, and for each pair of
levels of those pairs of axes that the design tells apart. An effect is then a weighted sum of the arms' values, with
weights that depend on the design alone, and its interval is that of any such sum: over the groups that were tested and
over how trainings came out (`swath.tasks.statistics.jackknife`).
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from swath.sweep.design import Levels, Point, columns, separable_pairs
from swath.tasks import has_verdict
from swath.tasks.schema import Table
from swath.tasks.statistics import LeftOut, Panel, TaskResults, TaskRules, weighted_sum

DROPPED = 1e-12
"""Weights below this are rounding errors, and are dropped."""


@dataclass(frozen=True, slots=True)
class Effect:
    """One line of effects.csv: a level of an axis, or of two axes together, in one panel."""

    task: str
    input: str
    probe: str
    metric: str
    axis: str
    level: str
    other_axis: str
    """The second axis of a pair; empty for the effect of a single axis."""
    other_level: str
    mean: float
    """Expected value with this level, or these two, and all levels of the other axes alike."""
    effect: float
    """For an axis alone, the level's mean minus that of all levels; for a pair, what is left of its mean when the
    effects of its two levels are taken off."""
    low: float
    high: float
    """Ends of the interval of the effect, over groups and trainings."""
    p: float
    """p-value of the hypothesis that the effect is 0, not adjusted for the number of effects."""
    arms: int
    """Number of arms that have the level, or both levels."""
    note: str
    """Why interval and p must not be relied on."""


EFFECTS = Table.of("effects.csv", Effect)


def effects_of(
    predictions: pd.DataFrame,
    levels: Levels,
    points: Mapping[str, Point],
    rules: Mapping[str, TaskRules],
    pairs: Sequence[tuple[str, str]] | None = None,
) -> list[Effect]:
    """The effects in every panel in which all arms have a result of the same trainings.

    Args:
        predictions: the lines of predictions.parquet.
        levels: of the axes.
        points: the levels of each arm.
        rules: by task; the first metric is the one that is explained.
        pairs: whose joint effects are asked for; None: all that the design tells apart.

    Returns:
        Each axis's levels, then those of each of the pairs of axes, panel by panel.
    """
    effects = []
    if pairs is None:
        pairs = separable_pairs(levels, list(points.values()))
    for task, lines in predictions.groupby("task", sort=False):
        rule = rules[str(task)]
        results = TaskResults.of(lines, flips=1, seed=0, multi_label=rule.multi_label, regression=rule.regression)
        for panel in results.panels({}):
            values = _values(results, panel, points, rule.metrics[0])
            if values is not None:
                about = (str(task), panel.input, panel.probe, rule.metrics[0])
                effects += _explained(about, levels, points, pairs, values, _note(results, values[0]))
    return effects


def weights_of(
    levels: Levels, points: Sequence[Point], pairs: Sequence[tuple[str, str]], chosen: Mapping[str, str]
) -> Float[np.ndarray, " n"]:
    """How much each arm counts in the expected value with some levels given and all levels of other axes alike.

    Args:
        levels: of the axes.
        points: the levels of each arm.
        pairs: pairs of axes whose joint effects the model has.
        chosen: the given levels by axis.
    """
    free = [names if axis not in chosen else (chosen[axis],) for axis, names in levels.items()]
    alike = [dict(zip(levels, names, strict=True)) for names in itertools.product(*free)]
    # the least-squares fit maps values to coefficients, and these to the mean over `alike`
    fit = np.linalg.pinv(columns(levels, points, pairs))
    return columns(levels, alike, pairs).mean(axis=0) @ fit


def _values(results: TaskResults, panel: Panel, points: Mapping[str, Point], metric: str) -> list[LeftOut] | None:
    """The value of each arm, and without parts of the experiment; None where an arm has none."""
    rows = {row.name: row for row in panel.rows if row.role == "pretrained"}
    if not points.keys() <= rows.keys():
        return None
    parts = [results.left_out(panel, rows[arm], metric) for arm in points]
    known = [part for part in parts if part is not None]
    trainings = {one.replicates for arm in points for _, one in results.members(panel, rows[arm])}
    return known if len(known) == len(points) and len(trainings) == 1 else None


def _note(results: TaskResults, value: LeftOut) -> str:
    sizes = results.sizes
    trainings = len(value.value)
    return "" if has_verdict(trainings, sizes) else f"{len(sizes)} groups and {trainings} trainings are too few"


def _explained(
    about: tuple[str, str, str, str],
    levels: Levels,
    points: Mapping[str, Point],
    pairs: Sequence[tuple[str, str]],
    values: Sequence[LeftOut],
    note: str,
) -> Iterator[Effect]:
    arms = list(points.values())

    def effect(weights: np.ndarray, expected: np.ndarray, chosen: Mapping[str, str]) -> Effect:
        spread = _sum(weights, values).spread()
        low, high = spread.interval()
        (axis, level), (other_axis, other_level) = (*chosen.items(), ("", ""))[:2]
        having = sum(chosen.items() <= point.items() for point in arms)
        average = float(expected @ [part.value.mean() for part in values])
        named = (axis, level, other_axis, other_level)
        return Effect(*about, *named, average, spread.value, low, high, spread.p(), having, note)

    overall = weights_of(levels, arms, pairs, {})
    alone = {(axis, level): weights_of(levels, arms, pairs, {axis: level}) for axis in levels for level in levels[axis]}
    for (axis, level), weights in alone.items():
        yield effect(weights - overall, weights, {axis: level})
    for a, b in pairs:
        for first, second in itertools.product(levels[a], levels[b]):
            weights = weights_of(levels, arms, pairs, {a: first, b: second})
            rest = weights - alone[a, first] - alone[b, second] + overall
            yield effect(rest, weights, {a: first, b: second})


def _sum(weights: Float[np.ndarray, " n"], values: Sequence[LeftOut]) -> LeftOut:
    return weighted_sum(
        [(float(w) if abs(w) > DROPPED else 0.0, value) for w, value in zip(weights, values, strict=True)]
    )
