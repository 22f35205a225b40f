"""Figures of what changed images cost each row: by band, over the first dates, by month, and by shift."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from swath._files import file_name
from swath.products.draw.style import DATA, MUTED, blank, colour, metric_axis, percent_axis, shorten, styled
from swath.products.words import is_share, lower_is_better, metric
from swath.tasks.schema import CONDITIONS, SPLIT_VALUES

MOST = 6
"""Largest number of rows in a figure; the table has all."""
SPLITS = {"random": 0, "blocks": 1, "regions": 2}
"""Positions in the palette."""
BANDS, DATES, MONTHS = ("band", "bands", "sensor"), ("first-dates",), ("month",)


@dataclass(frozen=True, eq=False)
class Chart:
    """One figure of a task, input and probe, and the lines of the table that it shows."""

    name: str
    title: str
    lines: pd.DataFrame


def charts_of(table: pd.DataFrame) -> Iterator[Chart]:
    """What there is to draw in a table of conditions."""
    for _, own in table.groupby(["task", "input", "probe"], sort=False):
        task, name, probe = (str(own[column].iloc[0]) for column in ("task", "input", "probe"))
        about = f"{task} · {name} · {probe}"
        some = own.loc[own["row"].isin(_leading(own))]
        parts = (("bands", BANDS), ("first-dates", DATES), ("months", MONTHS))
        of_part = [(part, some.loc[some["kind"].isin(kinds)]) for part, kinds in parts]
        others = some.loc[~some["kind"].isin((*BANDS, *DATES, *MONTHS))]
        for part, lines in (*of_part, ("shifts", others)):
            if len(lines):
                yield Chart(file_name(f"{part} {task} {name} {probe}"), about, lines)


def charts_of_splits(table: pd.DataFrame) -> Iterator[Chart]:
    """What there is to draw in a table of splits: values, and how much better the random split looks."""
    for _, own in table.groupby(["task", "input", "probe"], sort=False):
        task, name, probe = (str(own[column].iloc[0]) for column in ("task", "input", "probe"))
        about = f"{task} · {name} · {probe}"
        yield Chart(file_name(f"splits {task} {name} {probe}"), about, own)
        if len(gained := own.loc[own["optimism"].notna()]):
            yield Chart(file_name(f"optimism {task} {name} {probe}"), about, gained)


def _leading(own: pd.DataFrame) -> list[str]:
    """The rows that are shown: pre-trained ones first, then the best."""
    rows = own.drop_duplicates(["row", "role", "of_arm"])
    others = [role != "pretrained" for role in rows["role"]]
    least_first = lower_is_better(str(own["metric"].iloc[0]))
    ranked = rows.assign(other=others).sort_values(["other", "as_it_is"], ascending=[True, least_first])
    return ranked["row"].tolist()[:MOST]


def drawn(chart: Chart) -> Figure:
    """The figure; use inside `styled`."""
    if "split" in chart.lines:
        return _by_split(chart, "optimism" if chart.name.startswith("optimism") else "value")
    kind = chart.lines["kind"].iloc[0]
    if kind in DATES:
        return _over_dates(chart)
    relative = kind not in (*BANDS, *MONTHS)
    return _drops(chart, "relative" if relative else "drop")


def _drops(chart: Chart, column: str) -> Figure:
    """A drop, or its share, of each row under each condition, with intervals."""
    lines, name = chart.lines, str(chart.lines["metric"].iloc[0])
    points = _points(lines, column, [called(line) for line in lines.to_dict("records")], lines["row"].tolist())
    figure, axes = _dots(chart.title, points, {row: colour(i) for i, row in enumerate(points["series"].unique())})
    axes.axvline(0, color=MUTED, linewidth=0.8)
    if column == "relative":
        percent_axis(axes.xaxis)
    else:
        times = 100 if is_share(name) else 1
        axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{times * v:g}"))
    unit = "relative drop in" if column == "relative" else "drop in"
    axes.set_xlabel(f"{unit} {metric(name)}{', points' if column == 'drop' and is_share(name) else ''}")
    return figure


def _by_split(chart: Chart, column: str) -> Figure:
    """A value of each row under each split, or what a random one adds, with intervals."""
    lines, name = chart.lines, str(chart.lines["metric"].iloc[0])
    points = _points(lines, column, lines["row"].tolist(), lines["split"].tolist())
    figure, axes = _dots(chart.title, points, {split: colour(DATA + at) for split, at in SPLITS.items()})
    if column == "optimism":
        axes.axvline(0, color=MUTED, linewidth=0.8)
    metric_axis(axes.xaxis, name)
    axes.set_xlabel(metric(name) if column == "value" else f"{metric(name)} that a random split adds")
    return figure


def _points(lines: pd.DataFrame, column: str, label: Sequence[str], series: Sequence[str]) -> pd.DataFrame:
    """Where the dots of a column of a table lie, with the ends of their intervals."""
    low, high = ("low", "high") if column == "value" else (f"{column}_low", f"{column}_high")
    return pd.DataFrame(
        {"label": label, "series": series, "x": lines[column], "low": lines[low], "high": lines[high]},
        index=lines.index,
    )


def _dots(title: str, points: pd.DataFrame, colours: Mapping[str, str]) -> tuple[Figure, Axes]:
    """Dots with intervals: a line for each label, and in it one dot for each series."""
    labels, series = list(points["label"].unique()), list(points["series"].unique())
    # the legend hangs from the axes, and leaves the figure if these are low
    figure, axes = blank(height=1.0 + max(1.2, 0.13 * (len(series) + 1) * len(labels)) + 0.16 * len(series))
    for i, name in enumerate(series):
        own = points.loc[points["series"] == name]
        y = own["label"].map(labels.index).to_numpy() + 0.7 * ((i + 0.5) / len(series) - 0.5)
        axes.hlines(y, own["low"], own["high"], color=colours[name], linewidth=1)
        axes.scatter(own["x"], y, s=10, color=colours[name], zorder=3, label=shorten(name, 34))
    axes.set_yticks(range(len(labels)), [shorten(label, 26) for label in labels], fontsize=7)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_title(shorten(title, 44))
    axes.legend(fontsize=6.5, loc="upper center", bbox_to_anchor=(0.4, -0.6 / figure.get_figheight()))
    return figure, axes


def called(line: Mapping[Any, Any]) -> str:
    """What a condition of `conditions.csv` is called beside an axis, or in a table."""
    kind, name, level = line["kind"], str(line["name"]), line["level"]
    if kind in (*BANDS, *MONTHS):
        return name.partition("/")[2] or name if kind == "band" else name
    return f"{kind.replace('-', ' ')} {name or f'{level:g}'}"


def _over_dates(chart: Chart) -> Figure:
    """A metric against the number of first dates that are seen; its last point is the whole series."""
    lines, name = chart.lines, str(chart.lines["metric"].iloc[0])
    figure, axes = blank(height=2.6)
    for i, row in enumerate(dict.fromkeys(lines["row"])):
        own = lines.loc[lines["row"] == row].sort_values("level")
        axes.fill_between(own["level"], own["low"], own["high"], color=colour(i), alpha=0.12, linewidth=0)
        axes.plot(own["level"], own["value"], color=colour(i), marker="o", markersize=3, label=shorten(row, 34))
        axes.axhline(own["as_it_is"].iloc[0], color=colour(i), linestyle=":", linewidth=0.8)
    ticks = lines.drop_duplicates("level").sort_values("level")
    labels = [f"{level:g}\n{str(about)[5:]}" for level, about in zip(ticks["level"], ticks["about"], strict=True)]
    axes.set_xticks(ticks["level"], labels, fontsize=6.5)
    metric_axis(axes.yaxis, name)
    axes.set_xlabel("first dates (and the middle day of the last one); dotted: all dates")
    axes.set_ylabel(metric(name))
    axes.set_title(shorten(chart.title, 44))
    axes.legend(fontsize=6.5, loc="upper center", bbox_to_anchor=(0.4, -0.3))
    return figure


def charts_in(folder: Path) -> list[Chart]:
    """What there is to draw in a folder; nothing of tables that are not there."""
    charts = []
    for table, make in ((CONDITIONS, charts_of), (SPLIT_VALUES, charts_of_splits)):
        if (folder / table.file).is_file():
            charts += make(table.read(folder))
    return charts


def write(folder: Path) -> list[Path]:
    """Draw the tables of a folder, each figure as `NAME.svg` with its data as `NAME.csv` beside it.

    Returns:
        The files.
    """
    return [path for chart in charts_in(folder) for path in _write(chart, folder)]


def _write(chart: Chart, folder: Path) -> Sequence[Path]:
    picture, data = folder / f"{chart.name}.svg", folder / f"{chart.name}.csv"
    with styled(), mpl.rc_context({"svg.hashsalt": chart.name}):
        FigureCanvasSVG(drawn(chart)).print_svg(picture, metadata={"Date": None})
    chart.lines.to_csv(data, index=False)
    return picture, data
