"""What clouds do to rows and to differences: charts for the report, and lines for the documents."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from markupsafe import Markup

from swath.products import words
from swath.products.draw import charts
from swath.products.tables.panels import Cell
from swath.products.tables.run import Run


def cloud_curves(run: Run, cells: Sequence[Cell]) -> list[tuple[Markup, str]]:
    """The ranking metric against the share of painted clouds, a chart per task and probe."""
    found = []
    for i, (heading, metric, lines) in enumerate(cloud_lines(run, cells)):
        measured = words.metric(metric)
        with charts.styled():
            figure = charts.cloud_curve(charts.shorten(heading, 44), lines, measured)
            alt = f"{measured} of {heading} against the share of clouds"
            caption = f"{measured} on the same test locations under painted clouds, with 95 % intervals."
            found.append((charts.svg(figure, f"levels{i}", alt), caption))
    return found


def cloud_lines(run: Run, cells: Sequence[Cell]) -> list[tuple[str, str, list[charts.Line]]]:
    """What each chart of painted clouds shows: heading, metric, and of each input the rows that matter.

    Those are the recipe's first arm, the best arm, the first one's training from scratch, the best floor and the best
    reference; of an input that clouds do not change, or that no arm takes, the best row alone.
    """
    if run.cloud_levels.empty:
        return []
    lines_of: dict[tuple[str, str], list[charts.Line]] = {}
    metrics: dict[tuple[str, str], str] = {}
    for cell in cells:
        curves = level_curves(run, cell)
        changed = any(part["value"].nunique() > 1 for part in curves.values())
        best = [score.row for score in cell.ranked[:1]]
        rows = _rows_that_matter(cell, run.arms) if changed and cell.pretrained else best
        chart = lines_of.setdefault((cell.task, cell.probe), [])
        for row in rows:
            if row in curves:
                chart.append(_level_line(cell, row, curves[row], charts.colour(len(chart))))
        metrics[cell.task, cell.probe] = cell.metric
    return [(f"{task} · {probe}", metrics[task, probe], lines) for (task, probe), lines in lines_of.items() if lines]


def level_curves(run: Run, cell: Cell) -> dict[str, pd.DataFrame]:
    """The lines of each row of a cell, by level."""
    if run.cloud_levels.empty:
        return {}
    own = of_cell(run.cloud_levels, cell)
    return {str(row): part.sort_values(by="cloud") for row, part in own.groupby("row", sort=False)}


def _rows_that_matter(cell: Cell, arms: Sequence[str]) -> list[str]:
    first = next((score for arm in arms for score in cell.pretrained if score.row == arm), None)
    references = [score for score in cell.ranked if score.kind == "reference"]
    scratch = cell.scratch(first.row) if first else None
    wanted = [first, *cell.pretrained[:1], scratch, cell.best_floor(), *references[:1]]
    return list(dict.fromkeys(score.row for score in wanted if score))


def _level_line(cell: Cell, row: str, part: pd.DataFrame, shade: str) -> charts.Line:
    x, y = (part[column].to_numpy(float) for column in ("cloud", "value"))
    low, high = (part[end].fillna(part["value"]).to_numpy(float) for end in ("low", "high"))
    return charts.Line(f"{row.partition(',')[0]}, {cell.input}", shade, x, y, low, high)


def level_gains(run: Run, cell: Cell) -> list[tuple[str, pd.DataFrame]]:
    """Each arm's gain over training the same network from scratch, by level: its name and lines."""
    table, found = run.cloud_gains, []
    for score in cell.pretrained:
        other = cell.scratch(score.row)
        if table.empty or other is None:
            continue
        lines = of_cell(table, cell)
        lines = lines.loc[(lines["a"] == score.row) & (lines["b"] == other.row)].sort_values(by="low_cloud")
        if len(lines):
            found.append((f"{score.row} minus {other.row}", lines))
    return found


def of_cell(table: pd.DataFrame, cell: Cell) -> pd.DataFrame:
    """The lines of a cell."""
    return table.loc[(table["task"] == cell.task) & (table["input"] == cell.input) & (table["probe"] == cell.probe)]


def cloud_gains(run: Run, cell: Cell | None) -> list[tuple[Markup, str]]:
    """The best encoder's gain over training from scratch, and over the best floor, in bins of cloud."""
    if cell is None or run.clouds.empty:
        return []
    best, own = cell.pretrained[0], of_cell(run.clouds, cell)
    found = []
    for i, other in enumerate(dict.fromkeys(s.row for s in (cell.scratch(best.row), cell.best_floor()) if s)):
        lines = own.loc[(own["a"] == best.row) & (own["b"] == other)].sort_values(by="low_cloud")
        if lines.empty:
            continue
        y = lines["difference"].to_numpy(float)
        low, high = (lines[end].fillna(lines["difference"]).to_numpy(float) for end in ("low", "high"))
        shade = charts.colour(run.arms.index(best.row)) if best.row in run.arms else charts.MUTED
        line = charts.Line(best.row, shade, np.arange(len(y)), y, np.minimum(low, y), np.maximum(high, y))
        edges = list(zip(lines["low_cloud"], lines["high_cloud"], strict=True))
        counts = ", ".join(words.count(int(n)) for n in lines["n_units"])
        heading = f"{best.row} minus {other}"
        with charts.styled():
            figure = charts.gains(charts.shorten(heading, 44), line, edges, words.metric(cell.metric))
            alt = f"{heading} by cloud fraction: {', '.join(words.points(v) for v in y)}"
            found.append((charts.svg(figure, f"clouds{i}", alt), f"Test locations in the bins: {counts}."))
    return found
