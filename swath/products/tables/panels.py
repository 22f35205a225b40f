"""Who won, against what, and is the difference distinguishable: pure functions of a run's tables."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import pandas as pd

from swath.errors import SwathError
from swath.products.tables.run import Run
from swath.sensors import Band, band, bands, get

Verdict = Literal["better", "worse", "tie", "untested"]
ALPHA = 0.05
"""Level of the tests after Holm's correction; used only where the table gives no verdict of its own."""


@dataclass(frozen=True, slots=True)
class Score:
    """One row's result in one panel, for one metric."""

    row: str
    """Name of the arm, floor or reference."""
    kind: str
    """`pretrained`, `floor` or `reference`."""
    metric: str
    value: float
    """Mean over the seeds."""
    low: float
    """Lower end of the 95 % interval."""
    high: float
    per_seed: tuple[float, ...]
    n_units: int | None
    """Number of evaluation units of the test set."""
    n_groups: int | None
    """Number of groups (locations, clusters, blocks) that they fall in."""
    note: str


@dataclass(frozen=True, slots=True)
class Pair:
    """A paired comparison: `difference` is a minus b."""

    a: str
    b: str
    difference: float
    low: float
    high: float
    p: float
    """p-value of the test that decides, before correction."""
    p_t: float
    p_wilcoxon: float
    p_holm: float
    """`p` after Holm's correction."""
    verdict: Verdict
    """How a compares with b."""
    n_pairs: int | None
    pairing: str
    """What was paired, in words."""
    test: str
    """Name of the test that decides."""
    note: str

    def flipped(self) -> "Pair":
        """The same comparison seen from b."""
        turned: dict[Verdict, Verdict] = {"better": "worse", "worse": "better"}
        return replace(
            self,
            a=self.b,
            b=self.a,
            difference=-self.difference,
            low=-self.high,
            high=-self.low,
            verdict=turned.get(self.verdict, self.verdict),
        )


@dataclass(frozen=True, slots=True)
class Panel:
    """All rows compared on one task, input and probe."""

    task: str
    input: str
    probe: str
    metrics: tuple[str, ...]
    """The first one ranks the rows."""
    scores: tuple[Score, ...]
    """Every row and metric that has a value."""
    left_out: tuple[Score, ...]
    """Rows without a value; their note says why."""
    pairs: tuple[Pair, ...]

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
    def ranked(self) -> list[Score]:
        """Scores in the first metric, best first."""
        return sorted((s for s in self.scores if s.metric == self.metric), key=lambda s: (-s.value, s.row))

    @property
    def pretrained(self) -> list[Score]:
        """Scores of the pre-trained encoders in the first metric, best first."""
        return [s for s in self.ranked if s.kind == "pretrained"]

    def score(self, row: str, metric: str | None = None) -> Score | None:
        """The row's score, in the first metric unless another is named."""
        metric = metric or self.metric
        return next((s for s in self.scores if s.row == row and s.metric == metric), None)

    def pair(self, a: str, b: str) -> Pair | None:
        """The comparison of a with b, whichever way round the table has it."""
        for pair in self.pairs:
            if (pair.a, pair.b) == (a, b):
                return pair
            if (pair.a, pair.b) == (b, a):
                return pair.flipped()
        return None

    def twin(self, row: str) -> Score | None:
        """The same network, randomly initialised and frozen."""
        return self._beside(row, [s for s in self.ranked if s.kind != "pretrained" and _is_random_encoder(s.row)])

    def scratch(self, row: str) -> Score | None:
        """The same network, trained on the labels alone."""
        return self._beside(row, [s for s in self.ranked if s.kind != "pretrained" and "scratch" in s.row.lower()])

    def best_floor(self) -> Score | None:
        """The highest floor; networks trained from scratch are references, not floors."""
        floors = [s for s in self.ranked if s.kind == "floor" and "scratch" not in s.row.lower()]
        return floors[0] if floors else None

    def _beside(self, row: str, candidates: Sequence[Score]) -> Score | None:
        """Where every arm has its own twin, its name holds the arm's; otherwise there is one for all."""
        own = [s for s in candidates if _names(s.row, row)]
        arms = [s.row for s in self.pretrained if s.row != row]
        common = [s for s in candidates if not any(_names(s.row, arm) for arm in arms)]
        return next(iter(own or common), None)


def _names(text: str, arm: str) -> bool:
    """Whether a row's name holds an arm's as a whole: `scratch, as rs-byol-1` does not name `byol`."""
    return re.search(rf"(?<![\w-]){re.escape(arm)}(?![\w-])", text) is not None


def _is_random_encoder(row: str) -> bool:
    return row.replace("-", " ").startswith("random encoder")


def panels_of(run: Run) -> list[Panel]:
    """The table by task, input and probe, in the table's order."""
    if run.table.empty:
        return []
    compared = dict(iter(run.comparisons.groupby(["task", "input", "probe"], sort=False)))
    return [
        _panel(key, part, compared.get(key))
        for key, part in run.table.groupby(["task", "input", "probe"], sort=False)
        if isinstance(key, tuple)
    ]


def contrasts(run: Run) -> list[Panel]:
    """Comparisons of what is no score and so has no line in the table, such as radar minus optical bands."""
    scored = {panel.key for panel in panels_of(run)}
    groups = run.comparisons.groupby(["task", "input", "probe"], sort=False) if len(run.comparisons) else ()
    return [
        _panel(key, run.table.iloc[:0], part) for key, part in groups if isinstance(key, tuple) and key not in scored
    ]


def _panel(key: tuple[str, ...], part: pd.DataFrame, compared: pd.DataFrame | None) -> Panel:
    scores = [_score(record) for record in part.to_dict("records")]
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
        pairs=tuple(_pair(r) for r in compared.to_dict("records")) if compared is not None else (),
    )


def _score(record: dict) -> Score:
    fields = {name: record[name] for name in ("row", "kind", "metric", "value", "low", "high", "per_seed", "note")}
    return Score(**fields, n_units=_count(record["n_units"]), n_groups=_count(record["n_groups"]))


def _count(value: float | int) -> int | None:
    return int(value) if math.isfinite(value) else None


def _pair(record: dict) -> Pair:
    names = (
        *("a", "b", "difference", "low", "high", "p", "p_t", "p_wilcoxon", "p_holm"),
        *("pairing", "test", "note"),
    )
    verdict = _verdict(str(record["verdict"]), record["difference"], record["p_holm"])
    return Pair(**{name: record[name] for name in names}, verdict=verdict, n_pairs=_count(record["n_pairs"]))


def _verdict(said: str, difference: float, p: float) -> Verdict:
    """The table's own word; where it has none, Holm's p and the sign."""
    said = said.lower()
    if "not" in said or "indist" in said:
        return "tie"
    if "better" in said or "worse" in said:
        return "better" if "better" in said else "worse"
    if not (math.isfinite(difference) and math.isfinite(p)):
        return "untested"
    if p >= ALPHA:
        return "tie"
    return "better" if difference > 0 else "worse"


def band_of(input_name: str) -> Band | None:
    """The band, if an input's name is a band key (`sensor/band`) or the name of a band."""
    try:
        return band(input_name)
    except SwathError:
        return next((b for b in bands() if b.name == input_name), None)


def is_radar(input_band: Band) -> bool:
    """Whether the band's sensor is a radar."""
    return get(input_band.sensor).kind == "radar"


def headline_panel(all_panels: Sequence[Panel]) -> Panel | None:
    """The panel that the headline speaks of: the first with results whose input is more than a single band."""
    with_results = [panel for panel in all_panels if panel.pretrained]
    whole = [panel for panel in with_results if band_of(panel.input) is None]
    return next(iter(whole or with_results), None)
