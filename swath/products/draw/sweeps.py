"""Figures of a sweep: what each level does, and pairs of levels."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from swath.products import words
from swath.products.draw.style import GRID, INK, MUTED, OPTICAL, RADAR, blank, shorten


def effects_chart(lines: Sequence[dict[Any, Any]]) -> Figure:
    """Effect and interval of each level, in points from the mean of its axis."""
    axes_of = [(axis, list(own)) for axis, own in groupby(lines, key=lambda line: line["axis"])]
    share = words.is_share(lines[0]["metric"])
    times = 100 if share else 1
    figure, axes = blank(height=0.7 + 0.26 * (len(lines) + len(axes_of)))
    axes.axvline(0, color=MUTED, linewidth=0.8)
    labels, y = [], 0
    for axis, own in axes_of:
        labels.append((y, f"{shorten(axis, 20)}:"))
        for line in own:
            y += 1
            labels.append((y, shorten(line["level"], 20)))
            if np.isfinite([line["low"], line["high"]]).all():
                axes.plot([times * line["low"], times * line["high"]], [y, y], color=OPTICAL, linewidth=2)
            axes.scatter([times * line["effect"]], [y], s=30, color=OPTICAL, zorder=3)
        y += 1
    axes.set_yticks([at for at, _ in labels], [text for _, text in labels])
    axes.set_ylim(y - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:+g}" if v else "0"))
    axes.set_xlabel(f"{'points' if share else words.metric(lines[0]['metric'])} from the mean of the axis")
    return figure


def heat_map(means: pd.DataFrame, first: str, second: str, *, share: bool) -> Figure:
    """Expected value of each pair of levels; of a share in per cent."""
    width = 1.6 + 0.62 * means.shape[1]
    figure, axes = blank(height=1.1 + 0.34 * means.shape[0], width=max(3.6, width))
    values = (100 if share else 1) * means.to_numpy(float)
    low, high = np.nanmin(values), max(np.nanmax(values), np.nanmin(values) + 1e-9)
    scale = LinearSegmentedColormap.from_list("sweep", [RADAR, GRID, OPTICAL])
    for (row, column), value in np.ndenumerate(values):
        height = (value - low) / (high - low)
        # rectangles, not an image: the page's fonts and sharp edges stay at any size
        axes.fill_between(
            [column - 0.5, column + 0.5], row - 0.5, row + 0.5, color=scale(height), linewidth=0, alpha=0.55
        )
        axes.text(
            column,
            row,
            f"{value:.1f}" if share else words.significant(value),
            ha="center",
            va="center",
            color=INK,
            fontsize=8.5,
        )
    axes.set_xticks(range(means.shape[1]), [shorten(str(name), 14) for name in means.columns], rotation=30, ha="right")
    axes.set_yticks(range(means.shape[0]), [shorten(str(name), 22) for name in means.index])
    axes.set_xlim(-0.5, means.shape[1] - 0.5)
    axes.set_ylim(means.shape[0] - 0.5, -0.5)
    axes.grid(visible=False)
    axes.set_xlabel(second)
    axes.set_ylabel(first)
    return figure
