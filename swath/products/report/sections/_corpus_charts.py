"""Charts of what a corpus holds: dates, shares of cloud and usable pixels, balance of classes."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from swath.products.draw.style import DATA, blank, colour, percent_axis, shorten

EDGES = np.linspace(0, 1, 21)
"""Of the bins of shares."""


def dates(counts: Mapping[str, pd.Series]) -> Figure:
    """Chips per month, stacked by sensor; the series are counts with a monthly period index."""
    figure, axes = blank()
    frame = pd.DataFrame(counts).fillna(0.0).sort_index()
    months = pd.period_range(frame.index.min(), frame.index.max(), freq="M")
    frame = frame.reindex(months, fill_value=0.0)
    bottom = np.zeros(len(frame))
    for i, name in enumerate(frame):
        axes.bar(np.arange(len(frame)), frame[name], bottom=bottom, width=0.85, color=colour(DATA + i), linewidth=0)
        bottom += frame[name].to_numpy()
    every = max(1, -(-len(frame) // 5))
    axes.set_xticks(np.arange(0, len(frame), every), [str(m) for m in months[::every]])
    axes.set_title("Chips per month")
    axes.grid(visible=False, axis="x")
    return figure


def shares(values: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Which share of the chips lies in each of twenty bins `from`, `to`: a column a sensor."""
    counts = {name: np.histogram(sample, EDGES)[0] for name, sample in values.items()}
    bins = {"from": EDGES[:-1], "to": EDGES[1:]}
    return pd.DataFrame(bins | {name: heights / max(1, heights.sum()) for name, heights in counts.items()})


def histogram(title: str, values: Mapping[str, np.ndarray]) -> Figure:
    """How a share (0..1) is distributed over the chips, one outline per sensor."""
    figure, axes = blank()
    for i, heights in enumerate(shares(values).iloc[:, 2:].to_numpy().T):
        axes.stairs(heights, EDGES, fill=True, color=colour(DATA + i), alpha=0.25, linewidth=0)
        axes.stairs(heights, EDGES, color=colour(DATA + i), linewidth=1.2)
    percent_axis(axes.xaxis)
    percent_axis(axes.yaxis)
    axes.set_title(title)
    axes.set_ylabel("of the chips")
    axes.set_xlim(0, 1)
    return figure


def balance(counts: pd.DataFrame) -> Figure:
    """Share of each class (rows) in each split (columns); one bar per split."""
    figure, axes = blank(height=0.75 + (0.14 * len(counts.columns) + 0.1) * len(counts))
    shares = counts / counts.sum().clip(lower=1)
    thickness = 0.8 / len(counts.columns)
    y = np.arange(len(counts))
    for i, split in enumerate(counts.columns):
        offset = (i - (len(counts.columns) - 1) / 2) * thickness
        axes.barh(y + offset, shares[split], height=thickness * 0.9, color=colour(DATA + i), linewidth=0)
    axes.set_yticks(y, [shorten(name) for name in counts.index])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    percent_axis(axes.xaxis)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.set_title("Class balance")
    return figure
