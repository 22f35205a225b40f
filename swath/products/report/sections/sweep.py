"""A sweep: what each level of each axis does, pairs of axes as heat maps, costs of arms, and the best one once more."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from swath.errors import SwathError
from swath.products import words
from swath.products.draw.style import GRID, INK, MUTED, OPTICAL, RADAR, blank, shorten, styled, svg
from swath.products.report.sections import Material, Section, beside
from swath.products.tables import Run, load
from swath.sweep import EFFECTS, PANEL, ranked
from swath.tasks.schema import TABLE

DEAREST = 60
"""Largest number of arms in the table of costs; arms.csv has all."""


def content(material: Material) -> dict[str, Any] | None:
    """Charts and tables of a sweep; None of any other run, or while its effects are not known."""
    folder = material.run.path / "sweep"
    if not (folder / EFFECTS.file).is_file():
        return None
    try:
        effects, arms = EFFECTS.read(folder), _arms(folder / "arms.csv")
        confirmed = _confirmed(material.run, arms)
    except (SwathError, OSError, ValueError, KeyError) as error:
        material.problems.append(f"The sweep cannot be shown: {error}")
        return None
    panels = [_panel(i, *part) for i, part in enumerate(effects.groupby(list(PANEL), sort=False))]
    return {"panels": panels, "arms": _ranked(arms), "left_out": max(0, arms["arm"].nunique() - DEAREST)} | {
        "unequal": _unequal(arms),
        "untold": _untold(arms, effects),
        "confirmed": confirmed,
    }


def _panel(i: int, key: Any, effects: pd.DataFrame) -> dict[str, Any]:
    task, name, probe, metric = key
    alone, pairs = effects.loc[effects["other_axis"] == ""], effects.loc[effects["other_axis"] != ""]
    return {
        "title": f"{task} · {name} · {probe} probe · {words.metric(metric)}",
        "main": _chart(f"sweep{i}", alone),
        "lines": [_line(line) for line in alone.to_dict("records")],
        "pairs": [
            {
                "title": f"{first} and {second}",
                "figure": _heat_map(f"sweep{i}-{n}", part),
                "lines": [_line(line) for line in part.to_dict("records")],
            }
            for n, ((first, second), part) in enumerate(pairs.groupby(["axis", "other_axis"], sort=False))
        ],
        "note": str(effects["note"].iloc[0]),
        "share": words.is_share(metric),
    }


def _line(line: dict[Any, Any]) -> dict[str, str]:
    other = f" with {line['other_axis']}: {line['other_level']}" if line["other_axis"] else ""
    return {
        "level": f"{line['axis']}: {line['level']}{other}",
        "mean": words.score(line["metric"], line["mean"]),
        "effect": words.gain(line["metric"], line["effect"]),
        "interval": words.gain_interval(line["metric"], line["low"], line["high"]),
        "p": words.p_cell(line["p"]),
        "arms": str(line["arms"]),
    }


def _chart(name: str, effects: pd.DataFrame) -> Markup:
    lines = effects.to_dict("records")
    said = ", ".join(f"{line['axis']} {line['level']} {words.gain(line['metric'], line['effect'])}" for line in lines)
    with styled():
        return svg(effects_chart(lines), name, f"Effect of each level in points: {said}")


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


def _heat_map(name: str, pairs: pd.DataFrame) -> Markup:
    means = pairs.pivot(index="level", columns="other_level", values="mean")
    means = means.loc[pairs["level"].unique(), pairs["other_level"].unique()]
    first, second = pairs["axis"].iloc[0], pairs["other_axis"].iloc[0]
    metric, highest = str(pairs["metric"].iloc[0]), pairs.loc[pairs["mean"].idxmax()]
    with styled():
        alt = (
            f"{words.metric(metric)} by {first} and {second}; highest: {highest['level']} with {highest['other_level']}"
        )
        figure = heat_map(means, first, second, share=words.is_share(metric))
        return svg(figure, name, f"{alt}, {words.score(metric, highest['mean'])}")


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


def _ranked(arms: pd.DataFrame) -> list[dict[str, str]]:
    """The arms of the first panel, best first, with what one training took."""
    return [
        {
            "arm": str(line["arm"]),
            "value": words.score(line["metric"], line["value"]),
            "interval": words.score_interval(line["metric"], line["low"], line["high"]),
            "seconds": words.duration(line["seconds"]) if np.isfinite(line["seconds"]) else words.DASH,
            "samples": f"{line['samples']:,.0f}" if np.isfinite(line["samples"]) else words.DASH,
        }
        for line in ranked(arms).head(DEAREST).to_dict("records")
    ]


def _arms(path: Path) -> pd.DataFrame:
    """The arms; one that is called NA has a name."""
    numbers = ("value", "low", "high", "seconds", "samples")
    return pd.read_csv(path, dtype={"arm": str}, keep_default_na=False, na_values={name: [""] for name in numbers})


def _untold(arms: pd.DataFrame, effects: pd.DataFrame) -> list[str]:
    """A sentence on panels in which arms have values, but not all of them of the same trainings."""
    keys = list(PANEL[:3])
    told = set(effects[keys].itertuples(index=False, name=None))
    judged = arms.loc[arms["value"].notna(), keys].drop_duplicates().itertuples(index=False, name=None)
    return [" · ".join(panel) for panel in judged if panel not in told]


def _unequal(arms: pd.DataFrame) -> str:
    """A warning where trainings saw different numbers of locations; empty where they did not."""
    seen = arms["samples"].dropna().to_numpy(float)
    if not len(seen) or seen.max() <= 1.01 * seen.min():
        return ""
    return f"{seen.min():,.0f} to {seen.max():,.0f}"


def _confirmed(run: Run, arms: pd.DataFrame) -> dict[str, Any] | None:
    """The best arm in the sweep and with fresh seeds; None where it has not been trained again yet."""
    folder = run.path / "confirm"
    first = ranked(arms)
    if first.empty or not (folder / "evaluate" / TABLE.file).is_file():
        return None
    again = load(folder)
    line = first.iloc[0]
    table = again.table.loc[again.table["role"] == "pretrained"]
    same = table.loc[(table[list(PANEL)] == line[list(PANEL)]).all(axis=1) & (table["row"] == line["arm"])]
    if same.empty:
        return None
    fold = [(one.recipe.get("split") or {}).get("fold") for one in (run, again)]
    fresh = same.iloc[0]
    return {
        "arm": str(line["arm"]),
        "in_sweep": words.score(line["metric"], line["value"]),
        "fresh": words.score(line["metric"], fresh["value"]),
        "interval": words.score_interval(line["metric"], fresh["low"], fresh["high"]),
        "other_places": fold[0] != fold[1],
        "trainings": len(fresh["per_seed"]),
    }


SECTION = Section("What each choice does", 12, content, beside(__file__), link="Sweep")
