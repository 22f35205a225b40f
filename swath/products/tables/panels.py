"""Which row won, against which, and whether the difference is distinguishable: pure functions of a run's tables."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from swath.errors import SwathError
from swath.products import words
from swath.products.tables.run import Run
from swath.products.words import lower_is_better
from swath.sensors import Band, band, get
from swath.tasks.schema import Comparison, Role, RowValue


@dataclass(frozen=True, slots=True)
class Panel:
    """All rows compared on one task, input and probe."""

    task: str
    input: str
    probe: str
    metrics: tuple[str, ...]
    """Metrics; the first one ranks the rows."""
    scores: tuple[RowValue, ...]
    """Scores of every row that has a value, in every metric."""
    left_out: tuple[RowValue, ...]
    """Rows without a value, whose notes say why."""
    pairs: tuple[Comparison, ...]
    folds: int = 1
    """Number of folds that are tested in turn, each with trainings of its own."""
    target_unit: str = ""
    """Unit of the numbers that are estimated; empty where they have none, and for classes."""

    @property
    def key(self) -> tuple[str, str, str]:
        """Task, input and probe."""
        return self.task, self.input, self.probe

    @property
    def title(self) -> str:
        """Task, input and probe in one line."""
        return f"{self.task} · {self.input} · {self.probe} probe"

    @property
    def metric(self) -> str:
        """The metric that ranks the rows; empty where nothing has a value."""
        return self.metrics[0] if self.metrics else ""

    @property
    def unit(self) -> str:
        """Unit of differences: points, the unit of the numbers that are estimated, or nothing."""
        return words.unit(self.metric, self.target_unit)

    def called(self, metric: str) -> str:
        """Name of a metric for a table's head or an axis, with its unit if it has one."""
        return words.metric_in_unit(metric, self.target_unit)

    @property
    def ranked(self) -> list[RowValue]:
        """Scores in the first metric, best first."""
        sign = 1 if lower_is_better(self.metric) else -1
        return sorted((s for s in self.scores if s.metric == self.metric), key=lambda s: (sign * s.value, s.row))

    @property
    def trainings(self) -> int:
        """Largest number of trainings of each fold that a row has."""
        return max((len(score.per_seed) for score in self.scores), default=0)

    @property
    def pretrained(self) -> list[RowValue]:
        """Scores of the pre-trained encoders in the first metric, best first."""
        return [s for s in self.ranked if s.role == "pretrained"]

    def score(self, row: str, metric: str | None = None) -> RowValue | None:
        """The row's score, in the first metric unless another is named."""
        metric = metric or self.metric
        return next((s for s in self.scores if s.row == row and s.metric == metric), None)

    def pair(self, a: str, b: str) -> Comparison | None:
        """The comparison of a with b, turned round if the table has b against a."""
        for pair in self.pairs:
            if (pair.a, pair.b) == (a, b):
                return pair
            if (pair.a, pair.b) == (b, a):
                return pair.flipped()
        return None

    def twin(self, arm: str) -> RowValue | None:
        """The score of the arm's network, randomly initialised and frozen."""
        return self._of_arm("random-twin", arm)

    def scratch(self, arm: str) -> RowValue | None:
        """The score of the arm's network trained on the labels alone."""
        return self._of_arm("scratch", arm)

    def best_floor(self) -> RowValue | None:
        """The best of the floors and random twins; a network trained from scratch is none."""
        return next((score for score in self.ranked if score.role in {"floor", "random-twin"}), None)

    def _of_arm(self, role: Role, arm: str) -> RowValue | None:
        return next((score for score in self.ranked if score.role == role and arm in score.arms), None)


def panels_of(run: Run) -> list[Panel]:
    """The table by task, input and probe, in the table's order."""
    if run.table.empty:
        return []
    compared = dict(iter(run.comparisons.groupby(["task", "input", "probe"], sort=False)))
    return [
        replace(_panel(key, part, compared.get(key)), folds=run.folds(key[0]), target_unit=run.unit(key[0]))
        for key, part in run.table.groupby(["task", "input", "probe"], sort=False)
        if isinstance(key, tuple)
    ]


def contrasts(run: Run) -> list[Panel]:
    """Comparisons of what is no score and has no line in the table, such as radar minus optical bands."""
    scored = {panel.key for panel in panels_of(run)}
    groups = run.comparisons.groupby(["task", "input", "probe"], sort=False) if len(run.comparisons) else ()
    metrics = run.table.drop_duplicates("task").set_index("task")["metric"].to_dict()
    return [
        replace(
            _panel(key, run.table.iloc[:0], part),
            metrics=(metrics[key[0]],),
            folds=run.folds(key[0]),
            target_unit=run.unit(key[0]),
        )
        for key, part in groups
        if isinstance(key, tuple) and key not in scored
    ]


def _panel(key: tuple[str, ...], part: pd.DataFrame, compared: pd.DataFrame | None) -> Panel:
    scores = [_row_value(record) for record in part.to_dict("records")]
    valued = [s for s in scores if math.isfinite(s.value)]
    metrics = dict.fromkeys(s.metric for s in valued or scores)
    present = {s.row for s in valued}
    left_out = {s.row: s for s in scores if s.row not in present}
    return Panel(
        task=key[0],
        input=key[1],
        probe=key[2],
        metrics=tuple(metrics),
        scores=tuple(valued),
        left_out=tuple(left_out.values()),
        pairs=tuple(Comparison(**r) for r in compared.to_dict("records")) if compared is not None else (),
    )


def _row_value(record: dict[str, Any]) -> RowValue:
    # a count that is missing is read as NaN
    counts: dict[str, Any] = {
        name: int(record[name]) if math.isfinite(record[name]) else None for name in ("n_units", "n_groups")
    }
    return RowValue(**record | counts)


def band_of(input_name: str) -> Band | None:
    """The band that an input is under a band-wise probe, which calls it by its key (`sensor/band`); None for others."""
    try:
        return band(input_name)
    except SwathError:
        return None


def is_radar(input_band: Band) -> bool:
    """Whether the band's sensor is a radar."""
    return get(input_band.sensor).kind == "radar"


def headline_panel(all_panels: Sequence[Panel]) -> Panel | None:
    """The panel that the headline speaks of: the first with results whose input is more than a single band."""
    with_results = [panel for panel in all_panels if panel.pretrained]
    named = [panel for panel in with_results if band_of(panel.input) is None]
    return next(iter(named or with_results), None)
