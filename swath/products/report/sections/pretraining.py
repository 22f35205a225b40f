"""How pre-training went: the loss and the gauges that tell learning from collapse."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from swath.products import words
from swath.products.draw.figures import Drawn, drawn
from swath.products.draw.style import MUTED, SERIES, ZONE, blank, colour, percent_axis, styled
from swath.products.report.sections import Material, Section, beside
from swath.products.tables import Run
from swath.training import Collapse

GAUGES = (
    ("loss", "Loss", "What the method minimises. Losses of different methods cannot be compared."),
    ("lr", "Learning rate", "As scheduled."),
    ("feature_std", "Feature std × √d", "Spread of the features on the unit sphere: 0 is collapsed, 0.3 to 1 healthy."),
    ("effective_rank", "Effective rank", "Over how many directions the features are spread around their mean."),
    ("rankme", "RankMe", "The same of the features as they are, without taking off their mean (Garrido et al. 2023)."),
    ("knn", "k-NN accuracy", "Nearest neighbours on a small labelled set that is never learnt from."),
)
MAX_POINTS = 240
"""Number of points that a curve is thinned to; a screen shows no more."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a gauge's chart: one arm and seed."""

    colour: int
    """Position in the palette."""
    x: np.ndarray
    y: np.ndarray


def content(material: Material) -> dict[str, Any]:
    """A chart for each gauge that was measured, and where each arm ended."""
    run = material.run
    charts = [_chart(run, *gauge) for gauge in GAUGES]
    return {
        "charts": [chart for chart in charts if chart is not None],
        "trained": [_trained(run, arm) for arm in run.arms if any(a == arm for a, _ in run.logs)],
    }


def _chart(run: Run, column: str, title: str, meaning: str) -> Drawn | None:
    measured = {key: log for key, log in run.logs.items() if math.isfinite(_last(log, column))}
    if not measured:
        return None
    lines = [
        Curve(run.arms.index(arm), log["step"].to_numpy(float), log[column].to_numpy(float))
        for (arm, _), log in measured.items()
    ]
    floor = _collapse_floor(run, column)
    with styled():
        figure = curves(title, lines, zone=(floor, "collapsed") if floor else None, share=column == "knn")
        alt = f"{title} over the steps. {_ends(measured, column)}"
        return drawn(figure, f"curve-{column}", alt, _table(measured, column), meaning)


def _table(measured: Mapping[tuple[str, int], pd.DataFrame], column: str) -> pd.DataFrame:
    """The points that are drawn."""
    parts = []
    for (arm, seed), log in measured.items():
        x, y = thin(log["step"].to_numpy(float), log[column].to_numpy(float))
        parts.append(pd.DataFrame({"arm": arm, "seed": seed, "step": x, column: y}))
    return pd.concat(parts)


def _collapse_floor(run: Run, column: str) -> float:
    """Value below which a run is stopped as collapsed: the strictest of the arms' floors; 0 for gauges without one."""
    floors = [Collapse().model_dump().get(column, 0.0)]
    for arm in (run.recipe.get("arms") or {}).values():
        rule = ((arm or {}).get("training") or {}).get("collapse") or {}
        floors += [rule[column]] if column in rule else []
    return max(floors[1:] or floors)


def _ends(measured: Mapping[tuple[str, int], pd.DataFrame], column: str) -> str:
    ends = {}
    for (arm, _), log in measured.items():
        ends.setdefault(arm, []).append(_last(log, column))
    return "; ".join(f"{arm} ends at {sum(values) / len(values):.3g}" for arm, values in ends.items())


def _last(log: pd.DataFrame, column: str) -> float:
    values = log[column].to_numpy(float) if column in log else np.empty(0)
    known = values[np.isfinite(values)]
    return float(known[-1]) if len(known) else math.nan


def _trained(run: Run, arm: str) -> dict[str, str]:
    logs = [log for (name, _), log in run.logs.items() if name == arm]
    last = {
        name: _mean([_last(log, name) for log in logs])
        for name in ("loss", "feature_std", "effective_rank", "rankme", "knn")
    }
    seconds = [s.get("seconds") or 0.0 for s in run.stages if (s.get("stage"), s.get("arm")) == ("pretrain", arm)]
    return {
        "arm": arm,
        "shade": f"s{run.arms.index(arm) % len(SERIES)}",
        "trainings": str(len(logs)),
        "steps": words.count(max(int(_or_zero(_last(log, "step"))) for log in logs)),
        "loss": words.significant(last["loss"]),
        "feature_std": words.number(last["feature_std"], 2),
        "effective_rank": words.number(last["effective_rank"], 1),
        "rankme": words.number(last["rankme"], 1),
        "knn": words.percent(last["knn"]),
        "seconds": words.duration(sum(seconds) if seconds else None),
    }


def _or_zero(value: float) -> float:
    return value if math.isfinite(value) else 0.0


def _mean(values: list[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else math.nan


def curves(
    title: str,
    lines: Sequence[Curve],
    *,
    zone: tuple[float, str] | None = None,
    share: bool = False,
) -> Figure:
    """One gauge over the training steps, a line per arm and seed.

    Args:
        zone: values below this are shaded and named.
        share: the values are shares, to be written in percent.
    """
    figure, axes = blank()
    for line in lines:
        x, y = thin(line.x, line.y)
        mark = "o" if len(x) < 15 else None
        axes.plot(x, y, color=colour(line.colour), linewidth=1.2, alpha=0.85, marker=mark, markersize=2.5)
    if zone:
        _shade_below(axes, *zone)
    if share:
        percent_axis(axes.yaxis)
    axes.set_title(title)
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    return figure


def _shade_below(axes: Axes, level: float, name: str) -> None:
    """Shade what is below a level; the name stands on its upper edge, because the zone itself may be thin."""
    low, high = axes.get_ylim()
    low = min(0.0, low)
    axes.set_ylim(low, max(high, 4 * level))
    axes.axhspan(low, level, color=ZONE, linewidth=0, zorder=0)
    axes.annotate(
        name,
        (0.99, level),
        xycoords=axes.get_yaxis_transform(),
        xytext=(0, 2),
        textcoords="offset points",
        ha="right",
        va="bottom",
        fontsize=8,
        color=MUTED,
    )


def thin(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The finite points of a curve, averaged over equal runs of steps where there are more than MAX_POINTS."""
    finite = np.isfinite(x) & np.isfinite(y)
    x, y = x[finite], y[finite]
    if len(x) <= MAX_POINTS:
        return x, y
    starts = np.linspace(0, len(x), MAX_POINTS, endpoint=False).astype(int)
    sizes = np.diff([*starts, len(x)])
    return np.add.reduceat(x, starts) / sizes, np.add.reduceat(y, starts) / sizes


SECTION = Section("Pre-training", 60, content, beside(__file__))
