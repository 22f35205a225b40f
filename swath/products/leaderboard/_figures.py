"""The figures of a leaderboard: average ranks with the critical difference, and values against labels."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from swath.products.draw.style import INK, MUTED, blank, colour, metric_axis, shorten
from swath.products.leaderboard._efficiency import Efficiency
from swath.tasks.statistics import Ranking

STEP = 0.3
"""Height of a row in the diagram of ranks, in inches."""


def rank_diagram(ranking: Ranking) -> Figure:
    """Average ranks, the best on the left; a bar joins rows that are not distinguishable (Demšar 2006)."""
    rows, groups = len(ranking.rows), ranking.groups()
    half = (rows + 1) // 2
    figure, axes = blank(height=0.9 + STEP * (half + len(groups)), width=6.4)
    last = max(rows, 2)
    reach = 0.35 * (last - 1)
    axes.set(xlim=(1 - reach, last + reach), ylim=(-half - len(groups) - 0.3, 1.8))
    axes.axis("off")
    axes.plot([1, last], [0, 0], color=INK, linewidth=1)
    for rank in np.unique(np.linspace(1, last, min(last, 10)).round()):
        axes.plot([rank, rank], [0, 0.15], color=INK, linewidth=1)
        axes.text(rank, 0.25, f"{rank:g}", ha="center", fontsize=8, color=MUTED)
    end = 1 + min(ranking.critical_difference, last - 1)
    axes.plot([1, end], [1.2, 1.2], color=INK, linewidth=2)
    axes.text((1 + end) / 2, 1.35, f"critical difference {ranking.critical_difference:.2f}", ha="center", fontsize=8)
    for i, (name, rank) in enumerate(zip(ranking.rows, ranking.average, strict=True)):
        is_left = i < half
        y = -len(groups) - (i if is_left else rows - 1 - i) - 0.7
        x, side = (1 - 0.05 * reach, "right") if is_left else (last + 0.05 * reach, "left")
        axes.plot([rank, rank, x], [0, y, y], color=MUTED, linewidth=0.8)
        label = f"{shorten(name, 24)}  {rank:.2f}" if is_left else f"{rank:.2f}  {shorten(name, 24)}"
        axes.text(x, y, label, ha=side, va="center", fontsize=8)
    for i, (first, final) in enumerate(groups):
        ends = [ranking.average[first] - 0.03, ranking.average[final] + 0.03]
        axes.plot(ends, [-0.4 - i * 0.8] * 2, color=colour(0), linewidth=3.5)
    return figure


def label_points(efficiency: Efficiency) -> pd.DataFrame:
    """What is known of the rows that are read: a line for each row and number of labels."""
    shown = dict.fromkeys([row for one in efficiency.crossings for row in (one.arm, one.than)])
    found = [
        {"row": row, "labels": n, "value": score.value, "low": score.low, "high": score.high}
        for row in shown
        for n, panel in zip(efficiency.labels, efficiency.family.panels, strict=True)
        if (score := panel.score(row))
    ]
    return pd.DataFrame(found, columns=["row", "labels", "value", "low", "high"])


def label_curve(efficiency: Efficiency, arms: Sequence[str]) -> Figure:
    """Values against labels, each with its interval as a band, of the rows that are read."""
    panels = efficiency.family.panels
    figure, axes = blank(height=2.8)
    for i, (row, points) in enumerate(label_points(efficiency).groupby("row", sort=False)):
        x, y, low, high = (points[name].to_numpy(float) for name in ("labels", "value", "low", "high"))
        shade = colour(arms.index(row)) if row in arms else MUTED
        line = "-" if row in arms else ("--", ":", "-.")[i % 3]
        axes.fill_between(
            x, np.where(np.isnan(low), y, low), np.where(np.isnan(high), y, high), color=shade, alpha=0.12
        )
        axes.plot(x, y, color=shade, linestyle=line, marker="o", markersize=3, label=shorten(str(row), 26))
    axes.set_xscale("log")
    axes.set_xticks(list(efficiency.labels), [f"{n:,.0f}" for n in efficiency.labels])
    axes.minorticks_off()
    metric_axis(axes.yaxis, panels[0].metric)
    axes.set_title(shorten(f"{efficiency.run}: {efficiency.title}", 44))
    axes.set_xlabel("pixels with a label" if efficiency.label == "pixel" else "locations with a label")
    axes.set_ylabel(panels[0].called(panels[0].metric))
    axes.legend(fontsize=7)
    return figure
