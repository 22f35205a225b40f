"""Charts that more than one place shows: rows against each other, and metrics under clouds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from swath.products.draw.style import MUTED, blank, colour, metric_axis, shorten
from swath.products.tables import CloudChart, Panel
from swath.products.words import metric


@dataclass(frozen=True, slots=True)
class Curve:
    """One row's curve in a chart: values with their intervals."""

    name: str
    colour: str
    x: np.ndarray
    y: np.ndarray
    low: np.ndarray
    """Lower ends of the intervals; where a value has none, the value itself."""
    high: np.ndarray

    @staticmethod
    def of(name: str, shade: str, x: np.ndarray, table: pd.DataFrame, value: str) -> "Curve":
        """The curve of a table's rows: the named column, with its interval in `low` and `high`."""
        y = table[value].to_numpy(float)
        low, high = (table[end].fillna(table[value]).to_numpy(float) for end in ("low", "high"))
        return Curve(name, shade, x, y, np.minimum(low, y), np.maximum(high, y))


def comparison(panel: Panel, arms: Sequence[str]) -> Figure:
    """All rows of a panel, best on top: value, 95 % interval and the single trainings."""
    rows = panel.ranked
    figure, axes = blank(height=0.7 + 0.3 * len(rows), width=6.4)
    for y, score in enumerate(rows):
        shade = colour(arms.index(score.row)) if score.row in arms else MUTED
        if np.isfinite([score.low, score.high]).all():
            axes.plot([score.low, score.high], [y, y], color=shade, linewidth=2)
        axes.scatter(
            score.per_seed, [y] * len(score.per_seed), s=12, facecolors="none", edgecolors=shade, linewidths=0.8
        )
        axes.scatter([score.value], [y], s=34, color=shade, zorder=3)
    axes.set_yticks(range(len(rows)), [shorten(score.row, 34) for score in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    metric_axis(axes.xaxis, panel.metric)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.set_xlabel(metric(panel.metric))
    return figure


def cloud_curve(title: str, chart: CloudChart) -> Figure:
    """A metric against the share of painted clouds: a line per row, dashed if it is level; its interval as a band."""
    figure, axes = blank(height=3.6)
    for i, (name, table) in enumerate(chart.rows):
        line = Curve.of(name, colour(i), table["cloud"].to_numpy(float), table, "value")
        style = "--" if np.ptp(line.y) == 0 else "-"
        axes.fill_between(line.x, line.low, line.high, color=line.colour, alpha=0.12, linewidth=0)
        axes.plot(
            line.x, line.y, color=line.colour, linestyle=style, marker="o", markersize=3, label=shorten(line.name, 34)
        )
    levels = chart.rows[0][1]["cloud"].to_numpy(float)
    axes.set_xticks(levels, [f"{100 * level:g} %" for level in levels])
    metric_axis(axes.yaxis, chart.metric)
    axes.set_title(title)
    axes.set_xlabel("cloud in the optical series")
    axes.set_ylabel(metric(chart.metric))
    axes.legend(fontsize=7, ncol=2, loc="upper center", bbox_to_anchor=(0.5, -0.18))
    return figure
