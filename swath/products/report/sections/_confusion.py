"""Which classes are taken for which, and how well each is found."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from swath.products import words
from swath.products.draw.figures import Drawn, as_csv, drawn
from swath.products.draw.style import WIDTH, blank, shorten, styled
from swath.tasks import class_iou, confusion_by_class, unpacked

MAX_CLASSES_AS_TABLE = 16
"""Number of classes up to which the matrix is a table of numbers; larger ones are drawn."""


@dataclass(frozen=True)
class Confusion:
    """The confusion matrix of one row of a panel."""

    row: str
    names: list[str]
    counts: list[list[str]]
    shares: list[list[float]]
    """How each true class was predicted; rows sum to 1, or are 0 where a class does not occur."""
    recalls: list[str]
    ious: list[str]
    """Intersection over union of each class, where pixels have the classes; else empty."""
    plot: Drawn | None
    """A drawing instead of the table where there are many classes."""
    trainings: str
    """Number of trainings in words; empty where there is one of each fold."""
    csv: str
    """The counts, a line for each true and predicted class."""


def confusion(predictions: pd.DataFrame, row: str, classes: list[str]) -> Confusion:
    """Counts of units or pixels over all trainings, and shares of each true class."""
    n = max(len(classes), int(predictions[["y_true", "y_pred"]].to_numpy().max()) + 1)
    counts = np.zeros((n, n), int)
    entries = tuple(predictions[column].to_numpy(int) for column in ("y_true", "y_pred"))
    np.add.at(counts, entries, predictions["count"].to_numpy(int))
    shares = counts / counts.sum(axis=1, keepdims=True).clip(min=1)
    names = [words.class_name(classes, code) for code in range(n)]
    table = pd.DataFrame(
        [{"true": a, "predicted": b, "count": counts[i, j]} for i, a in enumerate(names) for j, b in enumerate(names)]
    )
    plot = None
    if n > MAX_CLASSES_AS_TABLE:
        with styled():
            plot = drawn(heatmap(shares, names), "confusion", f"Confusion matrix of {row}", table)
    return Confusion(
        row=row,
        names=names,
        counts=[[words.count(int(c)) for c in line] for line in counts],
        shares=[[round(float(s), 4) for s in line] for line in shares],
        recalls=[words.percent(float(shares[i, i])) if counts[i].any() else words.DASH for i in range(n)],
        ious=[words.percent(float(v)) for v in class_iou(counts.astype(float))] if of_pixels(predictions) else [],
        plot=plot,
        trainings=_trainings(predictions),
        csv=as_csv(table),
    )


def of_pixels(predictions: pd.DataFrame) -> bool:
    """Whether pixels have the classes, so that a unit may have several."""
    return bool(predictions.duplicated(["replicate", "uid"]).any() or (predictions["count"] != 1).any())


@dataclass(frozen=True)
class ByClass:
    """How well each class is found, where locations may have several classes."""

    row: str
    lines: dict[str, tuple[str, ...]]
    """For each class: the number of test locations that have it, precision, recall and F1."""
    trainings: str
    """Number of trainings in words; empty where there is one of each fold."""


def by_class(predictions: pd.DataFrame, row: str, classes: list[str]) -> ByClass:
    """Decisions over all trainings, class by class."""
    truth, said = (unpacked(predictions[column].to_numpy(int), len(classes)) for column in ("y_true", "y_pred"))
    trainings = len(set(predictions["replicate"]))
    lines = {}
    for name, cm in zip(classes, confusion_by_class(truth, said), strict=True):
        hits, predicted, true = cm[1, 1], cm[:, 1].sum(), cm[1].sum()
        shares = [hits / n if n else float("nan") for n in (predicted, true, (predicted + true) / 2)]
        lines[name] = (words.count(int(true) // trainings), *map(words.percent, shares))
    return ByClass(row, lines, _trainings(predictions))


def _trainings(predictions: pd.DataFrame) -> str:
    number, folds = (len(set(predictions[column])) for column in ("replicate", "fold"))
    return words.trainings(number, folds) if number > 1 else ""


def heatmap(shares: np.ndarray, names: Sequence[str]) -> Figure:
    """A confusion matrix (rows are the truth, each sums to 1) that is too large for a table of numbers."""
    figure, axes = blank(height=WIDTH)
    axes.imshow(shares, cmap="cividis", vmin=0, vmax=1, interpolation="nearest")
    every = max(1, len(names) // 20)
    labels = [shorten(name, 10) for name in names[::every]]
    axes.set_xticks(range(0, len(names), every), labels, rotation=90, fontsize=6)
    axes.set_yticks(range(0, len(names), every), labels, fontsize=6)
    axes.grid(visible=False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    return figure
