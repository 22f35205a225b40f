"""What labels and clouds do: the metric against the number of training labels and against clouds."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from swath.products import words
from swath.products.draw.charts import Curve, cloud_curve
from swath.products.draw.figures import Drawn, drawn
from swath.products.draw.style import MUTED, blank, colour, metric_axis, shorten, styled
from swath.products.report.sections import Material, Section, beside
from swath.products.tables import Panel, Run, cloud_charts, difference_by_cloud

TITLE = 44
"""Number of characters that a chart's title is cut to."""


def content(material: Material) -> dict[str, Any] | None:
    """Charts; None where the recipe asked neither for several numbers of labels nor for clouds."""
    charts = {
        "label_curves": label_curves(material.run, material.panels),
        "cloud_curves": cloud_curves(material.run, material.panels),
        "cloud_gains": cloud_gains(material.run, material.headline),
    }
    return charts if any(charts.values()) else None


def label_curves(run: Run, panels: Sequence[Panel]) -> list[Drawn]:
    """The ranking metric against the number of training labels: a chart per task, input and probe with several."""
    if run.tasks.empty:
        return []
    # of several folds the mean
    labels = {str(task): float(np.mean(part["train_labels"].to_numpy())) for task, part in run.tasks.groupby("task")}
    kind = dict(zip(run.tasks["task"], run.tasks["label"], strict=True))
    groups: dict[tuple[str, str, str], list[Panel]] = {}
    for panel in panels:
        task = run.recipe_task(panel.task)
        if panel.task in labels and panel.task != task and panel.ranked:
            groups.setdefault((task, panel.input, panel.probe), []).append(panel)
    curves = []
    for i, ((task, name, probe), members) in enumerate(groups.items()):
        members = sorted(members, key=lambda panel: labels[panel.task])
        lines = [_curve(row, members, labels, run.arms) for row in dict.fromkeys(s.row for s in members[-1].ranked)]
        heading = f"{task} · {name} · {probe}"
        measured = members[0].called(members[0].metric)
        noun = f"{kind[members[0].task]}s with a label"
        with styled():
            figure = label_curve(shorten(heading, TITLE), lines, noun, members[0].metric, measured)
            alt = f"{measured} of {heading} against the number of labels"
            caption = f"{measured} against {noun}, with 95 % intervals."
            curves.append(drawn(figure, f"labels{i}", alt, _points(lines, "labels"), caption))
    return curves


def _points(lines: Sequence[Curve], x: str) -> pd.DataFrame:
    columns = ({"row": line.name, x: line.x, "value": line.y, "low": line.low, "high": line.high} for line in lines)
    return pd.concat([pd.DataFrame(one) for one in columns])


def _curve(row: str, panels: Sequence[Panel], labels: Mapping[str, float], arms: Sequence[str]) -> Curve:
    points = [(labels[panel.task], score) for panel in panels if (score := panel.score(row))]
    shade = colour(arms.index(row)) if row in arms else MUTED
    table = pd.DataFrame([{"value": score.value, "low": score.low, "high": score.high} for _, score in points])
    return Curve.of(row, shade, np.array([labels for labels, _ in points]), table, "value")


def cloud_curves(run: Run, panels: Sequence[Panel]) -> list[Drawn]:
    """The ranking metric against the share of painted clouds, a chart per task and probe."""
    curves = []
    for i, chart in enumerate(cloud_charts(run, panels)):
        measured = words.metric(chart.metric)
        with styled():
            figure = cloud_curve(shorten(chart.title, TITLE), chart)
            alt = f"{measured} of {chart.title} against the share of clouds"
            caption = f"{measured} on the same test locations under painted clouds, with 95 % intervals."
            data = pd.concat([table.assign(curve=name) for name, table in chart.rows])
            curves.append(drawn(figure, f"levels{i}", alt, data, caption))
    return curves


def cloud_gains(run: Run, panel: Panel | None) -> list[Drawn]:
    """The best encoder's gain over training from scratch, and over the best floor, in bins of cloud."""
    if panel is None or run.clouds.empty:
        return []
    best = panel.pretrained[0]
    others = [score.row for score in (panel.scratch(best.row), panel.best_floor()) if score]
    shade = colour(run.arms.index(best.row)) if best.row in run.arms else MUTED
    charts = []
    for i, other in enumerate(dict.fromkeys(others)):
        table = difference_by_cloud(run.clouds, panel, best.row, other)
        if table.empty:
            continue
        line = Curve.of(best.row, shade, np.arange(len(table)), table, "difference")
        edges = list(zip(table["low_cloud"], table["high_cloud"], strict=True))
        counts = ", ".join(words.count(int(n)) for n in table["n_units"])
        heading = f"{best.row} minus {other}"
        with styled():
            figure = gains(shorten(heading, TITLE), line, edges, panel.metric)
            alt = f"{heading} by cloud fraction: {', '.join(words.gain(panel.metric, v) for v in line.y)}"
            charts.append(drawn(figure, f"clouds{i}", alt, table, f"Test locations in the bins: {counts}."))
    return charts


def label_curve(title: str, lines: Sequence[Curve], label: str, metric: str, measured: str) -> Figure:
    """A metric against the number of training labels, on a logarithmic axis; a line and its intervals per row."""
    figure, axes = blank(height=2.6)
    for i, line in enumerate(lines):
        style = "-" if line.colour != MUTED else ("--", ":", "-.")[i % 3]
        # intervals of several rows at the same x would hide each other
        x = line.x * 1.04 ** (i - (len(lines) - 1) / 2)
        axes.errorbar(
            x,
            line.y,
            np.stack([line.y - line.low, line.high - line.y]),
            color=line.colour,
            linestyle=style,
            linewidth=1.2,
            elinewidth=0.8,
            marker="o",
            markersize=3,
            label=shorten(line.name, 26),
        )
    axes.set_xscale("log")
    ticks = sorted({float(x) for line in lines for x in line.x})
    axes.set_xticks(ticks, [f"{tick:,.0f}" for tick in ticks])
    axes.minorticks_off()
    metric_axis(axes.yaxis, metric)
    axes.set_title(title)
    axes.set_xlabel(label)
    axes.set_ylabel(measured)
    axes.legend(fontsize=7)
    return figure


def gains(title: str, line: Curve, edges: Sequence[tuple[float, float]], metric: str) -> Figure:
    """Differences with their intervals, bin by bin of the cloud fraction."""
    figure, axes = blank()
    axes.axhline(0, color=MUTED, linewidth=0.8)
    axes.errorbar(
        line.x,
        line.y,
        np.stack([line.y - line.low, line.high - line.y]),
        color=line.colour,
        linestyle="none",
        marker="o",
        markersize=4,
    )
    axes.set_xticks(line.x, [f"{100 * low:g}–{100 * high:g} %" for low, high in edges])
    times = 100 if words.is_share(metric) else 1
    axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{times * v:+g}"))
    axes.set_title(title)
    axes.set_xlabel("cloud in the series")
    axes.set_ylabel(f"{words.metric(metric)}{', points' if times > 1 else ''}")
    return figure


SECTION = Section("Labels and clouds", 30, content, beside(__file__))
