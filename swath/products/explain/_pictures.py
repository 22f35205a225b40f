"""The picture of one location: the image, each method's map, what it says of bands and dates, and its curves."""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy import ndarray

from swath._files import replacing
from swath.products.draw.pictures import ChipPicture
from swath.products.explain._files import date_of, shown
from swath.products.explain._types import Answer, Explanation

CELLS = 13
"""Number of dates up to which each is named."""


def draw(one: Explanation, pictures: Sequence[ChipPicture], unit: str, path: Path) -> Path:
    """Write the picture: a column for the image and one for each method."""
    with plt.rc_context({"text.parse_math": False}):  # a dollar in a name is a dollar
        figure = _figure(one, pictures, unit)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")
    return path


def side_by_side(
    found: Mapping[str, Sequence[Explanation]], method: str, pictures: Mapping[str, Sequence[ChipPicture]], path: Path
) -> Path:
    """Write one method's maps of several rows: a line for each location, a column for the image and one for each row.

    Args:
        found: explanations of the same locations, in the same order, by row.
        method: whose maps.
        pictures: of the locations, by uid.
        path: of the PNG.
    """
    lines = list(zip(*found.values(), strict=True))
    with plt.rc_context({"text.parse_math": False}):
        figure = Figure(figsize=(2.7 * (1 + len(found)), 2.6 * len(lines)), dpi=100, layout="constrained")
        axes = figure.subplots(len(lines), 1 + len(found), squeeze=False)
        figure.suptitle(method)
        for line, explained in zip(axes, lines, strict=True):
            _image(line[0], pictures.get(explained[0].uid, []))
            line[0].set_title(explained[0].uid, fontsize=8)
            for axis, row, one in zip(line[1:], found, explained, strict=True):
                _cell(figure, axis, row, one, method)
        with replacing(path) as temporary:
            figure.savefig(temporary, format="png")
    return path


def _cell(figure: Figure, axis: Axes, row: str, one: Explanation, method: str) -> None:
    answer = next((answer for answer in one.answers if answer.method == method), None)
    if answer is None:
        axis.axis("off")
    else:
        _map(figure, axis, one, answer)
    axis.set_title(f"{row}: {one.said} ({one.probability:.2f})", fontsize=8)


def _figure(one: Explanation, pictures: Sequence[ChipPicture], unit: str) -> Figure:
    columns = 1 + len(one.answers)
    figure = Figure(figsize=(2.7 * columns, 7.2), dpi=100, layout="constrained")
    axes = figure.subplots(3, columns, squeeze=False)
    figure.suptitle(f"{one.uid}: {one.said}, {_number(one, unit)}")
    _image(axes[0, 0], pictures)
    for blank in axes[1:, 0]:
        blank.axis("off")
    for k, answer in enumerate(one.answers, 1):
        _map(figure, axes[0, k], one, answer)
        _parts(figure, axes[1, k], one, answer)
        _curves(axes[2, k], answer)
    return figure


def _number(one: Explanation, unit: str) -> str:
    said = f"{unit} {one.score:.2f}" if unit in {"logit", "number"} else f"{one.score:.3g} {unit}"
    return f"{said}, probability {one.probability:.2f}" if unit == "logit" else said


def _image(axis: Axes, pictures: Sequence[ChipPicture]) -> None:
    axis.set(xticks=[], yticks=[], title="image")
    if pictures:
        picture = plt.imread(io.BytesIO(base64.b64decode(pictures[0].uri.partition(",")[2])))
        axis.imshow(picture, cmap="gray", interpolation="nearest")
        axis.set_xlabel(pictures[0].alt.partition(" of ")[0], fontsize=7)


def _map(figure: Figure, axis: Axes, one: Explanation, answer: Answer) -> None:
    axis.set(xticks=[], yticks=[], title=answer.method)
    _shades(figure, axis, shown(one, answer))


def _shades(figure: Figure, axis: Axes, values: Float[ndarray, "h w"], aspect: str = "equal") -> None:
    """Red for, blue against; of what has no sign, one shade."""
    largest = float(np.nanmax(np.abs(values))) or 1.0
    signed = bool((values < 0).any())
    scale = {"cmap": "RdBu_r", "vmin": -largest} if signed else {"cmap": "viridis", "vmin": 0}
    image = axis.imshow(values, vmax=largest, interpolation="nearest", aspect=aspect, **scale)  # pyright: ignore[reportArgumentType]
    figure.colorbar(image, ax=axis, shrink=0.7).ax.tick_params(labelsize=6)


def _parts(figure: Figure, axis: Axes, one: Explanation, answer: Answer) -> None:
    """What is due to bands and dates: a cell each, or a bar for whatever is not told apart further."""
    parts = answer.attribution.parts
    if not parts:
        axis.axis("off")
        return
    if len({part.date for part in parts if len(part.bands) == 1}) > 1:
        _cells(figure, axis, one, answer)
        return
    names = [part.name or (part.bands[0] if part.date is None or len(part.bands) == 1 else "") for part in parts]
    names = [name or date_of(one, part.sensor, part.date or 0) for name, part in zip(names, parts, strict=True)]
    axis.barh(range(len(parts)), [float(part.value[0]) for part in parts], color="#0072b2")
    axis.axvline(0, color="black", linewidth=0.6)
    axis.set_yticks(range(len(parts)), names, fontsize=6)
    axis.tick_params(axis="x", labelsize=6)
    axis.invert_yaxis()


def _cells(figure: Figure, axis: Axes, one: Explanation, answer: Answer) -> None:
    parts = [part for part in answer.attribution.parts if part.date is not None and len(part.bands) == 1]
    bands = list(dict.fromkeys((part.sensor, part.bands[0]) for part in parts))
    dates = sorted({(date_of(one, part.sensor, part.date or 0)) for part in parts} - {""})
    values = np.full((len(bands), len(dates)), np.nan)
    for part in parts:
        when = date_of(one, part.sensor, part.date or 0)
        if when:
            values[bands.index((part.sensor, part.bands[0])), dates.index(when)] = float(part.value[0])
    _shades(figure, axis, values, aspect="auto")
    axis.set_yticks(range(len(bands)), [band for _, band in bands], fontsize=6)
    step = -(-len(dates) // CELLS)
    axis.set_xticks(range(0, len(dates), step), [when[:7] for when in dates[::step]], rotation=90, fontsize=6)


def _curves(axis: Axes, answer: Answer) -> None:
    """Deletion, solid, and insertion, dashed."""
    if not answer.removals:
        axis.axis("off")
        return
    for removal, colour in zip(answer.removals, ("#0072b2", "#d55e00", "#009e73"), strict=False):
        axis.plot(removal.share, removal.deleted, color=colour, label=f"{removal.units} removed")
        axis.plot(removal.share, removal.inserted, color=colour, linestyle="--", label="put back")
    axis.legend(fontsize=6, frameon=False)
    axis.tick_params(labelsize=6)
    axis.set_xlabel("share", fontsize=7)
