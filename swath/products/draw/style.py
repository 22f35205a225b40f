"""swath's look: colours, figures as small SVG that take their colours from the page, and as PNG for documents.

Every figure is drawn for a phone's width (about 340 CSS pixels); the page puts several beside each other where there is
room. Matplotlib draws with fixed colours that are then replaced by CSS variables, so light and dark need one drawing.
"""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from PIL import Image as Picture

from swath.products.words import is_share

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
DATA = 4
"""Position in the palette from which sensors and splits take their colours, so that nobody takes them for arms."""


def colour(i: int) -> str:
    """The palette's colour at a position, repeating the palette."""
    return SERIES[i % len(SERIES)]


@contextmanager
def styled() -> Iterator[None]:
    """Use swath's style inside the block, whatever the user's own Matplotlib settings are."""
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
    return markup(_inline(target.getvalue(), name, alt))


def markup(text: str) -> Markup:
    """An SVG element that templates must not escape: its makers have escaped all text of users."""
    return Markup(text)  # noqa: S704 — see above


def _inline(text: str, name: str, alt: str) -> str:
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    view = re.search(r'viewBox="([^"]*)"', text)
    named = f'data-name="{escape(name)}" aria-label="{escape(alt)}"'
    head = f'<svg class="plot" role="img" {named} viewBox="{view.group(1) if view else ""}">'
    text = re.sub(r"<svg[^>]*>", lambda _: head, text, count=1)
    # groups' names (axes_1, patch_2 …) repeat from figure to figure; nothing refers to them
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    text = text.replace("xlink:href", "href")
    text = re.sub(r'id="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text)
    text = re.sub(r'\bstyle="[^"]*"', lambda match: _themed(match.group()), text)
    return re.sub(r'\b(?:d|points|transform|x|y)="[^"]*"', lambda match: _short_numbers(match.group()), text).strip()


def _themed(style: str) -> str:
    """A style attribute with the page's font and colours."""
    style = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", style)
    for value, variable in _VARIABLES.items():
        style = style.replace(value, f"var({variable})")
    return style


def _short_numbers(attribute: str) -> str:
    """Round numbers in an SVG attribute to hundredths of a point, enough for a screen."""
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


def percent_axis(axis: Axis) -> None:
    """Write an axis of shares (0..1) in percent."""
    axis.set_major_formatter(FuncFormatter(lambda v, _: f"{100 * v:g} %"))


def metric_axis(axis: Axis, name: str) -> None:
    """Write an axis of a metric as its record says: shares in percent."""
    if is_share(name):
        percent_axis(axis)


def shorten(name: str, length: int = 22) -> str:
    """The name, cut to so many characters with an ellipsis."""
    name = str(name)
    return name if len(name) <= length else f"{name[: length - 1]}…"
