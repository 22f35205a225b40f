"""A figure of a page together with the data that it was drawn from."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from swath.products.draw.style import svg


@dataclass(frozen=True, slots=True)
class Drawn:
    """What the templates' macro `figure` shows."""

    plot: Markup
    """The drawing as SVG."""
    name: str
    """Unique in the page; the drawing and its data are saved by it."""
    csv: str
    """The data that it shows, as `as_csv` makes it."""
    caption: str = ""
    legend: Sequence[tuple[int, str]] = ()
    """Positions in the palette, and what they stand for."""


def drawn(
    figure: Figure,
    name: str,
    alt: str,
    data: pd.DataFrame,
    caption: str = "",
    legend: Sequence[tuple[int, str]] = (),
) -> Drawn:
    """A figure with its data; use inside `styled`.

    Args:
        figure: the drawing.
        name: unique in the page.
        alt: what a reader who cannot see it is told.
        data: what is drawn, a line for each point, bar or cell.
        caption: below it.
        legend: positions in the palette, and what they stand for.
    """
    return Drawn(svg(figure, name, alt), name, as_csv(data), caption, legend)


def as_csv(table: pd.DataFrame) -> str:
    """A table as a CSV file in the page itself, which a link can save."""
    text = table.to_csv(index=False, float_format="%.6g")
    return f"data:text/csv;base64,{base64.b64encode(text.encode()).decode()}"
