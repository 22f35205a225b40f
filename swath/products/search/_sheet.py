"""A sheet of pictures: what was looked for in the first row, the nearest places below, each with its rank and score."""

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from swath import sensors
from swath.corpus import Corpus, Reader
from swath.errors import CorpusError
from swath.products.contact_sheet import show, stretched
from swath.products.draw.pictures import shown_bands
from swath.products.search._index import Index
from swath.products.search._search import Results
from swath.sensors import LOCATION

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 6
PICTURE_IN = 1.5
UID_CHARACTERS = 20
"""Characters to which an id is cut, so that it stays within its picture."""


def draw_sheet(index: Index, results: Results, to: Path, corpus: Corpus | Path | str | None = None) -> Path:
    """Draw the chips of what was looked for and of the nearest places, all with one stretch, as PNG.

    Args:
        index: that was searched.
        results: of the search.
        to: PNG file.
        corpus: that the index was made of; where the index says if not given.

    Raises:
        CorpusError: it is not there, another one, or has no picture of these places.
    """
    from matplotlib import rc_context

    opened = corpus_of(index, corpus)
    wanted = results.query.wanted[:COLUMNS]
    rows = np.concatenate([wanted, results.rows])
    pictures = _pictures(opened, index, rows)
    captions = ["looked for"] * len(wanted) + [
        f"{rank}   {score:.3f}" for rank, score in zip(results.table["rank"], results.table["score"], strict=True)
    ]
    to.parent.mkdir(parents=True, exist_ok=True)
    try:
        with rc_context({"text.parse_math": False}):  # a dollar in a name is a dollar
            _draw(pictures, captions, index.table.iloc[rows], len(wanted)).savefig(to, dpi=150, format="png")
    except OSError as error:
        raise CorpusError(f"cannot write the picture: {error.strerror}", where=str(to)) from error
    return to


def corpus_of(index: Index, corpus: Corpus | Path | str | None = None) -> Corpus:
    """The corpus that an index was made of.

    Args:
        index: of its chips.
        corpus: where it is; where the index says if not given.

    Raises:
        CorpusError: it is not there, or another one.
    """
    given = index.header.corpus_path if corpus is None else corpus
    if not isinstance(given, Corpus) and not (Path(given) / "corpus.json").exists():
        raise CorpusError(
            "there is no corpus to take pictures from", where=str(given), remedy="say where it is: --corpus"
        )
    opened = given if isinstance(given, Corpus) else Corpus.open(given)
    if opened.content_hash != index.header.corpus:
        raise CorpusError(
            "the corpus is not the one that the index was made of", where=str(opened.path), remedy="give that one"
        )
    return opened


def _pictures(corpus: Corpus, index: Index, rows: Int[ndarray, " n"]) -> Float[ndarray, "n y x 3"]:
    sensor = str(index.table["sensor"].iloc[0]).partition("+")[0]
    if sensor == LOCATION:
        raise CorpusError("an index of coordinates alone has no pictures", where=str(index.path))
    bands = shown_bands(sensor, corpus.info.sensors[sensor].bands)
    chips = np.array([[chip_of(corpus, sensor, row)] for row in index.table.iloc[rows].to_dict("records")])
    image = Reader(corpus, {sensor: bands}).read({sensor: chips})[sensor]
    pixels: Float[ndarray, "n t y x c"] = image.pixels.movedim(2, -1).numpy()
    valid: Bool[ndarray, "n t y x"] = image.valid.numpy()
    return stretched(pixels, valid, sensors.get(sensor).display_range)[:, 0]


def chip_of(corpus: Corpus, sensor: str, row: Mapping[Hashable, Any]) -> int:
    """The chip of the corpus that a row of an index was made from; of a series, the clearest.

    Raises:
        CorpusError: there is none, as in an index of polygons.
    """
    if "chip" in row:
        return int(row["chip"])
    chips = corpus.chips
    own = np.flatnonzero(((chips["uid"] == row["uid"]) & (chips["sensor"] == sensor)).to_numpy())
    if not len(own):
        raise CorpusError(
            f"the corpus has no chip of {row['uid']}",
            where=str(corpus.path),
            remedy="an index of polygons has no pictures; write --to places.geojson",
        )
    return int(own[chips["valid"].to_numpy()[own].argmax()])


def _draw(pictures: Float[ndarray, "n y x 3"], captions: list[str], rows: pd.DataFrame, wanted: int) -> "Figure":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lines = -(-wanted // COLUMNS) + -(-(len(pictures) - wanted) // COLUMNS)
    height = lines * (PICTURE_IN + 0.45) + 0.1
    figure = Figure(figsize=(COLUMNS * PICTURE_IN, height), facecolor="white")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(
        lines, COLUMNS, left=0.02, right=0.98, bottom=0.01, top=1 - 0.4 / height, wspace=0.08, hspace=0.35
    )
    for i, picture in enumerate(pictures):
        place = i if i < wanted else i - wanted + COLUMNS * -(-wanted // COLUMNS)
        axes = figure.add_subplot(grid[divmod(place, COLUMNS)])
        row = rows.iloc[i]
        uid = str(row["uid"])
        uid = uid if len(uid) <= UID_CHARACTERS else f"{uid[: UID_CHARACTERS - 1]}…"
        when = "" if pd.isna(row["date"]) else f"   {row['date']:%Y-%m-%d}"
        show(axes, picture, f"{captions[i]}{when}\n{uid}")
        if i < wanted:
            axes.spines[:].set(color="#d55e00", linewidth=2)
    return figure
