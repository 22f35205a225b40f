"""A contact sheet: some locations with every sensor, several dates, and their labels, as one PNG."""

import textwrap
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Integer, UInt8
from numpy import ndarray

from swath import sensors
from swath.corpus.labels import class_colours
from swath.corpus.reading import PADDING, Reader, Sampler, Selection
from swath.corpus.store import Corpus, LabelLayer
from swath.errors import CorpusError
from swath.products.draw.pictures import shown_bands

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PICTURE_IN = 1.35
"""Side of one picture, in inches."""
MARGIN_IN = 1.2
"""Width of the margin for the rows' names, in inches."""
TITLE_CHARACTERS = 20
"""Number of characters after which a column's heading is wrapped."""
UID_CHARACTERS = 18
"""Number of characters after which a row's name is wrapped."""
LEGEND_PT = 7
"""Type size of class names, in points."""
LEGEND_CHARACTERS = 60
"""Number of characters to which a class name in the legend is cut."""
GAMMA = 0.8
"""Exponent that lightens the middle tones, as most of the ground is dark."""
INVALID = (0.87, 0.80, 0.86)
"""Colour of invalid pixels: one that no landscape has."""


class _Column(NamedTuple):
    """One column of the sheet: the n-th date of a sensor, or a label layer."""

    title: str
    pictures: Float[ndarray, "n y x 3"]
    captions: list[str]


def preview(corpus: Corpus, to: Path, locations: int = 8, dates: int = 3, seed: int = 0) -> Path:
    """Draw random locations, one a row; pictures of a sensor share one stretch, so that dates can be compared.

    Args:
        corpus: whole or being built.
        to: PNG file.
        locations: how many, at most.
        dates: how many of each sensor, at most.
        seed: decides which locations are drawn.

    Returns:
        The path that was written.

    Raises:
        CorpusError: the corpus is empty, a class has a colour that is none, or the file cannot be written.
    """
    from matplotlib import rc_context

    if not len(corpus):
        raise CorpusError("there is nothing to show: the corpus is empty", where=str(corpus.path))
    chosen = np.sort(np.random.default_rng(seed).permutation(len(corpus))[:locations])
    columns = [column for sensor in corpus.info.sensors for column in _sensor_columns(corpus, sensor, chosen, dates)]
    columns += [_label_column(corpus, layer, chosen) for layer in corpus.label_layers]
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        with rc_context({"text.parse_math": False}):  # a dollar in a name is a dollar
            _draw(corpus, chosen, columns).savefig(to, dpi=150, format="png")
    except OSError as error:
        raise CorpusError(f"cannot write the picture: {error.strerror}", where=str(to)) from error
    return to


def _sensor_columns(corpus: Corpus, sensor: str, locations: Integer[ndarray, " n"], dates: int) -> list[_Column]:
    """Dates of a sensor, evenly chosen from each location's series."""
    bands = shown_bands(sensor, corpus.info.sensors[sensor].bands)
    series = Sampler(corpus, (sensor,), Selection(dates="all")).choose(locations)[sensor]
    positions = np.stack([_spread(row[row != PADDING], min(dates, series.shape[1])) for row in series])
    if (positions == PADDING).all():
        return []
    image = Reader(corpus, {sensor: bands}).read({sensor: positions})[sensor]
    pictures = stretched(image.pixels.movedim(2, -1).numpy(), image.valid.numpy(), sensors.get(sensor).display_range)
    name = "\n".join(textwrap.wrap(sensors.get(sensor).title, TITLE_CHARACTERS))
    title = f"{name}\n{', '.join(bands)}"
    return [
        _Column(
            title if date == 0 else "",
            pictures[:, date],
            [_caption(corpus, chip) for chip in positions[:, date].tolist()],
        )
        for date in range(positions.shape[1])
    ]


def _spread(series: Integer[ndarray, " t"], dates: int) -> Integer[ndarray, " d"]:
    """A number of dates evenly chosen from a series, first and last included; padded where there are fewer."""
    picked = series[np.unique(np.linspace(0, len(series) - 1, min(dates, len(series))).round().astype(int))]
    return np.pad(picked, (0, dates - len(picked)), constant_values=PADDING)


def stretched(
    pixels: Float[ndarray, "n t y x c"], valid: Bool[ndarray, "n t y x"], shown: tuple[float, float]
) -> Float[ndarray, "n t y x 3"]:
    """Pixels scaled to 0..1, channel by channel, from the 2nd to the 98th percentile of the valid pixels.

    Clouds lie above what a sensor's pictures show, so they do not darken the ground.
    """
    result = np.empty_like(pixels)
    for channel in range(pixels.shape[-1]):
        values = pixels[..., channel]
        inside = values[valid & (values >= shown[0]) & (values <= shown[1])]
        low, high = np.percentile(inside, (2, 98)) if inside.size else shown
        low, high = (low, high) if high > low else shown
        result[..., channel] = np.clip((values - low) / (high - low), 0, 1) ** GAMMA
    coloured = np.broadcast_to(result, (*result.shape[:-1], 3)).copy()
    coloured[~valid] = INVALID
    return coloured


def _caption(corpus: Corpus, chip: int) -> str:
    if chip == PADDING:
        return "–"
    row = corpus.chips.iloc[chip]
    when = "" if pd.isna(row["datetime"]) else f"{row['datetime']:%Y-%m-%d}"
    tag = row["tag"] if isinstance(row["tag"], str) else ""
    return " ".join(filter(None, (when, tag)))


def _label_column(corpus: Corpus, name: str, locations: Integer[ndarray, " n"]) -> _Column:
    codes = corpus.labels(name, locations)
    pictures = np.full((*codes.shape, 3), INVALID)
    for code, colour in _colours(corpus.label_layers[name]).items():
        pictures[codes == code] = colour
    return _Column(name, pictures, [""] * len(locations))


def _colours(layer: LabelLayer) -> dict[int, tuple[float, float, float]]:
    """Red, green and blue (0..1) of every class."""
    from matplotlib.colors import to_rgb

    return {code: to_rgb(colour) for code, colour in class_colours(layer).items()}


def _draw(corpus: Corpus, locations: Integer[ndarray, " n"], columns: list[_Column]) -> "Figure":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    pictures_in = max(1, len(columns)) * PICTURE_IN
    legends = _legend_rows(corpus, pictures_in)
    head, foot = 0.75, 0.15 + 0.24 * len(legends)
    width = MARGIN_IN + max([pictures_in, *(sum(_entry_in(name) for name, _ in row) for row in legends)])
    height = head + foot + len(locations) * (PICTURE_IN + 0.12)
    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(
        len(locations),
        max(1, len(columns)),
        left=MARGIN_IN / width,
        right=(MARGIN_IN + pictures_in - 0.1) / width,
        bottom=foot / height,
        top=1 - head / height,
        wspace=0.06,
        hspace=0.16,
    )
    for j, column in enumerate(columns):
        for i, picture in enumerate(column.pictures):
            axes = figure.add_subplot(grid[i, j])
            show(axes, picture, column.captions[i])
            if i == 0:
                axes.set_title(column.title, fontsize=7.5, loc="left", pad=12, fontweight="bold")
            if j == 0:
                axes.set_ylabel(_row_name(corpus, int(locations[i])), fontsize=6.5, rotation=0, ha="right", va="center")
    for i, entries in enumerate(legends):
        _legend(figure, entries, y=(foot - 0.12 - 0.24 * i) / height)
    return figure


def show(axes: "Axes", picture: Float[ndarray, "y x 3"], caption: str) -> None:
    """Draw one picture, values 0..1, with a caption above; the caption `–` stands for a chip that is not there."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set(color="0.8", linewidth=0.5)
    if caption == "–":
        axes.set_facecolor("0.96")
        axes.text(0.5, 0.5, "no chip", transform=axes.transAxes, ha="center", va="center", fontsize=7, color="0.5")
        axes.set_aspect("equal")
        axes.set_box_aspect(1)
        return
    axes.imshow(_eight_bit(picture), interpolation="nearest")
    axes.text(0, 1.02, caption, transform=axes.transAxes, fontsize=6.5, color="0.35", va="bottom")


def _eight_bit(picture: Float[ndarray, "y x 3"]) -> UInt8[ndarray, "y x 3"]:
    return (picture * 255).round().astype(np.uint8)


def _row_name(corpus: Corpus, location: int) -> str:
    """The id of a location, wrapped to fit beside the row, and its position."""
    row = corpus.locations.iloc[location]
    uid = str(row["uid"])
    lines = [uid[i : i + UID_CHARACTERS] for i in range(0, min(len(uid), 60), UID_CHARACTERS)]
    if np.isfinite(row["lon"]):
        lines += [f"{row['lat']:.3f}°", f"{row['lon']:.3f}°"]
    return "\n".join(lines)


def _legend_rows(corpus: Corpus, width_in: float) -> list[list[tuple[str, tuple[float, float, float]]]]:
    """Class names with colours, as many in a line as fit; a single one may need more."""
    rows = []
    for layer in corpus.label_layers.values():
        entries = [(_short(layer.classes[code]), colour) for code, colour in _colours(layer).items()]
        entries += [] if layer.void is None else [("void", INVALID)]
        room = 0.0
        for entry in entries:
            room -= _entry_in(entry[0])
            if room < 0:
                rows.append([])
                room = width_in - _entry_in(entry[0])
            rows[-1].append(entry)
    return rows


def _short(name: str) -> str:
    return name if len(name) <= LEGEND_CHARACTERS else f"{name[: LEGEND_CHARACTERS - 1]}…"


@cache
def _entry_in(name: str) -> float:
    """Width of a legend's entry in inches: its name, patch and the gaps around them."""
    from matplotlib.textpath import TextPath

    return (TextPath((0, 0), name, size=LEGEND_PT).get_extents().width + 3.2 * LEGEND_PT) / 72


def _legend(figure: "Figure", entries: list[tuple[str, tuple[float, float, float]]], y: float) -> None:
    from matplotlib.patches import Patch

    patches = [Patch(color=colour, label=name) for name, colour in entries]
    legend = figure.legend(
        handles=patches,
        loc="center left",
        bbox_to_anchor=(MARGIN_IN / figure.get_figwidth(), y),
        bbox_transform=figure.transFigure,
        ncols=len(entries),
        fontsize=LEGEND_PT,
        frameon=False,
        handlelength=1,
        columnspacing=1.2,
        borderpad=0,
        borderaxespad=0,
    )
    figure.add_artist(legend)
