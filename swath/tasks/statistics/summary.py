"""From predictions to the two tables of a run: what each row scored, and which differences mean anything.

The rules, argued in docs/evaluation.md:

* A row's value is the mean over its replicates of a metric of the whole test set. Its interval is a bootstrap over
  groups.
* A comparison's interval comes from the same resamples for both rows. The test that decides, chosen before any result
  was seen, is a sign-flip test by group on the metric itself; a paired t-test and Wilcoxon's on the groups' accuracies
  stand beside it.
* Over bands the paired t-test of RS-BYOL decides, and Wilcoxon's stands beside it.
* Holm's correction is over everything that one panel of the table (task, input, probe) compares in one pairing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field, field_validator

from swath.settings import Settings
from swath.tasks import metrics
from swath.tasks.metrics import MetricName
from swath.tasks.schema import COMPARISONS, NOTES, TABLE, Comparison, RowValue, Verdict
from swath.tasks.statistics import resample
from swath.tasks.statistics.panels import Panel, Row, TaskResults
from swath.tasks.statistics.significance import holm, paired_t, t_interval, wilcoxon

FEW_GROUPS = 10
"""Below this many groups a bootstrap interval is known to be too narrow, and the table says so."""


class TaskRules(Settings):
    """What is measured on one task."""

    metrics: tuple[MetricName, ...] = Field(default=("accuracy",), min_length=1)
    """The first one ranks the rows and is compared."""
    multi_label: bool = False
    """Units have several classes, which are the bits of `y_true` and `y_pred`."""
    band_groups: dict[str, dict[str, tuple[str, ...]]] = Field(default_factory=dict)
    """Probe -> name of a group of bands -> the inputs (band keys) that belong to it."""

    @field_validator("metrics")
    @classmethod
    def _first_can_be_compared(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if not metrics.find(names[0]).ranks:
            raise ValueError(f"{names[0]} cannot come first: rows are compared by their decisions")
        return names


class StatisticsConfig(Settings):
    """How intervals and tests are made."""

    tasks: dict[str, TaskRules] = Field(default_factory=dict)
    """By task; accuracy alone where a task is not named."""
    confidence: float = Field(default=0.95, gt=0, lt=1)
    alpha: float = Field(default=0.05, gt=0, lt=1)
    """Level of the verdicts, after Holm."""
    resamples: int = Field(default=2000, ge=100)
    """Bootstrap resamples of the groups."""
    flips: int = Field(default=4999, ge=99)
    """Random sign flips where there are too many groups to try them all."""
    interval: Literal["percentile", "bca"] = "percentile"
    seed: int = 0


def summarise(
    predictions: pd.DataFrame, config: StatisticsConfig, notes: pd.DataFrame | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The table of values and the comparisons of an evaluation.

    Args:
        predictions: the lines of predictions.parquet; every result of a task must hold the same units. `count` may be
            left out where units have one class each, and `fold`, `replicate` and `of_arm` where splits do not rotate
            and rows stand for no arm: each seed then is a replicate.
        config: metrics per task, intervals, tests.
        notes: the lines of notes.csv: results that could not be computed, or in a way that must be said.

    Returns:
        The table (table.csv) and the comparisons (comparisons.csv), in the order in which the results came.

    Raises:
        SwathError: two results of one task hold different units, so their rows are not paired.
    """
    predictions = _completed(predictions)
    said = _Notes(notes if notes is not None else NOTES.frame())
    values: list[RowValue] = []
    comparisons: list[Comparison] = []
    for task, part in predictions.groupby("task", sort=False):
        rules = config.tasks.get(str(task), TaskRules())
        results = TaskResults.of(part, config.resamples, config.flips, config.seed, multi_label=rules.multi_label)
        judge = _Judge(str(task), results, rules, config)
        for panel in results.panels(rules.band_groups):
            values += judge.values(panel, said)
            comparisons += _corrected(judge.comparisons(panel), config.alpha)
    values += said.of_rows_without_result()
    return TABLE.frame(values), COMPARISONS.frame(comparisons)


def _completed(predictions: pd.DataFrame) -> pd.DataFrame:
    """With what a plain table of predictions may leave out."""
    usual = {"count": 1, "of_arm": "", "fold": 0, "replicate": predictions["seed"]}
    return predictions.assign(**{name: value for name, value in usual.items() if name not in predictions})


@dataclass(frozen=True)
class _Judge:
    """Words and lines from one task's numbers."""

    task: str
    results: TaskResults
    rules: TaskRules
    config: StatisticsConfig

    def values(self, panel: Panel, said: "_Notes") -> list[RowValue]:
        """One per row and metric; a contrast is no score and has none."""
        if panel.is_contrast:
            return []
        return [self._value(panel, row, metric, said) for row in panel.rows for metric in self.rules.metrics]

    def _value(self, panel: Panel, row: Row, metric: str, said: "_Notes") -> RowValue:
        value = self.results.value(panel, row, metric)
        low, high = self.results.interval(panel, row, metric, self.config.confidence, self.config.interval)
        replicates = self.results.per_replicate(panel, row, metric)
        notes = [said.of(self.task, panel, row), self._caution()]
        if np.isnan(value):
            notes.append("no class scores, or one class only" if metrics.find(metric).needs_scores else "no units")
        return RowValue(
            task=self.task,
            input=panel.input,
            probe=panel.probe,
            row=row.name,
            role=row.role,
            of_arm=row.of_arm,
            metric=metric,
            value=value,
            low=low,
            high=high,
            per_seed=tuple(replicates.values()),
            n_units=len(self.results.uid),
            n_groups=self.results.groups,
            note="; ".join(filter(None, notes)),
        )

    def _caution(self) -> str:
        if self.results.groups < 2:
            return "one group only: no interval can be given"
        few = self.results.groups < FEW_GROUPS
        return f"{self.results.groups} groups only: the interval is too narrow" if few else ""

    def comparisons(self, panel: Panel) -> list[Comparison]:
        """Every pre-trained row against every other row, each pair once."""
        pairs = list(_pairs(panel.rows))
        lines = [self._over_groups(panel, a, b) for a, b in pairs]
        return lines + [self._over_bands(panel, a, b) for a, b in pairs] if panel.is_over_bands else lines

    def _over_groups(self, panel: Panel, a: Row, b: Row) -> Comparison:
        metric = self.rules.metrics[0]
        found = self.results.differences(panel, a, b, metric)
        line = self._comparison(panel, a, b, "groups", "sign flips by group")
        if found is None:
            scores = "class scores or " if metrics.find(metric).needs_scores else ""
            return replace(line, note=f"the rows have no {scores}replicate in common")
        if self.results.groups < 2:
            difference = sum(w * d.by_replicate.mean() for w, d in found)
            return replace(line, difference=float(difference), n_pairs=1, note="one group only: nothing can be tested")
        draws, flips, accuracy = (
            np.sum([w * getattr(d, what) for w, d in found], axis=0) for what in ("draws", "flips", "accuracy")
        )
        low, high = resample.percentile(draws, self.config.confidence)
        return replace(
            line,
            difference=float(sum(w * d.by_replicate.mean() for w, d in found)),
            low=low,
            high=high,
            p=resample.flip_p(flips),
            p_t=paired_t(accuracy),
            p_wilcoxon=wilcoxon(accuracy),
            n_pairs=self.results.groups,
            note=_power_note(self.results.groups, self.config.alpha),
        )

    def _over_bands(self, panel: Panel, a: Row, b: Row) -> Comparison:
        """Paired over bands, as RS-BYOL tests; over seeds where the group holds one band only."""
        single = len(panel.parts) == 1
        line = self._comparison(panel, a, b, "seeds of one band" if single else "bands", "paired t")
        found = self.results.differences(panel, a, b, self.rules.metrics[0])
        if found is None:
            return replace(line, note="the rows have no replicate in common")
        differences = found[0][1].by_replicate if single else np.array([d.by_replicate.mean() for _, d in found])
        low, high = t_interval(differences, self.config.confidence)
        p = paired_t(differences)
        return replace(
            line,
            difference=float(differences.mean()),
            low=low,
            high=high,
            p=p,
            p_t=p,
            p_wilcoxon=wilcoxon(differences),
            n_pairs=len(differences),
            note="" if np.isfinite(p) else "too few pairs, or pairs without spread, for a t-test",
        )

    def _comparison(self, panel: Panel, a: Row, b: Row, pairing: str, test: str) -> Comparison:
        """Without a result yet."""
        nan = float("nan")
        names = (self.task, panel.input, panel.probe, a.name, b.name)
        return Comparison(*names, nan, nan, nan, nan, nan, nan, nan, "untested", 0, pairing, test, "")


def _pairs(rows: Sequence[Row]) -> Iterator[tuple[Row, Row]]:
    arms = [row for row in rows if row.role == "pretrained"]
    others = [row for row in rows if row.role != "pretrained"]
    for i, a in enumerate(arms):
        for b in [*arms[i + 1 :], *others]:
            yield a, b


def _power_note(groups: int, alpha: float) -> str:
    # all groups in favour of one row is the strongest evidence that there can be: p = 2 / 2^groups
    return f"{groups} groups can never reach p < {alpha:g}" if 2.0 ** (1 - groups) >= alpha else ""


def _corrected(lines: list[Comparison], alpha: float) -> list[Comparison]:
    """With Holm's p within each pairing of a panel, and the verdicts."""
    corrected = []
    for pairing in dict.fromkeys(line.pairing for line in lines):
        family = [line for line in lines if line.pairing == pairing]
        adjusted = holm(np.array([line.p for line in family], dtype=float))
        corrected += [
            replace(line, p_holm=float(p), verdict=verdict(line.difference, float(p), alpha))
            for line, p in zip(family, adjusted, strict=True)
        ]
    return corrected


def verdict(difference: float, p: float, alpha: float = 0.05) -> Verdict:
    """What a corrected p and the sign of a - b say of a against b, in words."""
    if not (np.isfinite(difference) and np.isfinite(p)):
        return "untested"
    if p >= alpha or difference == 0:
        return "tie"
    return "better" if difference > 0 else "worse"


class _Notes:
    """What must be said of results: joined to their row's values, or a line of its own where there is no result."""

    def __init__(self, notes: pd.DataFrame):
        keys = ["task", "input", "probe", "row", "role", "of_arm"]
        self._by_row = {
            tuple(map(str, key)): _merged(part)  # type: ignore[arg-type]
            for key, part in notes.groupby(keys, sort=False)
        }
        self._used: set[tuple[str, ...]] = set()

    def of(self, task: str, panel: Panel, row: Row) -> str:
        """The note of a row that has a result."""
        key = (task, panel.input, panel.probe, *row)
        self._used.add(key)
        return self._by_row.get(key, "")

    def of_rows_without_result(self) -> list[RowValue]:
        """A line without a value for each row that has none."""
        nan = float("nan")
        return [
            RowValue(*key, metric="", value=nan, low=nan, high=nan, per_seed=(), n_units=None, n_groups=None, note=note)  # pyright: ignore[reportArgumentType]
            for key, note in self._by_row.items()
            if key not in self._used
        ]


def _merged(notes: pd.DataFrame) -> str:
    """Notes that all seeds share once; others with the seeds that they are of."""
    seeds = {str(note): list(part["seed"]) for note, part in notes.groupby("note", sort=False)}
    everywhere = set(notes["seed"])
    return "; ".join(
        note if set(own) == everywhere else f"seed {', '.join(map(str, own))}: {note}" for note, own in seeds.items()
    )
