"""Estimates against the numbers that they are of."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from swath.products import words
from swath.products.draw.figures import Drawn, drawn
from swath.products.draw.style import MUTED, WIDTH, blank, styled
from swath.tasks.schema import NUMBERS

BINS = 60
"""Along each side."""


@dataclass(frozen=True)
class Scatter:
    """Estimated against true numbers of one row of a panel."""

    row: str
    plot: Drawn
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
        return Scatter(row, drawn(histogram(true, said, label), "scatter", alt, counts(true, said)), trainings)


def _correlation(true: np.ndarray, said: np.ndarray) -> str:
    constant = np.ptp(true) == 0 or np.ptp(said) == 0
    return words.DASH if constant else f"{np.corrcoef(true, said)[0, 1]:.2f}"


def _edges(true: np.ndarray, said: np.ndarray) -> np.ndarray:
    low, high = min(true.min(), said.min()), max(true.max(), said.max())
    return np.linspace(low, high if high > low else low + 1, BINS + 1)


def counts(true: np.ndarray, said: np.ndarray) -> pd.DataFrame:
    """How many estimates lie in each square that has any, by the numbers in its middle."""
    edges = _edges(true, said)
    found = np.histogram2d(true, said, bins=(edges, edges))[0]
    of_true, of_said = np.nonzero(found)
    middle = (edges[1:] + edges[:-1]) / 2
    columns = {"true": middle[of_true], "estimate": middle[of_said], "count": found[of_true, of_said].astype(int)}
    return pd.DataFrame(columns)


def histogram(true: np.ndarray, said: np.ndarray, label: str) -> Figure:
    """A two-dimensional histogram on a square of equal axes, with the line on which estimates are right."""
    figure, axes = blank(height=WIDTH)
    edges = _edges(true, said)
    axes.hist2d(true, said, bins=(edges, edges), cmap="cividis", norm=LogNorm(), rasterized=True)
    axes.plot(edges[[0, -1]], edges[[0, -1]], color=MUTED, linewidth=0.8)
    axes.set_aspect("equal")
    axes.grid(visible=False)
    axes.set_xlabel(label)
    axes.set_ylabel("estimate")
    return figure
