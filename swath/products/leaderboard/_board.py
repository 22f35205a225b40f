"""What stands in a leaderboard: every row with its value and claims, and rows of different runs against each other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from swath.products.leaderboard._answers import Answer, answers_of
from swath.products.leaderboard._efficiency import Efficiency, efficiency_of
from swath.products.leaderboard._join import DataSet, Entry, data_sets, opened, remarks
from swath.products.tables import VERDICTS, Panel, band_of, panels_of
from swath.products.words import listing, lower_is_better
from swath.tasks import floors
from swath.tasks.schema import ClaimResult, Role, RowValue, Verdict
from swath.tasks.statistics import UNTESTED_FLOORS, Ranking, TaskRules, compare_runs, rank_rows, too_few

UNRANKED = {floors.find(name).row for name in UNTESTED_FLOORS}
"""Rows that say nothing of a method, so that ranks leave them out."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a leaderboard: a row on one task, input and probe of one data set."""

    data_set: str
    task: str
    input: str
    probe: str
    labels: float
    """Number of labels to learn from; of several folds the mean."""
    label: str
    """What has a label: `location` or `pixel`."""
    row: str
    role: Role
    run: str
    """The run; several, joined by ", ", where they say exactly the same of the row."""
    metric: str
    value: float
    low: float
    high: float
    trainings: int
    """Number of trainings of each fold."""
    folds: int
    groups: int
    units: int
    better_than: str
    """Rows that it was claimed to be better than, with that verdict in its run; the next three likewise."""
    worse_than: str
    not_distinguishable_from: str
    without_verdict_against: str
    note: str


@dataclass(frozen=True, slots=True)
class RunComparison:
    """Row a of one run minus row b of another."""

    data_set: str
    a: str
    run_a: str
    b: str
    run_b: str
    result: ClaimResult
    unit: str
    """Unit of the numbers of a regression; empty where they have none."""

    @property
    def where(self) -> str:
        """Task, input and probe in one line."""
        return " · ".join((self.result.task, self.result.input, self.result.probe))


@dataclass(frozen=True, slots=True)
class BoardPanel:
    """The rows of all runs on one task, input and probe, best first."""

    title: str
    metric: str
    unit: str
    rows: tuple[tuple[Line, RowValue], ...]


@dataclass(frozen=True, eq=False)
class Part:
    """What a leaderboard says of one data set."""

    data_set: DataSet
    answers: tuple[Answer, ...]
    panels: tuple[BoardPanel, ...]
    comparisons: tuple[RunComparison, ...]
    efficiency: tuple[Efficiency, ...]
    remarks: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Leaderboard:
    """Many runs on one or several data sets, side by side."""

    parts: tuple[Part, ...]
    ranking: Ranking | None
    unranked: str
    """Why there are no ranks; empty where there are."""

    @property
    def lines(self) -> list[Line]:
        """All lines, data set by data set."""
        return [line for part in self.parts for panel in part.panels for line, _ in panel.rows]

    @property
    def runs(self) -> list[str]:
        """Names of the runs."""
        return [entry.name for part in self.parts for entry in part.data_set.entries]


def compare(runs: Sequence[Path]) -> Leaderboard:
    """Put evaluated runs side by side, on one or several data sets.

    Values, intervals, claims and verdicts are those of each run. Rows of different runs that were tested on the same
    units are compared by the statistics of a run, Holm's correction over all of these comparisons.

    Args:
        runs: folders of evaluated runs.

    Raises:
        SwathError: a run is not there or not evaluated, or two runs on one data set test other units, learn from other
            labels, or are judged by other metrics.
    """
    joined = data_sets(opened(runs))
    compared = _across(joined)
    parts = tuple(
        Part(
            data_set=one,
            answers=tuple(answer for entry in one.entries for answer in answers_of(entry)),
            panels=tuple(_panels(one)),
            comparisons=tuple(found),
            efficiency=tuple(line for entry in one.entries for line in efficiency_of(entry)),
            remarks=tuple(remarks(one)),
        )
        for one, found in zip(joined, compared, strict=True)
    )
    ranking, reason = _ranking(parts)
    return Leaderboard(parts, ranking, reason)


# ------------------------------------------------------------------------------------------------------ rows and claims


def _panels(one: DataSet) -> Iterator[BoardPanel]:
    """The panels of all runs, the rows of those that share one together; single bands are left to the reports."""
    together: dict[tuple[str, str, str], list[tuple[Entry, Panel]]] = {}
    for entry in one.entries:
        for panel in panels_of(entry.run):
            if panel.ranked and band_of(panel.input) is None:
                together.setdefault(panel.key, []).append((entry, panel))
    for members in together.values():
        first = members[0][1]
        rows = _merged([(_line(one.name, entry, panel, s), s) for entry, panel in members for s in panel.ranked])
        sign = 1 if lower_is_better(first.metric) else -1
        rows.sort(key=lambda row: (sign * row[0].value, row[0].row))
        yield BoardPanel(first.title, first.metric, first.target_unit, tuple(rows))


def _line(data_set: str, entry: Entry, panel: Panel, score: RowValue) -> Line:
    claims: dict[Verdict, list[str]] = {verdict: [] for verdict in VERDICTS}
    for pair in panel.pairs:
        if pair.standing == "claim" and score.row in (pair.a, pair.b):
            own = pair if pair.a == score.row else pair.flipped()
            claims[own.verdict].append(own.b)
    return Line(
        data_set=data_set,
        task=panel.task,
        input=panel.input,
        probe=panel.probe,
        labels=entry.labels(panel.task),
        label=entry.kind_of_label(panel.task),
        row=score.row,
        role=score.role,
        run=entry.name,
        metric=score.metric,
        value=score.value,
        low=score.low,
        high=score.high,
        trainings=len(score.per_seed),
        folds=panel.folds,
        groups=score.n_groups or 0,
        units=score.n_units or 0,
        better_than=listing(claims["better"]),
        worse_than=listing(claims["worse"]),
        not_distinguishable_from=listing(claims["tie"]),
        without_verdict_against=listing(claims["untested"]),
        note=score.note,
    )


def _merged(rows: Sequence[tuple[Line, RowValue]]) -> list[tuple[Line, RowValue]]:
    """Rows that several runs have and say exactly the same of (nothing random goes into them) stand there once."""
    found: dict[tuple, tuple[Line, RowValue]] = {}
    for line, score in rows:
        key = (line.row, line.role, line.value, line.low, line.high, score.per_seed)
        known = found.get(key)
        found[key] = (line if known is None else replace(known[0], run=f"{known[0].run}, {line.run}"), score)
    return list(found.values())


# ---------------------------------------------------------------------------------------------------------- comparisons


def _across(joined: Sequence[DataSet]) -> list[list[RunComparison]]:
    shared = [(i, one, task) for i, one in enumerate(joined) for task in one.tasks if len(one.having(task)) > 1]
    tasks = [(i, one, task, _together(one.having(task), task)) for i, one, task in shared]
    tasks = [(i, one, task, lines) for i, one, task, lines in tasks if len(lines)]
    found: list[list[RunComparison]] = [[] for _ in joined]
    results = compare_runs([(task, lines, _rules(one, task)) for _, one, task, lines in tasks])
    for (i, one, task, _), pairs in zip(tasks, results, strict=True):
        unit = one.having(task)[0].run.unit(task)
        found[i] += [RunComparison(one.name, a.name, a.run, b.name, b.run, line, unit) for a, b, line in pairs]
    return found


def _rules(one: DataSet, task: str) -> TaskRules:
    return one.having(task)[0].rules(task)


def _together(entries: Sequence[Entry], task: str) -> pd.DataFrame:
    """Predictions of several runs in the panels that two of them share, without rows that only their own run needs."""
    parts = []
    for entry in entries:
        lines = entry.predictions(task)
        parts.append(lines[~lines["role"].isin(["random-twin", "scratch"])].assign(run=entry.name))
    lines = pd.concat(parts, ignore_index=True)
    kept = [
        panel
        for _, panel in lines.groupby(["input", "probe"], sort=False)
        if len(set(panel["run"])) > 1 and "pretrained" in set(panel["role"])
    ]
    return pd.concat(kept, ignore_index=True) if kept else lines.iloc[:0]


# ---------------------------------------------------------------------------------------------------------------- ranks


def _ranking(parts: Sequence[Part]) -> tuple[Ranking | None, str]:
    """Average ranks of the rows that all data sets have, and why there are none."""
    there = [_rows(part) for part in parts]
    rows = [row for row in there[0] if all(row in others for others in there)]
    if reason := too_few(len(parts), len(rows)):
        return None, reason
    values = np.array([_common(part, rows) for part in parts])
    if not np.isfinite(values).all():
        without = [part.data_set.name for part, row in zip(parts, values, strict=True) if not np.isfinite(row).all()]
        return None, f"no task, input and probe of {listing(without)} has all of {listing([name for _, name in rows])}"
    return rank_rows(-values, tuple(name for _, name in rows)), ""


def _rows(part: Part) -> dict[tuple[str, str], None]:
    """Role and name of each row of a data set, in order."""
    return {
        (line.role, line.row): None
        for panel in part.panels
        for line, _ in panel.rows
        if line.row not in UNRANKED and np.isfinite(line.value)
    }


def _common(part: Part, rows: Sequence[tuple[str, str]]) -> list[float]:
    """The mean rank of each row over the panels of a data set that have all of them; NaN where none has."""
    from scipy.stats import rankdata

    ranks = []
    for panel in part.panels:
        values = [[line.value for line, _ in panel.rows if (line.role, line.row) == row] for row in rows]
        if all(values):
            sign = 1 if lower_is_better(panel.metric) else -1
            ranks.append(rankdata([sign * np.mean(own) for own in values]))
    return list(np.mean(ranks, axis=0)) if ranks else [np.nan] * len(rows)
