"""From predictions to the tables of a run: what each row scored, and which differences mean anything.

The rules, argued in docs/evaluation.md:

* A row's value is the mean over its replicates of a metric of the whole test set. Its interval, and that of a
  difference, is over groups and trainings (`jackknife`); a difference's p is the same calculation.
* Only claims get a verdict, and Holm's correction is over all claims of all tasks. A design that is too small for a
  verdict gets none.
* Beside it stand a sign-flip test by group, which is conditional on the trained networks, and a paired t-test and
  Wilcoxon's on the groups' accuracies, or mean squared errors. Over bands the paired t-test of RS-BYOL stands as it is,
  without a verdict.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from pydantic import Field, field_validator

from swath.settings import Settings
from swath.tasks import floors, metrics
from swath.tasks.metrics import MetricName
from swath.tasks.schema import CLAIMS, COMPARISONS, NOTES, TABLE, ClaimResult, Comparison, RowValue, Standing, Verdict
from swath.tasks.statistics import resample
from swath.tasks.statistics.claims import (
    MORE_TRAININGS,
    Claim,
    advice,
    caution,
    claimed,
    compared,
    compared_across,
    refusal,
    unknown,
)
from swath.tasks.statistics.jackknife import LEAST_TRAININGS, Spread, number_of_equal_groups
from swath.tasks.statistics.left_out import LeftOut
from swath.tasks.statistics.panels import Panel, RowIdentity, TaskResults
from swath.tasks.statistics.significance import holm, paired_t, t_interval, wilcoxon


class TaskRules(Settings):
    """What the statistics need to know of a task."""

    metrics: tuple[MetricName, ...] = Field(default=("accuracy",), min_length=1)
    """Metrics; the first one ranks the rows and is compared."""
    multi_label: bool = False
    """Whether units have several classes, which are the bits of `y_true` and `y_pred`."""
    regression: bool = False
    """Whether units have numbers, which are `value_true` and `value_pred`."""
    unit: str = ""
    """Unit of these numbers; empty where they have none."""
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
    """Rules by task; accuracy alone where a task is not named."""
    claims: tuple[Claim, ...] | None = None
    """The comparisons that get a verdict, whole (`swath.tasks.stated_claims`); None: each arm against its own random
    twin, its own training from scratch and one named floor, under the first probe of each input."""
    confidence: float = Field(default=0.95, gt=0, lt=1)
    alpha: float = Field(default=0.05, gt=0, lt=1)
    """Level of the verdicts, after Holm."""
    flips: int = Field(default=4999, ge=99)
    """Random sign flips where there are too many groups to try them all."""
    seed: int = 0
    """Seed of the random sign flips."""


class Summary(NamedTuple):
    """The tables of an evaluation."""

    table: pd.DataFrame
    """Lines of table.csv."""
    comparisons: pd.DataFrame
    """Lines of comparisons.csv."""
    claims: pd.DataFrame
    """Lines of claims.csv."""


def summarise(predictions: pd.DataFrame, config: StatisticsConfig, notes: pd.DataFrame | None = None) -> Summary:
    """The table of values, the comparisons and the claims of an evaluation.

    Args:
        predictions: the lines of predictions.parquet; every result of a task must hold the same units. `count` may be
            left out where units have one class each, and `fold`, `replicate` and `of_arm` where splits do not rotate
            and rows stand for no arm: each seed then is a replicate.
        config: metrics per task, claims, intervals, tests.
        notes: the lines of notes.csv: results that could not be computed, or in a way that must be said.

    Returns:
        The lines of table.csv, comparisons.csv and claims.csv, in the order in which the results came.

    Raises:
        SwathError: two results of one task hold different units, so their rows are not paired.
    """
    predictions = _completed(predictions)
    said = _Notes(notes if notes is not None else NOTES.frame())
    values: list[RowValue] = []
    judged: list[_Judged] = []
    for task, part in predictions.groupby("task", sort=False):
        rules = config.tasks.get(str(task), TaskRules())
        results = TaskResults.of(
            part, config.flips, config.seed, multi_label=rules.multi_label, regression=rules.regression
        )
        judge = _Judge(str(task), results, rules, config)
        for panel in results.panels(rules.band_groups, _contrasts(config, str(task))):
            values += judge.values(panel, said)
            judged += judge.comparisons(panel)
    values += said.of_rows_without_result()
    judged = _corrected(judged, config.alpha)
    claims = [one.result(config.alpha, _family(judged)) for one in judged if one.line.standing == "claim"]
    claims += [_without_result(claim) for claim in config.claims or () if all(one.claim != claim for one in judged)]
    return Summary(TABLE.frame(values), COMPARISONS.frame(one.line for one in judged), CLAIMS.frame(claims))


def _contrasts(config: StatisticsConfig, task: str) -> list[tuple[str, str, str]]:
    """Pairs of inputs, with the probe, between which claims on a task say that a difference is larger on the first."""
    own = [claim for claim in config.claims or () if claim.task == task]
    return list(dict.fromkeys((*claim.contrast, claim.probe) for claim in own if claim.contrast and claim.probe))


class RunPair(NamedTuple):
    """Two rows of different runs, and what came of their comparison."""

    a: RowIdentity
    b: RowIdentity
    result: ClaimResult
    """As if it had been claimed that row a is better."""


def compare_runs(
    tasks: Sequence[tuple[str, pd.DataFrame, TaskRules]], config: StatisticsConfig | None = None
) -> list[list[RunPair]]:
    """Rows of different runs that were tested on the same units, against each other; Holm's correction is over all.

    Args:
        tasks: name, the lines of predictions.parquet of all runs with a column `run`, and rules, for each task. Names
            may repeat: tasks of different data sets have nothing to do with each other.
        config: interval, level, and flips of the conditional test.

    Returns:
        The comparisons of each task.

    Raises:
        SwathError: the rows of a task were tested on different units.
    """
    config = config or StatisticsConfig(flips=99)
    judged: list[tuple[int, RowIdentity, RowIdentity, _Judged]] = []
    for number, (task, predictions, rules) in enumerate(tasks):
        results = TaskResults.of(
            predictions, config.flips, config.seed, multi_label=rules.multi_label, regression=rules.regression
        )
        judge = _Judge(task, results, rules, config)
        for panel in results.panels(rules.band_groups):
            judged += [(number, *pair, judge.against(panel, *pair)) for pair in compared_across(panel.rows)]
    corrected = _corrected([one for *_, one in judged], config.alpha)
    family = _family(corrected)
    found: list[list[RunPair]] = [[] for _ in tasks]
    for (number, a, b, _), one in zip(judged, corrected, strict=True):
        found[number].append(RunPair(a, b, one.result(config.alpha, family)))
    return found


def _completed(predictions: pd.DataFrame) -> pd.DataFrame:
    """Predictions completed by what a plain table of them may leave out."""
    usual = {"count": 1, "of_arm": "", "fold": 0, "replicate": predictions["seed"]}
    return predictions.assign(**{name: value for name, value in usual.items() if name not in predictions})


@dataclass(frozen=True)
class _Judged:
    """A comparison, with what only claims report of it."""

    line: Comparison
    claim: Claim | None = None
    """The stated claim that it belongs to, if any."""
    spread: Spread | None = None
    """The difference and its uncertainty; None where nothing could be paired."""
    metric: str = ""
    trainings: int = 0
    is_conditional: bool = True
    """Whether there is one training of each fold only, which could have come out otherwise."""
    folds: int = 1
    sizes: np.ndarray = field(default_factory=lambda: np.ones(1))
    """Number of units in each group."""
    refused: str = ""
    """Why there is no verdict; empty if there is one."""
    unit: str = ""
    """Unit of the numbers in a regression; empty where they have none."""

    @property
    def is_tested(self) -> bool:
        """Whether it belongs to the family that Holm's correction is over."""
        return self.line.standing == "claim" and not self.refused and bool(np.isfinite(self.line.p))

    def result(self, alpha: float, family: int) -> ClaimResult:
        """The line of claims.csv; `family` claims are corrected together."""
        line, strictest = self.line, alpha / max(family, 1)
        # what is conditional on single trainings says nothing of what others would have shown
        known = self.spread if self.spread is not None and not self.is_conditional else None
        spread = known or Spread.unknown()
        return ClaimResult(
            task=line.task,
            input=line.input,
            probe=line.probe,
            better=line.a,
            role_better=line.role_a,
            of_arm_better=line.of_arm_a,
            than=line.b,
            role_than=line.role_b,
            of_arm_than=line.of_arm_b,
            metric=self.metric,
            difference=line.difference,
            low=line.low,
            high=line.high,
            p=line.p,
            p_conditional=line.p_conditional,
            p_holm=line.p_holm,
            verdict=line.verdict,
            detectable=spread.detectable(alpha=strictest),
            trainings=self.trainings,
            folds=self.folds,
            groups=len(self.sizes),
            equal_groups=number_of_equal_groups(self.sizes),
            largest_share=float(self.sizes.max() / self.sizes.sum()),
            groups_variance=spread.places.variance,
            groups_freedom=spread.places.freedom,
            trainings_variance=spread.trainings.variance,
            trainings_freedom=spread.trainings.freedom,
            interaction=spread.both,
            advice=advice(known, strictest, metrics.find(self.metric), self.unit) if known else MORE_TRAININGS,
            note=line.note,
        )


@dataclass(frozen=True)
class _Judge:
    """Turns one task's results into lines of the tables."""

    task: str
    results: TaskResults
    rules: TaskRules
    config: StatisticsConfig

    def values(self, panel: Panel, said: "_Notes") -> list[RowValue]:
        """One per row and metric; a contrast is no score and has none."""
        if panel.is_contrast:
            return []
        return [self._value(panel, row, metric, said) for row in panel.rows for metric in self.rules.metrics]

    def _value(self, panel: Panel, row: RowIdentity, metric: str, said: "_Notes") -> RowValue:
        value = self.results.value(panel, row, metric)
        apart = self.results.left_out(panel, row, metric)
        (low, high), remark = (np.nan, np.nan), ""
        if apart is not None:
            remark = spread_of(apart, [row])[1]
            low, high = interval_of_value(apart, row, self.config.confidence, metric)
        notes = [said.of(self.task, panel, row), remark, caution(self.results.sizes)]
        if np.isnan(value):
            notes.append(self._without_value(metric))
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
            per_seed=tuple(self.results.per_replicate(panel, row, metric).values()),
            n_units=len(self.results.uid),
            n_groups=self.results.groups,
            note="; ".join(filter(None, notes)),
        )

    def _without_value(self, metric: str) -> str:
        if self.rules.regression:
            return "all test labels are the same"
        return "no class scores, or one class only" if metrics.find(metric).needs_scores else "no units"

    def comparisons(self, panel: Panel) -> list[_Judged]:
        """The claims, then what else may be looked at; each pair once."""
        stated = claimed(self.config.claims, self.task, panel, is_first=self._is_usual(panel))
        pairs = [(better, than) for _, better, than in stated]
        others = [pair for pair in compared(panel.rows) if pair not in pairs and pair[::-1] not in pairs]
        judged = [self._over_groups(panel, better, than, "claim", claim) for claim, better, than in stated]
        judged += [self._over_groups(panel, *pair, "exploratory") for pair in others]
        if panel.is_over_bands:
            judged += [_Judged(self._over_bands(panel, *pair)) for pair in (*pairs, *others)]
        return judged

    def _is_usual(self, panel: Panel) -> bool:
        """Whether claims that nobody stated are about the panel: the first one of each input, or of all bands."""
        plain = [key for key in self.results.rows if key[1] not in self.rules.band_groups]
        if not plain:
            return panel.input == "all bands"
        first = dict(reversed(plain))
        return first.get(panel.input) == panel.probe and (panel.input, panel.probe) in plain

    def against(self, panel: Panel, a: RowIdentity, b: RowIdentity) -> _Judged:
        """A comparison of rows of different runs, which gets a verdict though no recipe claims it."""
        judged = self._over_groups(panel, a, b, "claim")
        single = [
            f"{row.name} of {row.run}"
            for row in (a, b)
            if _is_random([row]) and any(len(one.replicates) == 1 for _, one in self.results.members(panel, row))
        ]
        if not single or judged.trainings < LEAST_TRAININGS:
            return judged
        # the other row's trainings say nothing of how this one's would come out again
        refused = f"no verdict: one training of {single[0]}, whose luck is not known"
        line = replace(judged.line, note="; ".join(filter(None, [refused, judged.line.note])))
        return replace(judged, line=line, refused=refused, is_conditional=True)

    def _over_groups(
        self, panel: Panel, a: RowIdentity, b: RowIdentity, standing: Standing, claim: Claim | None = None
    ) -> _Judged:
        metric = self.rules.metrics[0]
        difference = self.results.difference(panel, a, b, metric)
        line = self._comparison(panel, a, b, "groups", "two-way jackknife")
        line = replace(line, standing=standing)
        if difference is None:
            needed = "class scores or " if metrics.find(metric).needs_scores else ""
            return _Judged(replace(line, note=f"the rows have no {needed}replicate in common"), claim, metric=metric)
        apart, sizes = difference.total, self.results.sizes
        spread, remark = spread_of(apart, [a, b])
        low, high = spread.interval(self.config.confidence)
        trainings = len(apart.value)
        refused = refusal(trainings if _is_random([a, b]) else LEAST_TRAININGS, sizes) or unknown(spread)
        notes = [remark, refused, caution(sizes)] if standing == "claim" else [remark]
        line = replace(
            line,
            difference=spread.value,
            low=low,
            high=high,
            p=spread.p(),
            p_conditional=resample.flip_p(difference.flips),
            p_t=paired_t(difference.by_group),
            p_wilcoxon=wilcoxon(difference.by_group),
            n_pairs=self.results.groups,
            note="; ".join(filter(None, notes)),
        )
        is_conditional = trainings == 1 and _is_random([a, b])
        folds, unit = len(apart.swapped), self.rules.unit
        return _Judged(line, claim, spread, metric, trainings, is_conditional, folds, sizes, refused, unit)

    def _over_bands(self, panel: Panel, a: RowIdentity, b: RowIdentity) -> Comparison:
        """Paired over bands, as RS-BYOL tests; over trainings where the group holds one band only.

        Bands are not independent of each other, and neither are trainings tested on the same places: no verdict.
        """
        single = len(panel.parts) == 1
        line = self._comparison(panel, a, b, "trainings of one band" if single else "bands", "paired t")
        difference = self.results.difference(panel, a, b, self.rules.metrics[0])
        if difference is None:
            return replace(line, note="the rows have no replicate in common")
        differences = (
            difference.parts[0].value if single else np.array([part.value.mean() for part in difference.parts])
        )
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
            note="not independent of each other: to be compared with the paper, no verdict"
            if np.isfinite(p)
            else "too few pairs, or pairs without spread, for a t-test",
        )

    def _comparison(self, panel: Panel, a: RowIdentity, b: RowIdentity, pairing: str, test: str) -> Comparison:
        """Without a result yet."""
        nan = float("nan")
        names = (self.task, panel.input, panel.probe, a.name, a.role, a.of_arm, b.name, b.role, b.of_arm)
        return Comparison(
            *names, nan, nan, nan, nan, nan, nan, nan, nan, "exploratory", "untested", 0, pairing, test, ""
        )


@cache
def without_chance() -> frozenset[str]:
    """Names of the rows that come out the same whenever they are made of the same labels."""
    return frozenset(floor.row for floor in map(floors.find, floors.names()) if not floor.random)


def spread_of(apart: LeftOut, rows: Sequence[RowIdentity]) -> tuple[Spread, str]:
    """How far a value that is of these rows may be chance, and what must be said of it."""
    folds, trainings = apart.swapped.shape
    is_random = _is_random(rows)
    if is_random and trainings == 1 and folds == 1:
        return apart.spread(random=False), "one training: conditional on these trained networks"
    remark = "one training of each fold: folds are the units" if is_random and trainings == 1 else ""
    return apart.spread(random=is_random or trainings > 1), remark


def _is_random(rows: Sequence[RowIdentity]) -> bool:
    """Whether any of these rows could have come out otherwise."""
    return any(row.name not in without_chance() for row in rows)


def interval_of(apart: LeftOut, rows: Sequence[RowIdentity], confidence: float) -> tuple[float, float]:
    """The interval of a difference between rows."""
    return spread_of(apart, rows)[0].interval(confidence)


def interval_of_value(apart: LeftOut, row: RowIdentity, confidence: float, metric: str) -> tuple[float, float]:
    """The interval of what a row scored; of a share within 0 and 1."""
    low, high = interval_of(apart, [row], confidence)
    if metrics.find(metric).unit == "share":
        low, high = np.clip((low, high), 0.0, 1.0)
    return float(low), float(high)


def _family(judged: Sequence[_Judged]) -> int:
    return sum(one.is_tested for one in judged)


def _corrected(judged: list[_Judged], alpha: float) -> list[_Judged]:
    """Comparisons completed by Holm's p over all tested claims, and by their verdicts."""
    adjusted = iter(holm(np.array([one.line.p for one in judged if one.is_tested], dtype=float)))
    corrected = []
    for one in judged:
        if one.is_tested:
            p = float(next(adjusted))
            gained = -one.line.difference if metrics.find(one.metric).better == "lower" else one.line.difference
            line = replace(one.line, p_holm=p, verdict=verdict(gained, p, alpha))
            corrected.append(replace(one, line=line))
        else:
            corrected.append(one)
    return corrected


def _without_result(claim: Claim) -> ClaimResult:
    """The line of a claim of whose rows one has no result."""
    nan = float("nan")
    return ClaimResult(
        task=claim.task or "",
        input=claim.panel_input or "",
        probe=claim.probe or "",
        better=claim.better,
        role_better="",
        of_arm_better="",
        than=claim.than,
        role_than="",
        of_arm_than="",
        metric="",
        difference=nan,
        low=nan,
        high=nan,
        p=nan,
        p_conditional=nan,
        p_holm=nan,
        verdict="untested",
        detectable=nan,
        trainings=0,
        folds=0,
        groups=0,
        equal_groups=nan,
        largest_share=nan,
        groups_variance=nan,
        groups_freedom=0.0,
        trainings_variance=nan,
        trainings_freedom=0.0,
        interaction=nan,
        advice="",
        note=f"no verdict: {claim.better} or {claim.than} is not judged here, or has no result",
    )


def verdict(difference: float, p: float, alpha: float = 0.05) -> Verdict:
    """The verdict on a against b, where more is better.

    Args:
        difference: of a and b: a - b.
        p: corrected p-value of the difference.
        alpha: level of the test.
    """
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

    def of(self, task: str, panel: Panel, row: RowIdentity) -> str:
        """The note of a row that has a result."""
        key = (task, panel.input, panel.probe, row.name, row.role, row.of_arm)
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
