"""From predictions to the two tables of a run: what each row scored, and which differences mean anything.

The rules, argued in docs/evaluation.md:

* A row's value is the mean over its seeds of a metric of the whole test set. Its interval is a bootstrap over groups.
* A comparison's interval comes from the same resamples for both rows. The test that decides, chosen before any result
  was seen, is a sign-flip test by group on the metric itself; a paired t-test and Wilcoxon's on the groups' accuracies
  stand beside it.
* Over bands the paired t-test of RS-BYOL decides, and Wilcoxon's stands beside it.
* Holm's correction is over everything that one block of the table (task, input, probe, pairing) compares.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field, field_validator

from swath.settings import Settings
from swath.tasks.metrics import SCORED
from swath.tasks.statistics import resample
from swath.tasks.statistics.significance import holm, paired_t, t_interval, wilcoxon
from swath.tasks.statistics.study import Block, Identity, Study

CELL_COLUMNS = ["task", "input", "probe", "row", "kind", "seed"]
PREDICTION_COLUMNS = [*CELL_COLUMNS, "uid", "group", "y_true", "y_pred", "count", "score"]
NOTE_COLUMNS = [*CELL_COLUMNS, "note"]
FEW_GROUPS = 10
"""Below this many groups a bootstrap interval is known to be too narrow, and the table says so."""

MetricName = Literal["accuracy", "balanced_accuracy", "macro_f1", "miou", "roc_auc", "micro_f1", "macro_ap", "micro_ap"]
Verdict = Literal["better", "worse", "not distinguishable", "untested"]


class TaskRules(Settings):
    """What is measured on one task."""

    metrics: tuple[MetricName, ...] = Field(default=("accuracy",), min_length=1)
    """The first one ranks the rows and is compared."""
    several: bool = False
    """Units have several classes, the bits of `y_true` and `y_pred`."""
    band_groups: dict[str, dict[str, tuple[str, ...]]] = Field(default_factory=dict)
    """Probe -> name of a group of bands -> the inputs (band keys) that belong to it."""

    @field_validator("metrics")
    @classmethod
    def _first_can_be_compared(cls, metrics: tuple[MetricName, ...]) -> tuple[MetricName, ...]:
        if metrics[0] == "roc_auc":
            raise ValueError("roc_auc cannot come first: rows are compared by their decisions")
        return metrics


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


@dataclass(frozen=True)
class Line:
    """One line of table.csv."""

    task: str
    input: str
    probe: str
    row: str
    kind: str
    metric: str
    value: float
    """Mean over the seeds; NaN where there is no result, and the note says why."""
    low: float
    high: float
    per_seed: str
    """JSON list."""
    n_units: int | None
    n_groups: int | None
    note: str


@dataclass(frozen=True)
class Comparison:
    """One line of comparisons.csv: a minus b."""

    task: str
    input: str
    probe: str
    a: str
    b: str
    difference: float
    low: float
    high: float
    p: float
    """Of the test that decides, before correction."""
    p_t: float
    p_wilcoxon: float
    p_holm: float
    """`p` after Holm."""
    verdict: str
    """Of a against b; one of Verdict."""
    n_pairs: int
    pairing: str
    """What was paired: groups of units, bands, or seeds of one band."""
    test: str
    """The test that decides."""
    note: str


TABLE_COLUMNS = [f.name for f in fields(Line)]
COMPARISON_COLUMNS = [f.name for f in fields(Comparison)]


def summarise(
    predictions: pd.DataFrame, config: StatisticsConfig, notes: pd.DataFrame | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The results table and the comparisons of a run.

    Args:
        predictions: PREDICTION_COLUMNS, one row per unit and entry of its confusion matrix that is not 0, or one row
            per unit and no `count`; every cell of a task must hold the same units.
        config: metrics per task, intervals, tests.
        notes: NOTE_COLUMNS; cells that could not be computed, or were computed in a way that must be said.

    Returns:
        The table (TABLE_COLUMNS) and the comparisons (COMPARISON_COLUMNS), in the order in which the cells came.

    Raises:
        SwathError: two cells of one task hold different units, so their rows are not paired.
    """
    if "count" not in predictions:
        predictions = predictions.assign(count=1)
    said = _Notes(notes if notes is not None else pd.DataFrame(columns=NOTE_COLUMNS))
    lines: list[Line] = []
    comparisons: list[Comparison] = []
    for task, part in predictions.groupby("task", sort=False):
        rules = config.tasks.get(str(task), TaskRules())
        judge = _Judge(
            str(task), Study.of(part, config.resamples, config.flips, config.seed, several=rules.several), rules, config
        )
        for block in judge.study.blocks(rules.band_groups):
            lines += judge.lines(block, said)
            comparisons += _corrected(judge.comparisons(block), config.alpha)
    lines += said.of_rows_without_result()
    return _frame(lines, TABLE_COLUMNS), _frame(comparisons, COMPARISON_COLUMNS)


def _frame(lines: Sequence[Line] | Sequence[Comparison], columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame([asdict(line) for line in lines], columns=columns)


@dataclass(frozen=True)
class _Judge:
    """Words and lines from one task's numbers."""

    task: str
    study: Study
    rules: TaskRules
    config: StatisticsConfig

    def lines(self, block: Block, said: "_Notes") -> list[Line]:
        """One per row and metric; a contrast is no score and has none."""
        if block.is_contrast:
            return []
        return [self._line(block, row, metric, said) for row in block.rows for metric in self.rules.metrics]

    def _line(self, block: Block, row: Identity, metric: MetricName, said: "_Notes") -> Line:
        value = self.study.value(block, row, metric)
        low, high = self.study.interval(block, row, metric, self.config.confidence, self.config.interval)
        per_seed = self.study.per_seed(block, row, metric).values()
        notes = [said.of(self.task, block, row), self._caution()]
        if np.isnan(value):
            notes.append("no class scores, or one class only" if metric in SCORED else "no units")
        return Line(
            task=self.task,
            input=block.input,
            probe=block.probe,
            row=row.row,
            kind=row.kind,
            metric=metric,
            value=value,
            low=low,
            high=high,
            per_seed=json.dumps([round(v, 6) if np.isfinite(v) else None for v in per_seed]),
            n_units=len(self.study.uid),
            n_groups=self.study.groups,
            note="; ".join(filter(None, notes)),
        )

    def _caution(self) -> str:
        if self.study.groups < 2:
            return "one group only: no interval can be given"
        few = self.study.groups < FEW_GROUPS
        return f"{self.study.groups} groups only: the interval is too narrow" if few else ""

    def comparisons(self, block: Block) -> list[Comparison]:
        """Every pre-trained row against every other row, each pair once."""
        pairs = list(_pairs(block.rows))
        lines = [self._over_groups(block, a, b) for a, b in pairs]
        return lines + [self._over_bands(block, a, b) for a, b in pairs] if block.is_over_bands else lines

    def _over_groups(self, block: Block, a: Identity, b: Identity) -> Comparison:
        metric = self.rules.metrics[0]
        found = self.study.differences(block, a, b, metric)
        line = self._comparison(block, a, b, "groups", "sign flips by group")
        if found is None:
            return replace(
                line, note=f"the rows have no {'class scores or ' if metric in SCORED else ''}seed in common"
            )
        if self.study.groups < 2:
            difference = sum(w * d.by_seed.mean() for w, d in found)
            return replace(line, difference=float(difference), n_pairs=1, note="one group only: nothing can be tested")
        draws, flips, accuracy = (
            np.sum([w * getattr(d, what) for w, d in found], axis=0) for what in ("draws", "flips", "accuracy")
        )
        low, high = resample.percentile(draws, self.config.confidence)
        return replace(
            line,
            difference=float(sum(w * d.by_seed.mean() for w, d in found)),
            low=low,
            high=high,
            p=resample.flip_p(flips),
            p_t=paired_t(accuracy),
            p_wilcoxon=wilcoxon(accuracy),
            n_pairs=self.study.groups,
            note=_power_note(self.study.groups, self.config.alpha),
        )

    def _over_bands(self, block: Block, a: Identity, b: Identity) -> Comparison:
        """Paired over bands, as RS-BYOL tests; over seeds where the group holds one band only."""
        single = len(block.parts) == 1
        line = self._comparison(block, a, b, "seeds of one band" if single else "bands", "paired t")
        found = self.study.differences(block, a, b, self.rules.metrics[0])
        if found is None:
            return replace(line, note="the rows have no seed in common")
        differences = found[0][1].by_seed if single else np.array([d.by_seed.mean() for _, d in found])
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

    def _comparison(self, block: Block, a: Identity, b: Identity, pairing: str, test: str) -> Comparison:
        """Without a result yet."""
        nan = float("nan")
        names = (self.task, block.input, block.probe, a.row, b.row)
        return Comparison(*names, nan, nan, nan, nan, nan, nan, nan, "untested", 0, pairing, test, "")


def _pairs(rows: Sequence[Identity]) -> Iterator[tuple[Identity, Identity]]:
    arms = [row for row in rows if row.kind == "pretrained"]
    others = [row for row in rows if row.kind != "pretrained"]
    for i, a in enumerate(arms):
        for b in [*arms[i + 1 :], *others]:
            yield a, b


def _power_note(groups: int, alpha: float) -> str:
    # all groups in favour of one row is the strongest evidence that there can be: p = 2 / 2^groups
    return f"{groups} groups can never reach p < {alpha:g}" if 2.0 ** (1 - groups) >= alpha else ""


def _corrected(lines: list[Comparison], alpha: float) -> list[Comparison]:
    """With Holm's p within each pairing of a block, and the verdicts."""
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
        return "not distinguishable"
    return "better" if difference > 0 else "worse"


class _Notes:
    """What must be said of cells: joined to their row's line, or a line of their own where there is no result."""

    def __init__(self, notes: pd.DataFrame):
        places = ["task", "input", "probe", "row", "kind"]
        self._by_row = {
            tuple(map(str, place)): _merged(part)  # type: ignore[arg-type]
            for place, part in notes.groupby(places, sort=False)
        }
        self._used: set[tuple[str, ...]] = set()

    def of(self, task: str, block: Block, row: Identity) -> str:
        """The note of a row that has a result."""
        place = (task, block.input, block.probe, row.row, row.kind)
        self._used.add(place)
        return self._by_row.get(place, "")

    def of_rows_without_result(self) -> list[Line]:
        """A line without a value for each row that has none."""
        nan = float("nan")
        return [
            Line(*place, metric="", value=nan, low=nan, high=nan, per_seed="[]", n_units=None, n_groups=None, note=note)
            for place, note in self._by_row.items()
            if place not in self._used
        ]


def _merged(notes: pd.DataFrame) -> str:
    """Equal notes of several seeds once; different ones with their seeds."""
    seeds = {str(note): list(part["seed"]) for note, part in notes.groupby("note", sort=False)}
    if len(seeds) == 1:
        return next(iter(seeds))
    return "; ".join(f"seed {', '.join(map(str, s))}: {note}" for note, s in seeds.items())
