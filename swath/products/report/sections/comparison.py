"""All rows of each task, input and probe against each other and against the floors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from swath.products import words
from swath.products.draw.strips import Scale, strip, strip_axis
from swath.products.draw.style import SERIES
from swath.products.report._verdicts import Judgement, PairTable, judgement, pair_table
from swath.products.report.sections import Material, Section, beside
from swath.products.tables import ROLES, Panel, Run, band_of, outcome, rows_by_reason
from swath.tasks.schema import Role, RowValue

FIRST: tuple[Role, ...] = ("pretrained", "reference")
"""Roles of the rows that stand above all others."""


def content(material: Material) -> dict[str, Any]:
    """A table for each panel of more than a single band, the headline's first."""
    shown = [panel for panel in material.panels if band_of(panel.input) is None and panel.ranked]
    shown.sort(key=lambda panel: panel != material.headline)
    return {"tables": [table(panel, material.run) for panel in shown]}


@dataclass(frozen=True)
class TableRow:
    """One row of a comparison table."""

    name: str
    shade: str
    """CSS class of its colour."""
    role: Role
    about: str
    """Role and number of trainings, in words."""
    values: list[tuple[str, str]]
    """Value and interval per metric."""
    strip: Markup
    judgements: list[Judgement | None]
    """Verdicts against random twin, scratch and best floor; None where that makes no sense."""


@dataclass(frozen=True)
class Table:
    """The comparison table of a panel."""

    title: str
    metrics: list[str]
    rows: list[TableRow]
    axis: Markup
    compared: PairTable
    left_out: list[tuple[str, str]]
    size: str
    unit: str
    """Unit of differences: `points`, the unit of the numbers that are estimated, or nothing."""
    legend: str
    """How to read the drawing in a row."""
    outcome: str
    """The table summarised in words."""
    remark: str
    """What a reader must know of the task before believing its intervals; empty if nothing."""


def table(panel: Panel, run: Run) -> Table:
    """The comparison table of a panel."""
    scale, floor = Scale.of(panel.ranked, is_share=words.is_share(panel.metric)), panel.best_floor()
    return Table(
        title=panel.title,
        metrics=[panel.called(name) for name in panel.metrics],
        rows=[_row(panel, score, run.arms, scale, floor) for score in _grouped(panel)],
        axis=strip_axis(scale),
        compared=pair_table(panel),
        left_out=rows_by_reason(panel),
        size=_size(panel),
        unit=panel.unit,
        legend=_legend(panel),
        outcome=" ".join(outcome(panel)),
        remark=_remark(run, panel.task),
    )


def _remark(run: Run, task: str) -> str:
    """What was noted of the task; of several folds each remark once."""
    own = run.tasks.loc[run.tasks["task"] == task, "note"] if len(run.tasks) else []
    return "; ".join(dict.fromkeys(note for note in own if note))


def _grouped(panel: Panel) -> list[RowValue]:
    """Pre-trained encoders, then references, then all others; best first in each."""
    return sorted(panel.ranked, key=lambda score: FIRST.index(score.role) if score.role in FIRST else len(FIRST))


def _row(panel: Panel, score: RowValue, arms: Sequence[str], scale: Scale, floor: RowValue | None) -> TableRow:
    values = [panel.score(score.row, metric) for metric in panel.metrics]
    interval = words.score_interval(panel.metric, score.low, score.high)
    text = f"{words.score(panel.metric, score.value)}, 95 % interval {interval}"
    shade = f"s{arms.index(score.row) % len(SERIES)}" if score.row in arms else "s-floor"
    mark = floor.value if floor else None
    others = (panel.twin(score.row), panel.scratch(score.row), floor) if score.role == "pretrained" else (None,) * 3
    return TableRow(
        name=score.row,
        shade=shade,
        role=score.role,
        about=" · ".join([ROLES[score.role], words.trainings(len(score.per_seed) or 1, panel.folds)]),
        values=[
            (words.score(s.metric, s.value), words.score_interval(s.metric, s.low, s.high)) if s else (words.DASH, "")
            for s in values
        ],
        strip=strip(score, scale, shade, mark, f"{score.row}: {text}"),
        judgements=[judgement(panel, score, other) for other in others],
    )


def _legend(panel: Panel) -> str:
    """A sentence on what dot, line and rings mean; a mean is only mentioned where there is one."""
    if panel.trainings > 1:
        dot = f"mean over the trainings, {words.trainings(panel.trainings, panel.folds)} at most"
        rings = (
            "rings: single trainings; " if panel.folds == 1 else "rings: single rounds of trainings over all folds; "
        )
    else:
        dot, rings = f"what {words.trainings(1, panel.folds)} gave", ""
    return (
        f"Filled dot: {dot}; line: 95 % interval; {rings}dashed line: best floor; arrow: goes on to the left of the "
        "axis."
    )


def _size(panel: Panel) -> str:
    if not panel.ranked:
        return ""
    first = panel.ranked[0]
    parts = [words.plural(first.n_units, "test sample")] if first.n_units else []
    if first.n_groups and first.n_groups != first.n_units:
        parts.append(f"in {words.plural(first.n_groups, 'group')}")
    return " ".join(parts)


SECTION = Section("Comparison with the floors", 20, content, beside(__file__), link="Comparison")
