"""Estimates against the numbers that they are of."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from swath.products import words
from swath.products.draw.style import MUTED, WIDTH, blank, styled, svg
from swath.tasks.schema import NUMBERS

BINS = 60
"""Along each side."""


@dataclass(frozen=True)
class Scatter:
    """Estimated against true numbers of one row of a panel."""

    row: str
    plot: Markup
    trainings: str
    """How many there are in all, in words; empty where there is one of each fold."""


def scatter(predictions: pd.DataFrame, row: str, task: str, unit: str, trainings: str) -> Scatter:
    """All test locations and trainings of a row, counted in squares.

    Args:
        predictions: of the row.
        row: its name.
        task: what is estimated.
        unit: of the numbers.
        trainings: how many there are, in words.
    """
    true, said = (predictions[name].to_numpy(float) for name in NUMBERS)
    label = f"{task} ({unit})" if unit else task
    with styled():
        alt = f"{words.count(len(true))} estimates of {row} against {label}, correlation {_correlation(true, said)}"
        return Scatter(row, svg(histogram(true, said, label), "scatter", alt), trainings)


def _correlation(true: np.ndarray, said: np.ndarray) -> str:
    constant = np.ptp(true) == 0 or np.ptp(said) == 0
    return words.DASH if constant else f"{np.corrcoef(true, said)[0, 1]:.2f}"


def histogram(true: np.ndarray, said: np.ndarray, label: str) -> Figure:
    """A two-dimensional histogram on a square of equal axes, with the line on which estimates are right."""
    figure, axes = blank(height=WIDTH)
    low, high = min(true.min(), said.min()), max(true.max(), said.max())
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    axes.hist2d(true, said, bins=(edges, edges), cmap="cividis", norm=LogNorm(), rasterized=True)
    axes.plot(edges[[0, -1]], edges[[0, -1]], color=MUTED, linewidth=0.8)
    axes.set_aspect("equal")
    axes.grid(visible=False)
    axes.set_xlabel(label)
    axes.set_ylabel("estimate")
    return figure
