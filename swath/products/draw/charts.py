"""Figures as small SVG that take their colours from the page, and as PNG for documents.

Every figure is drawn for a phone's width (about 340 CSS pixels); the page puts several beside each other where there is
room. Matplotlib draws with fixed colours that are then replaced by CSS variables, so light and dark need one drawing.
"""

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from PIL import Image as Picture

from swath.products.tables.panels import Cell, Score, is_radar
from swath.products.words import metric
from swath.sensors import Band

INK, MUTED, GRID, ZONE = "#1b1f23", "#5b6570", "#dde2e7", "#f3d6cf"
SERIES = ("#0072b2", "#d55e00", "#009e73", "#b8578f", "#b07d00", "#3f9fd4", "#6b6bbd", "#8a6d3b")
"""Okabe and Ito's palette without black and yellow, darkened to 3:1 on white, and two more for many arms."""
OPTICAL, RADAR = "#0e7c86", "#c1571a"
_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--line",
    ZONE: "--zone",
    OPTICAL: "--optical",
    RADAR: "--radar",
    **{colour: f"--c{i}" for i, colour in enumerate(SERIES)},
}
_STYLE: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": GRID,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titlecolor": INK,
    "figure.facecolor": "none",
    "figure.constrained_layout.use": True,
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "lines.solid_capstyle": "round",
    "svg.fonttype": "none",
    "text.color": INK,
    # names come from users: a dollar sign in one is a dollar sign, not mathematics
    "text.parse_math": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
}
WIDTH = 3.6
"""Width of a figure, in inches: 259 pt, which reads well on a phone."""
MAX_POINTS = 240
"""A curve is thinned to this many points; a screen shows no more."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a curve panel."""

    colour: int
    """Position in the palette."""
    x: np.ndarray
    y: np.ndarray


DATA = 4
"""Sensors and splits take the palette's colours from here on, so that nobody takes them for arms."""


def colour(i: int) -> str:
    """The palette's colour at a position, going round."""
    return SERIES[i % len(SERIES)]


@contextmanager
def styled() -> Iterator[None]:
    """swath's style, whatever the user's own Matplotlib settings are."""
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        # text stays text in the SVG, so a script that our measuring font lacks is drawn by the browser's font
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        yield


def blank(height: float = 2.2, width: float = WIDTH) -> tuple[Figure, Axes]:
    """An empty figure in inches; use inside `styled`."""
    figure = Figure(figsize=(width, height))
    return figure, figure.subplots()


def svg(figure: Figure, name: str, alt: str) -> Markup:
    """The figure as an SVG element to inline in a page; the same bytes for the same content.

    Args:
        name: unique in the page: ids in the SVG start with it.
        alt: what a reader who cannot see it is told.
    """
    target = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):
        FigureCanvasSVG(figure).print_svg(target, metadata={"Date": None})
    return _safe(_inline(target.getvalue(), name, alt))


def _safe(text: str) -> Markup:
    """Not to be escaped again: Matplotlib escapes text, and whatever else comes from users is escaped here."""
    return Markup(text)  # noqa: S704 — see above


def _inline(text: str, name: str, alt: str) -> str:
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    view = re.search(r'viewBox="([^"]*)"', text)
    head = f'<svg class="plot" role="img" aria-label="{escape(alt)}" viewBox="{view.group(1) if view else ""}">'
    text = re.sub(r"<svg[^>]*>", lambda _: head, text, count=1)
    # groups' names (axes_1, patch_2 …) repeat from figure to figure; nothing refers to them
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    text = text.replace("xlink:href", "href")
    text = re.sub(r'id="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text)
    text = re.sub(r'\bstyle="[^"]*"', lambda found: _themed(found.group()), text)
    return re.sub(r'\b(?:d|points|transform|x|y)="[^"]*"', lambda found: _short_numbers(found.group()), text).strip()


def _themed(style: str) -> str:
    """A style attribute with the page's font and colours."""
    style = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", style)
    for value, variable in _VARIABLES.items():
        style = style.replace(value, f"var({variable})")
    return style


def _short_numbers(attribute: str) -> str:
    """Hundredths of a point are enough for a screen."""
    return re.sub(r"(\d+\.\d\d)\d+", r"\1", attribute)


def png(figure: Figure, dpi: int = 200) -> bytes:
    """The figure as PNG on white; the same bytes for the same content."""
    target = io.BytesIO()
    figure.set_facecolor("white")
    figure.set_dpi(dpi)
    FigureCanvasAgg(figure).print_png(target, metadata={"Software": None}, pil_kwargs={"optimize": True})
    return target.getvalue()


def picture(pixels: np.ndarray) -> bytes:
    """An RGB or grey picture (uint8, "y x 3" or "y x") as PNG."""
    target = io.BytesIO()
    Picture.fromarray(pixels).save(target, format="PNG", optimize=True)
    return target.getvalue()


def thin(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The finite points of a curve, averaged over equal runs of steps where there are more than MAX_POINTS."""
    finite = np.isfinite(x) & np.isfinite(y)
    x, y = x[finite], y[finite]
    if len(x) <= MAX_POINTS:
        return x, y
    starts = np.linspace(0, len(x), MAX_POINTS, endpoint=False).astype(int)
    sizes = np.diff([*starts, len(x)])
    return np.add.reduceat(x, starts) / sizes, np.add.reduceat(y, starts) / sizes


def _percent_axis(axis: Axis) -> None:
    axis.set_major_formatter(FuncFormatter(lambda v, _: f"{100 * v:g} %"))


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
        _percent_axis(axes.yaxis)
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
    return _quiet_x(figure, axes)


def histogram(title: str, values: Mapping[str, np.ndarray]) -> Figure:
    """How a share (0..1) is distributed over the chips, one outline per sensor."""
    figure, axes = blank()
    edges = np.linspace(0, 1, 21)
    for i, sample in enumerate(values.values()):
        heights, _ = np.histogram(sample, edges)
        axes.stairs(heights / max(1, heights.sum()), edges, fill=True, color=colour(DATA + i), alpha=0.25, linewidth=0)
        axes.stairs(heights / max(1, heights.sum()), edges, color=colour(DATA + i), linewidth=1.2)
    _percent_axis(axes.xaxis)
    _percent_axis(axes.yaxis)
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
    _percent_axis(axes.xaxis)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.set_title("Class balance")
    return figure


def location_map(lon: np.ndarray, lat: np.ndarray, part: np.ndarray) -> Figure:
    """Where the locations are (degrees), a colour per split; `part` is the position of each one's split."""
    figure, axes = blank(height=2.8)
    for i in np.unique(part):
        here = part == i
        size = float(np.clip(2000 / len(lon), 1.5, 16))
        look = {"color": colour(DATA + int(i)), "marker": "os^D"[int(i) % 4], "linewidth": 0, "alpha": 0.85}
        axes.scatter(lon[here], lat[here], s=size, rasterized=len(lon) > 1500, **look)
    middle = np.radians(np.clip(lat.mean(), -80, 80))
    axes.set_aspect(1 / np.cos(middle), adjustable="datalim")
    for axis, ends in ((axes.xaxis, "EW"), (axes.yaxis, "NS")):
        axis.set_major_formatter(FuncFormatter(lambda v, _, ends=ends: _degrees(v, ends)))
        axis.set_major_locator(MaxNLocator(4))
    axes.set_title("Locations")
    return figure


def _degrees(value: float, ends: str) -> str:
    return f"{abs(round(value, 4)):g}°{ends[0] if value >= 0 else ends[1]}"


def bands(title: str, scores: Sequence[tuple[Band, Score, Score | None]], limits: tuple[float, float]) -> Figure:
    """One arm's result on each band alone: bar, 95 % interval, and a tick for its frozen random twin."""
    figure, axes = blank(height=0.7 + 0.24 * len(scores))
    for y, (band, score, twin) in enumerate(scores):
        shade = RADAR if is_radar(band) else OPTICAL
        axes.barh(y, score.value - limits[0], left=limits[0], height=0.66, color=shade, linewidth=0, alpha=0.85)
        if np.isfinite([score.low, score.high]).all():
            axes.plot([score.low, score.high], [y, y], color=INK, linewidth=1.1)
        if twin is not None:
            axes.plot([twin.value] * 2, [y - 0.42, y + 0.42], color=INK, linewidth=1.6)
    axes.set_yticks(range(len(scores)), [band.name for band, _, _ in scores])
    axes.set_ylim(len(scores) - 0.4, -0.6)
    axes.set_xlim(*limits)
    axes.grid(visible=False, axis="y")
    _percent_axis(axes.xaxis)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.set_title(title)
    return figure


def comparison(cell: Cell, arms: Sequence[str]) -> Figure:
    """All rows of a cell, best on top: mean, 95 % interval and the single seeds."""
    rows = cell.ranked
    figure, axes = blank(height=0.7 + 0.3 * len(rows), width=6.4)
    for y, score in enumerate(rows):
        shade = colour(arms.index(score.row)) if score.row in arms else MUTED
        if np.isfinite([score.low, score.high]).all():
            axes.plot([score.low, score.high], [y, y], color=shade, linewidth=2)
        axes.scatter(
            score.per_seed, [y] * len(score.per_seed), s=12, facecolors="none", edgecolors=shade, linewidths=0.8
        )
        axes.scatter([score.value], [y], s=34, color=shade, zorder=3)
    axes.set_yticks(range(len(rows)), [shorten(score.row, 34) for score in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    _percent_axis(axes.xaxis)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.set_xlabel(metric(cell.metric))
    return figure


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a chart of values with intervals."""

    name: str
    colour: str
    x: np.ndarray
    y: np.ndarray
    low: np.ndarray
    high: np.ndarray


def label_curve(title: str, lines: Sequence[Line], label: str, value: str) -> Figure:
    """A metric against the number of training labels, on a logarithmic axis; a line and its intervals per row."""
    figure, axes = blank(height=2.6)
    for i, line in enumerate(lines):
        style = "-" if line.colour != MUTED else ("--", ":", "-.")[i % 3]
        # intervals of several rows at the same x would hide each other
        x = line.x * 1.04 ** (i - (len(lines) - 1) / 2)
        axes.errorbar(
            x,
            line.y,
            np.stack([line.y - line.low, line.high - line.y]),
            color=line.colour,
            linestyle=style,
            linewidth=1.2,
            elinewidth=0.8,
            marker="o",
            markersize=3,
            label=shorten(line.name, 26),
        )
    axes.set_xscale("log")
    ticks = sorted({float(x) for line in lines for x in line.x})
    axes.set_xticks(ticks, [f"{tick:,.0f}" for tick in ticks])
    axes.minorticks_off()
    _percent_axis(axes.yaxis)
    axes.set_title(title)
    axes.set_xlabel(label)
    axes.set_ylabel(value)
    axes.legend(fontsize=7)
    return figure


def cloud_curve(title: str, lines: Sequence[Line], value: str) -> Figure:
    """A metric against the share of painted clouds: a line per row, dashed if it is level; its interval as a band."""
    figure, axes = blank(height=3.6)
    for line in lines:
        style = "--" if np.ptp(line.y) == 0 else "-"
        axes.fill_between(line.x, line.low, line.high, color=line.colour, alpha=0.12, linewidth=0)
        axes.plot(
            line.x, line.y, color=line.colour, linestyle=style, marker="o", markersize=3, label=shorten(line.name, 34)
        )
    axes.set_xticks(lines[0].x, [f"{100 * x:g} %" for x in lines[0].x])
    _percent_axis(axes.yaxis)
    axes.set_title(title)
    axes.set_xlabel("cloud in the optical series")
    axes.set_ylabel(value)
    axes.legend(fontsize=7, ncol=2, loc="upper center", bbox_to_anchor=(0.5, -0.18))
    return figure


def gains(title: str, line: Line, edges: Sequence[tuple[float, float]], value: str) -> Figure:
    """Differences with their intervals, bin by bin of the cloud fraction."""
    figure, axes = blank()
    axes.axhline(0, color=MUTED, linewidth=0.8)
    axes.errorbar(
        line.x,
        line.y,
        np.stack([line.y - line.low, line.high - line.y]),
        color=line.colour,
        linestyle="none",
        marker="o",
        markersize=4,
    )
    axes.set_xticks(line.x, [f"{100 * low:g}–{100 * high:g} %" for low, high in edges])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{100 * v:+g}"))
    axes.set_title(title)
    axes.set_xlabel("cloud in the series")
    axes.set_ylabel(f"{value}, points")
    return figure


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


def shorten(name: str, length: int = 22) -> str:
    """The name, cut with an ellipsis."""
    name = str(name)
    return name if len(name) <= length else f"{name[: length - 1]}…"


def _quiet_x(figure: Figure, axes: Axes) -> Figure:
    axes.grid(visible=False, axis="x")
    return figure


STRIP, PAD = 220, 14
"""Width of a strip and the margin at its ends, in CSS pixels."""
STRIP_SPAN = 0.4
"""A strip shows at most this far below its table's best value: differences at the top are what is asked about."""


@dataclass(frozen=True, slots=True)
class Scale:
    """The common axis of a table's strips."""

    low: float
    high: float
    ticks: tuple[float, ...]

    @staticmethod
    def of(scores: Sequence[Score]) -> "Scale":
        """An axis of shares with round ticks; what is far below the best value lies off it."""
        values = np.array([v for s in scores for v in (s.value, s.low, s.high, *s.per_seed)])
        values = values[np.isfinite(values)]
        low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
        low = max(low, high - STRIP_SPAN)
        ticks = MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high if high > low else low + 0.01)
        return Scale(float(ticks[0]), float(ticks[-1]), tuple(float(t) for t in ticks))

    def x(self, value: float) -> float:
        """Position in a strip's view box, 0..STRIP; what is off the axis stands at its end."""
        share = (value - self.low) / (self.high - self.low)
        return round(PAD + (STRIP - 2 * PAD) * float(np.clip(share, 0, 1)), 2)


def strip(score: Score, scale: Scale, shade: str, mark: float | None, alt: str) -> Markup:
    """One row's dot, interval and seeds as a strip that fits in a table cell; an arrow says that more is off the axis.

    Args:
        shade: CSS class that colours it.
        mark: where the best floor stands, as a dashed line; None for no line.
    """
    parts = [f'<path class="tick" d="M{scale.x(t)} 0V26"/>' for t in scale.ticks]
    if mark is not None and mark >= scale.low:
        parts.append(f'<path class="floorline" d="M{scale.x(mark)} 0V26"/>')
    parts += _marks(score, scale)
    head = f'<svg class="strip {shade}" role="img" aria-label="{escape(alt)}" viewBox="0 0 {STRIP} 26">'
    return _safe(f"{head}{''.join(parts)}</svg>")


def _marks(score: Score, scale: Scale) -> list[str]:
    parts = []
    if np.isfinite([score.low, score.high]).all() and score.high > scale.low:
        parts.append(f'<path class="whisker" d="M{scale.x(score.low)} 13H{scale.x(score.high)}"/>')
    seeds = [value for value in score.per_seed if np.isfinite(value)] if len(score.per_seed) > 1 else []
    parts += [f'<circle class="seed" cx="{scale.x(v)}" cy="13" r="2.8"/>' for v in seeds if v >= scale.low]
    if score.value >= scale.low:
        parts.append(f'<circle class="dot" cx="{scale.x(score.value)}" cy="13" r="4.4"/>')
    # the axis ends above what is lowest, never below what is highest
    if min(v for v in (score.value, score.low, *seeds) if np.isfinite(v)) < scale.low:
        parts.append('<path class="dot" d="M4 13l8 -5v10z"/>')
    return parts


def strip_axis(scale: Scale) -> Markup:
    """The ticks' labels above the strips."""
    labels = [f'<text x="{scale.x(t)}" y="12" text-anchor="middle">{100 * t:.3g}</text>' for t in scale.ticks]
    return _safe(f'<svg class="strip axis" aria-hidden="true" viewBox="0 0 {STRIP} 16">{"".join(labels)}</svg>')
