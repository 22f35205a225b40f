"""Whether the rows' probabilities can be believed: calibration, what could be left to a human, conformal sets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from swath.products import words
from swath.products.draw.figures import Drawn, as_csv, drawn
from swath.products.draw.style import DATA, MUTED, blank, colour, percent_axis, shorten, styled
from swath.products.report._rows import leading, look, or_noted, scored, scores_of
from swath.products.report.sections import Material, Section, beside
from swath.products.tables import Panel
from swath.tasks.statistics import StatisticsConfig, TaskRules, probabilities, summarise

ALPHA = 0.1
"""Share of the units whose conformal set may miss the true class."""
POINTS = 200
"""Largest number of points of a curve of risk by coverage."""
SETS = ("lac", "aps")
FEWEST = 30
"""Validation units of each training from which its temperature and sets are taken; with fewer the other groups of its
test part say more."""
Trainings = Mapping[tuple[int, int], pd.DataFrame]
"""Units of the validation part with their class scores, by seed and fold."""


@dataclass(frozen=True, eq=False)
class Trust:
    """What a row's probabilities are worth: means over its trainings."""

    row: str
    numbers: Mapping[str, float]
    """By name: as the table of the section has them."""
    bins: pd.DataFrame
    """`confidence`, `right` and `units` of the bins of confidence, all trainings together."""
    curve: pd.DataFrame
    """`risk` by `coverage`."""
    groups: pd.DataFrame
    """`lac` and `aps`: how much of each `group` of `units` the sets cover; empty where nothing could calibrate."""
    calibrated_on: str
    """What temperature and sets come from, in words."""


def content(material: Material) -> dict[str, Any] | None:
    """Figures and a table of the headline's rows; None where there are no class scores of units with one class."""
    return or_noted(material.problems, "Calibration", lambda: _content(material))


def _content(material: Material) -> dict[str, Any] | None:
    panel = material.headline
    if panel is None or material.run.target(panel.task).get("rule") in {"value", "multi-label"}:
        return None
    found = {row: scored(material.run, panel, row) for row in leading(panel)}
    kept = {row: material.run.validation(*panel.key, row) for row, predictions in found.items() if len(predictions)}
    trusts = [trust(row, found[row], validation) for row, validation in kept.items()]
    if not trusts:
        return None
    return {
        "panel": panel.title,
        "rows": [_shown(one) for one in trusts],
        "plots": _plots(trusts, material.run.arms),
        "promised": words.percent(1 - ALPHA, 0),
        "fewest": FEWEST,
        "without": [row for row, predictions in found.items() if predictions.empty],
        "csv": as_csv(
            pd.DataFrame([{"row": one.row, "calibrated_on": one.calibrated_on, **one.numbers} for one in trusts])
        ),
        "summary": summary(trusts[0], panel),
    }


def trust(row: str, predictions: pd.DataFrame, validation: pd.DataFrame | None = None) -> Trust:
    """What the probabilities of a row are worth.

    Args:
        row: its name.
        predictions: its lines of predictions.parquet, with class scores.
        validation: its lines of validation.parquet.
    """
    scores, y = scores_of(predictions), predictions["y_true"].to_numpy()
    confidence, right = scores.max(axis=1), scores.argmax(axis=1) == y
    rounds = predictions["replicate"].to_numpy()
    parts = [rounds == number for number in np.unique(rounds)]
    plain = [probabilities.reliability(confidence[part], right[part]) for part in parts]
    risks = np.mean([probabilities.risk_by_coverage(confidence[part], right[part]) for part in parts], axis=0)
    numbers = {
        "accuracy": float(right.mean()),
        "confidence": float(confidence.mean()),
        "ece": float(np.mean([one.error for one in plain])),
        "ece_by_chance": float(np.mean([one.by_chance for one in plain])),
        "debiased": float(np.sqrt(max(np.mean([one.squared for one in plain]), 0.0))),
        "surprise": probabilities.surprise(scores, y),
        "aurc": float(risks.mean()),
    }
    others = _held_out(predictions, validation, scores.shape[1])
    told, groups = _calibrated(predictions, scores, y, others)
    return Trust(row, numbers | told, _bins(confidence, right), _curve(risks), groups, _whence(others))


def _held_out(predictions: pd.DataFrame, validation: pd.DataFrame | None, classes: int) -> Trainings | None:
    """The validation part of every training; None unless each has enough of it, with finite scores of all classes."""
    if validation is None or validation.empty:
        return None
    parts = dict(list(validation.groupby(["seed", "fold"])))
    found = {key: parts.get(key) for key, _ in predictions.groupby(["seed", "fold"])}
    for part in found.values():
        if part is None or len(part) < FEWEST:
            return None
        scores = scores_of(part)
        if scores.shape[1] != classes or not np.isfinite(scores).all():
            return None
    return found  # pyright: ignore[reportReturnType]


def _whence(others: Trainings | None) -> str:
    if others is None:
        return "other test groups"
    least, most = (words.count(int(limit([len(part) for part in others.values()]))) for limit in (np.min, np.max))
    return f"validation ({least if least == most else f'{least} to {most}'})"


def _calibrated(
    predictions: pd.DataFrame, scores: np.ndarray, y: np.ndarray, others: Trainings | None
) -> tuple[dict[str, float], pd.DataFrame]:
    """What temperature and sets do that come from the validation part of each training, or from other groups of its
    test part; of one group without such a part nothing is known.
    """
    n, own = len(y), np.arange(len(y))
    warmed, sets, temperature = np.empty_like(scores), {name: np.zeros(scores.shape, bool) for name in SETS}, np.ones(n)
    for key, part in predictions.groupby(["seed", "fold"]):
        at = part.index.to_numpy()
        if others is None:
            told = probabilities.calibrated_apart(scores[at], y[at], part["group"].to_numpy(), ALPHA)
        else:
            held_out = others[key]  # pyright: ignore[reportArgumentType]
            told = probabilities.calibrated_on(scores[at], scores_of(held_out), held_out["y_true"].to_numpy(), ALPHA)
        if told is None:
            return dict.fromkeys(("temperature", "ece_after", "surprise_after"), np.nan), pd.DataFrame()
        warmed[at], temperature[at] = told.scores, told.temperature
        sets["lac"][at], sets["aps"][at] = told.by_lac, told.by_aps
    rounds = predictions["replicate"].to_numpy()
    top, right = warmed.max(axis=1), scores.argmax(axis=1) == y
    after = [probabilities.reliability(top[rounds == r], right[rounds == r]).error for r in np.unique(rounds)]
    numbers = {
        "temperature": float(np.median(temperature)),
        "ece_after": float(np.mean(after)),
        "surprise_after": probabilities.surprise(warmed, y),
    }
    covered = {name: sets[name][own, y] for name in SETS}
    for name in SETS:
        value, low, high = _with_interval(predictions, covered[name])
        numbers |= {f"{name}_coverage": value, f"{name}_low": low, f"{name}_high": high}
        numbers[f"{name}_size"] = float(sets[name].sum(axis=1).mean())
    by_group = pd.DataFrame({"group": predictions["group"], "units": 1 / len(np.unique(rounds)), **covered})
    grouped = by_group.groupby("group").agg({"units": "sum", **dict.fromkeys(SETS, "mean")}).reset_index()
    return numbers, grouped.assign(units=grouped["units"].round().astype(int))


def _with_interval(predictions: pd.DataFrame, covered: np.ndarray) -> tuple[float, float, float]:
    """A share and its interval over groups and trainings: whether a set covers is a decision that is right or wrong."""
    about = ["task", "input", "probe", "row", "role", "of_arm", "seed", "fold", "replicate", "group"]
    # nothing but the counts of each group is needed
    counts = predictions.assign(y_pred=covered.astype(np.int64)).groupby([*about, "y_pred"]).size()
    lines = pd.Series(counts, name="count").reset_index()
    lines = lines.assign(uid=lines["group"], y_true=1, score=None)
    rules = {str(task): TaskRules(metrics=("accuracy",)) for task in lines["task"].unique()}
    (line,) = summarise(lines, StatisticsConfig(tasks=rules, flips=99)).table.to_dict("records")
    return line["value"], max(line["low"], 0.0), min(line["high"], 1.0)


def _bins(confidence: np.ndarray, right: np.ndarray) -> pd.DataFrame:
    found = probabilities.reliability(confidence, right)
    return pd.DataFrame({"confidence": found.confidence, "right": found.right, "units": found.count})


def _curve(risks: np.ndarray) -> pd.DataFrame:
    kept = np.unique(np.linspace(0, len(risks) - 1, min(POINTS, len(risks))).round().astype(int))
    return pd.DataFrame({"coverage": (kept + 1) / len(risks), "risk": risks[kept]})


def summary(best: Trust, panel: Panel) -> str:
    """The best encoder's figures in a sentence."""
    share = {name: words.percent(value) for name, value in best.numbers.items()}
    manner = "surer than" if best.numbers["confidence"] > best.numbers["accuracy"] else "less sure than"
    known = np.isfinite(best.numbers["temperature"])
    warm = f"; at a temperature of {best.numbers['temperature']:.2f} it is {share['ece_after']}" if known else ""
    return (
        f"On {panel.task}, {best.row} is right in {share['accuracy']} and sure of {share['confidence']} on average: "
        f"{manner} it is right. Its calibration error (ECE) is {share['ece']}, where chance alone makes "
        f"{share['ece_by_chance']}{warm}."
    )


def _shown(one: Trust) -> dict[str, str]:
    """The numbers of a row as the template shows them; an en dash where there is none."""
    numbers = {name: float("nan") for name in ("lac_coverage", "aps_coverage")} | dict(one.numbers)
    shown = {name: words.percent(value) for name, value in numbers.items() if name not in _PLAIN}
    shown |= {name: words.number(numbers.get(name, np.nan), 2) for name in _PLAIN}
    for name in SETS:
        shown[f"{name}_interval"] = words.interval(*(numbers.get(f"{name}_{end}", np.nan) for end in ("low", "high")))
    return {"row": one.row, "calibrated_on": one.calibrated_on, **shown}


_PLAIN = ("temperature", "surprise", "surprise_after", "lac_size", "aps_size")
"""Numbers that are no shares."""


def _plots(trusts: Sequence[Trust], arms: Sequence[str]) -> list[Drawn]:
    bins = "Share right against confidence, in bins of equal size; the diagonal is perfect calibration."
    curve = "Share of errors among the units of which a row is surest."
    groups = f"How much of each group the sets of {trusts[0].row} hold the true class of."
    shown = [("bins", reliability_diagram(trusts, arms), bins), ("curve", risk_curve(trusts, arms), curve)]
    if len(trusts[0].groups):
        shown.append(("groups", group_coverage(trusts[0]), groups))
    with styled():
        return [drawn(figure, f"calibration-{name}", text, _joined(trusts, name), text) for name, figure, text in shown]


def _joined(trusts: Sequence[Trust], name: str) -> pd.DataFrame:
    tables: dict[str, pd.DataFrame] = {one.row: vars(one)[name] for one in trusts}
    return pd.concat([table.assign(row=row) for row, table in tables.items()], ignore_index=True)


def reliability_diagram(trusts: Sequence[Trust], arms: Sequence[str]) -> Figure:
    """Share right against confidence: a line per row."""
    lines = {one.row: (one.bins["confidence"], one.bins["right"]) for one in trusts}
    with styled():
        figure, axes = blank(height=3.2)
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8)
        _draw(axes, lines, arms, ("confidence", "share right"), marker="o", markersize=2.5)
    return figure


def risk_curve(trusts: Sequence[Trust], arms: Sequence[str]) -> Figure:
    """Share of errors against the share of units that are answered: a line per row."""
    lines = {one.row: (one.curve["coverage"], one.curve["risk"]) for one in trusts}
    with styled():
        figure, axes = blank(height=3.2)
        _draw(axes, lines, arms, ("units answered, the surest first", "share of errors"))
    return figure


def _draw(axes: Axes, lines: Mapping[str, tuple], arms: Sequence[str], labels: tuple[str, str], **marks: Any) -> None:
    for row, (x, y) in lines.items():
        axes.plot(x, y, linewidth=1.2, label=shorten(row, 26), **look(row, list(lines), arms), **marks)
    axes.set_xlabel(labels[0])
    axes.set_ylabel(labels[1])
    percent_axis(axes.xaxis)
    percent_axis(axes.yaxis)
    axes.legend(fontsize=7)


def group_coverage(best: Trust) -> Figure:
    """How much of each group the sets cover, the least covered first."""
    groups = best.groups.sort_values(["lac", "group"], ignore_index=True)
    with styled():
        figure, axes = blank(height=3.2)
        axes.axhline(1 - ALPHA, color=MUTED, linewidth=0.8)
        for i, (name, mark) in enumerate(zip(SETS, ("o", "x"), strict=True)):
            axes.scatter(groups.index, groups[name], s=16, marker=mark, color=colour(DATA + i), label=name.upper())
        axes.set_xlabel("groups, the least covered first")
        axes.set_ylabel("units whose set holds the truth")
        axes.set_xticks([])
        percent_axis(axes.yaxis)
        axes.legend(fontsize=7)
    return figure


SECTION = Section("Can its probabilities be believed", 55, content, beside(__file__), link="Calibration")
