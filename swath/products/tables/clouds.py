"""The parts of a run's cloud tables that charts and documents show."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from swath.products.tables.panels import Panel
from swath.products.tables.run import Run
from swath.products.tables.sentences import ROLES
from swath.tasks.schema import RowValue


@dataclass(frozen=True, slots=True)
class CloudChart:
    """The ranking metric of the rows that matter, by the share of painted clouds, for one task and probe."""

    task: str
    probe: str
    metric: str
    rows: list[tuple[str, pd.DataFrame]] = field(default_factory=list)
    """Names of the curves, each with its part of `cloud_levels.csv` by ascending `cloud`."""

    @property
    def title(self) -> str:
        """Task and probe."""
        return f"{self.task} · {self.probe}"


def cloud_charts(run: Run, panels: Sequence[Panel]) -> list[CloudChart]:
    """The charts of painted clouds, one for each task and probe, with the rows that matter of each input.

    Those are the recipe's first arm, the best arm, the first one's training from scratch, the best floor and the best
    reference; of an input that clouds do not change, or that no arm takes, the best row alone.
    """
    charts: dict[tuple[str, str], CloudChart] = {}
    for panel in panels:
        curves = level_curves(run, panel)
        changed = any(part["value"].nunique() > 1 for part in curves.values())
        rows = _rows_that_matter(panel, run.arms) if changed and panel.pretrained else panel.ranked[:1]
        chart = charts.setdefault((panel.task, panel.probe), CloudChart(panel.task, panel.probe, panel.metric))
        chart.rows.extend((f"{_called(s)}, {panel.input}", curves[s.row]) for s in rows if s.row in curves)
    return [chart for chart in charts.values() if chart.rows]


def level_curves(run: Run, panel: Panel) -> dict[str, pd.DataFrame]:
    """The part of `cloud_levels.csv` of each row of a panel, by ascending share of clouds; empty if there is none."""
    if run.cloud_levels.empty:
        return {}
    own = of_panel(run.cloud_levels, panel)
    return {str(row): part.sort_values(by="cloud") for row, part in own.groupby("row", sort=False)}


def _called(score: RowValue) -> str:
    """A curve's name: the row's, or its role where the name says whose network it is, of which a chart has one."""
    return ROLES[score.role] if score.role in {"random-twin", "scratch"} else score.row


def _rows_that_matter(panel: Panel, arms: Sequence[str]) -> list[RowValue]:
    first = next((score for arm in arms for score in panel.pretrained if score.row == arm), None)
    references = [score for score in panel.ranked if score.role == "reference"]
    scratch = panel.scratch(first.row) if first else None
    wanted = [first, *panel.pretrained[:1], scratch, panel.best_floor(), *references[:1]]
    return list(dict.fromkeys(score for score in wanted if score))


def level_gains(run: Run, panel: Panel) -> list[tuple[str, pd.DataFrame]]:
    """Each arm's gain over training the same network from scratch: its name, and its part of `cloud_gains.csv`."""
    gains = []
    for score in panel.pretrained:
        scratch = panel.scratch(score.row)
        if run.cloud_gains.empty or scratch is None:
            continue
        part = difference_by_cloud(run.cloud_gains, panel, score.row, scratch.row)
        if len(part):
            gains.append((f"{score.row} minus {scratch.row}", part))
    return gains


def difference_by_cloud(table: pd.DataFrame, panel: Panel, a: str, b: str) -> pd.DataFrame:
    """The part of a table of differences that says what `a` has more than `b` in a panel, by ascending cloud."""
    own = of_panel(table, panel)
    return own.loc[(own["a"] == a) & (own["b"] == b)].sort_values(by="low_cloud")


def of_panel(table: pd.DataFrame, panel: Panel) -> pd.DataFrame:
    """The rows of a table that belong to a panel's task, input and probe."""
    own = (table["task"] == panel.task) & (table["input"] == panel.input) & (table["probe"] == panel.probe)
    return table.loc[own]
