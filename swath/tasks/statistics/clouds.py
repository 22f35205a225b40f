"""What clouds do to a row and to the difference between two (S4, figure 6).

By the clouds that units happen to have, in bins; or by those that were painted over all of them, level by level.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import pairwise

import numpy as np
import pandas as pd

from swath.corpus import Corpus
from swath.tasks.statistics import resample
from swath.tasks.statistics.study import Block, Identity, Study
from swath.tasks.statistics.summary import StatisticsConfig, TaskRules


@dataclass(frozen=True)
class Gain:
    """One line of clouds.csv, a minus b on the units of one bin; of cloud_gains.csv, on all units at one level."""

    task: str
    input: str
    probe: str
    a: str
    b: str
    metric: str
    low_cloud: float
    high_cloud: float
    """The bin: above the low end (or equal, in the first bin), up to the high end. Of a level: the level, twice."""
    n_units: int
    n_groups: int
    value_a: float
    value_b: float
    difference: float
    low: float
    high: float
    """Of the difference: bootstrap over groups, paired, as in comparisons.csv; NaN with fewer than two groups."""


CLOUD_COLUMNS = [f.name for f in fields(Gain)]


@dataclass(frozen=True)
class Level:
    """One line of cloud_levels.csv: a row on all units with so much cloud painted over their series."""

    task: str
    input: str
    probe: str
    row: str
    kind: str
    metric: str
    cloud: float
    """Share of the valid pixels of every unit's optical series, all dates together."""
    n_units: int
    n_groups: int
    value: float
    low: float
    high: float
    """Bootstrap over groups, as in table.csv."""


LEVEL_COLUMNS = [f.name for f in fields(Level)]


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
) -> list[Gain]:
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
    found = []
    for i, (low, high) in enumerate(pairwise(bins)):
        inside = ((cloud > low) | ((cloud == low) & (i == 0))) & (cloud <= high)
        if inside.any():
            study = Study.of(predictions.loc[inside], config.resamples, 1, config.seed, several=rules.several)
            for block in study.blocks({}):
                found += [Gain(task, *line) for line in _of_block(study, block, rules.metrics[0], (low, high), config)]
    return found


def at_level(
    task: str, predictions: pd.DataFrame, share: float, metric: str, config: StatisticsConfig
) -> tuple[list[Level], list[Gain]]:
    """Every row, and the differences between every pre-trained row and every other one, at one level of clouds.

    Args:
        task: its name.
        predictions: of this task and level alone.
        share: the level.
        metric: what is measured.
        config: how intervals are made.
    """
    study = Study.of(predictions, config.resamples, 1, config.seed)
    levels, differences = [], []
    for block in study.blocks({}):
        for row in block.rows:
            value = study.value(block, row, metric)
            low, high = study.interval(block, row, metric, config.confidence, config.interval)
            place = (task, block.input, block.probe, row.row, row.kind, metric, share)
            levels.append(Level(*place, len(study.uid), study.groups, value, low, high))
        differences += [Gain(task, *line) for line in _of_block(study, block, metric, (share, share), config)]
    return levels, differences


def _of_block(
    study: Study, block: Block, metric: str, ends: tuple[float, float], config: StatisticsConfig
) -> Iterator[tuple]:
    for a, b in _pairs(block.rows):
        differences = study.differences(block, a, b, metric)
        if differences is None:
            continue
        draws = np.sum([w * d.draws for w, d in differences], axis=0)
        low, high = resample.percentile(draws, config.confidence) if study.groups > 1 else (np.nan, np.nan)
        yield (
            *(block.input, block.probe, a.row, b.row, metric, *ends, len(study.uid), study.groups),
            *(study.value(block, a, metric), study.value(block, b, metric)),
            *(float(sum(w * d.by_seed.mean() for w, d in differences)), low, high),
        )


def _pairs(rows: Sequence[Identity]) -> Iterator[tuple[Identity, Identity]]:
    for a in rows:
        if a.kind == "pretrained":
            yield from ((a, b) for b in rows if b != a)


def level_frame(found: Sequence[Level]) -> pd.DataFrame:
    """As cloud_levels.csv."""
    return pd.DataFrame([asdict(level) for level in found], columns=LEVEL_COLUMNS)


def frame(found: Sequence[Gain]) -> pd.DataFrame:
    """As clouds.csv and cloud_gains.csv."""
    return pd.DataFrame([asdict(gain) for gain in found], columns=CLOUD_COLUMNS)
