"""Receiver operating characteristic of each class against the rest, with areas and DeLong's tests."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from swath.products import words
from swath.products.draw.figures import Drawn, as_csv, drawn
from swath.products.draw.style import MUTED, blank, percent_axis, shorten, styled
from swath.products.report._rows import leading, look, or_noted, scored, scores_of
from swath.products.report.sections import Material, Section, beside
from swath.tasks import unpacked
from swath.tasks.statistics import DeLong, delong

GRID = np.linspace(0, 1, 101)
"""False positive rates at which curves are averaged over trainings."""
DRAWN = 4
"""Largest number of classes with a figure, those with the most test units first."""


@dataclass(frozen=True, eq=False)
class Curves:
    """One class against the rest."""

    name: str
    units: int
    """Test units of the class."""
    areas: DeLong
    """Areas of the rows, each the mean over its trainings."""
    rates: np.ndarray
    """True positive rate of each row at the false positive rates of `GRID`, mean over trainings."""


def content(material: Material) -> dict[str, Any] | None:
    """Curves and areas of the headline's rows; None where there are no class scores."""
    return or_noted(material.problems, "ROC curves", lambda: _content(material))


def _content(material: Material) -> dict[str, Any] | None:
    panel = material.headline
    if panel is None or material.run.target(panel.task).get("rule") == "value":
        return None
    found = {row: scored(material.run, panel, row) for row in leading(panel)}
    found = {row: predictions for row, predictions in found.items() if len(predictions)}
    if not found:
        return None
    multi_label = material.run.target(panel.task).get("rule") == "multi-label"
    classes = material.run.classes.get(panel.task, [])
    curves = curves_of(list(found.values()), classes, multi_label=multi_label)
    rows = list(found)
    known = {one.name for one in curves}
    expected = classes if multi_label or len(classes) > 2 else classes[1:]
    return {
        "panel": panel.title,
        "rows": rows,
        "classes": [_shown(one) for one in curves],
        "plots": _plots(curves, rows, material.run.arms),
        "csv": as_csv(table_of(curves, rows)),
        "too_few": [name for name in expected if name not in known],
    }


def curves_of(predictions: Sequence[pd.DataFrame], classes: Sequence[str], *, multi_label: bool) -> list[Curves]:
    """Curves of the classes that have two test units, and leave two to the rest; in the classes' order.

    Of two classes the second alone: the first one's curve is the same, turned.

    Args:
        predictions: of each row, with class scores; every training's units in the same order.
        classes: their names.
        multi_label: units have several classes, which are bits.
    """
    trainings = [[scores_of(part) for _, part in rows.groupby("replicate")] for rows in predictions]
    first = predictions[0].loc[predictions[0]["replicate"] == predictions[0]["replicate"].min()]
    y = first["y_true"].to_numpy(np.int64)
    has = unpacked(y, len(classes)).astype(bool) if multi_label else y[:, None] == np.arange(len(classes))
    return [
        _curves(name, has[:, k], [[scores[:, k] for scores in row] for row in trainings])
        for k, name in enumerate(classes)
        if (k or multi_label or len(classes) > 2) and min(has[:, k].sum(), (~has[:, k]).sum()) > 1
    ]


def _curves(name: str, has: np.ndarray, rows: Sequence[Sequence[np.ndarray]]) -> Curves:
    from sklearn.metrics import roc_curve  # takes a second to import

    owner = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    mean = (owner == np.arange(len(rows))[:, None]) / np.bincount(owner)[:, None]
    areas = delong(has.astype(int), np.concatenate([np.stack(row) for row in rows])).combined(mean)
    each = [np.mean([np.interp(GRID, *roc_curve(has, scores)[:2]) for scores in row], axis=0) for row in rows]
    return Curves(name, int(has.sum()), areas, np.stack(each))


def table_of(curves: Sequence[Curves], rows: Sequence[str]) -> pd.DataFrame:
    """The drawn curves: `true_positive` at each `false_positive` rate, by class and row."""
    return pd.DataFrame(
        [
            {"class": one.name, "row": row, "false_positive": x, "true_positive": y}
            for one in curves
            for row, rates in zip(rows, one.rates, strict=True)
            for x, y in zip(GRID, rates, strict=True)
        ]
    )


def _shown(one: Curves) -> dict[str, Any]:
    cells = []
    for i, (area, (low, high)) in enumerate(zip(one.areas.auc, one.areas.interval(), strict=True)):
        against = words.p_value(one.areas.p(0, i)) if i else ""
        cells.append({"area": f"{area:.3f}", "interval": _interval(low, high), "p": against})
    return {"name": one.name, "units": words.count(one.units), "cells": cells}


def _interval(low: float, high: float) -> str:
    return f"{low:.3f}{words.DASH}{high:.3f}" if np.isfinite([low, high]).all() else words.DASH


def _plots(curves: Sequence[Curves], rows: Sequence[str], arms: Sequence[str]) -> list[Drawn]:
    most = sorted(curves, key=lambda one: -one.units)[:DRAWN]
    plots = []
    for i, one in enumerate(one for one in curves if one in most):
        with styled():
            alt = f"{one.name} against the rest: " + ", ".join(
                f"{row} {area:.3f}" for row, area in zip(rows, one.areas.auc, strict=True)
            )
            plots.append(drawn(roc_figure(one, rows, arms), f"roc{i}", alt, table_of([one], rows)))
    return plots


def roc_figure(one: Curves, rows: Sequence[str], arms: Sequence[str]) -> Figure:
    """True against false positive rate of one class: a line per row; use inside `styled`."""
    figure, axes = blank(height=3.2)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8)
    for row, rates in zip(rows, one.rates, strict=True):
        axes.plot(GRID, rates, linewidth=1.2, label=shorten(row, 26), **look(row, rows, arms))  # fmt: skip
    axes.set_title(shorten(one.name, 40))
    axes.set_xlabel("false positive rate")
    axes.set_ylabel("true positive rate")
    percent_axis(axes.xaxis)
    percent_axis(axes.yaxis)
    axes.legend(fontsize=7, loc="lower right")
    return figure


SECTION = Section("Each class against the rest", 45, content, beside(__file__), link="ROC")
