"""Predicted maps of a run: a GeoTIFF a location for QGIS, and one picture of image, label and prediction."""

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import rasterio
from affine import Affine
from jaxtyping import Int, Integer
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch
from numpy import ndarray
from pydantic import ValidationError

from swath._files import file_name, replacing
from swath._progress import console
from swath.corpus import Corpus
from swath.corpus.labels import VOID, LabelMaps, Pixels, class_colours, targets
from swath.errors import SwathError, nearest
from swath.products.draw.pictures import Pictures
from swath.products.legends import Legend
from swath.products.tables import Run, load

SHOWN = 12
"""Largest number of locations in the picture."""
KINDS = ("uint8", "int16", "uint16", "int32", "int64")
"""Types of GeoTIFFs; the first that holds all codes is used."""
COLOURED = ("uint8", "uint16")
"""Types whose GeoTIFFs may have a table of colours."""
EXACT = 2**53
"""Whole numbers up to this are exact in a GeoTIFF's nodata tag."""


@dataclass(frozen=True, slots=True, eq=False)
class _Map:
    """Label and prediction of one location, as positions in the task's classes."""

    uid: str
    label: Int[ndarray, "h w"]
    said: Int[ndarray, "h w"]


@dataclass(frozen=True, slots=True)
class _Legend:
    """How a task's classes are stored."""

    classes: Legend
    """In the codes of the label layer."""
    nodata: int
    """The layer's code for void, or a number that is no code of it."""

    @property
    def kind(self) -> str:
        """NumPy type that holds the codes and nodata."""
        low, high = min(*self.classes.codes, self.nodata), max(*self.classes.codes, self.nodata)
        return next(kind for kind in KINDS if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max)

    def coded(self, positions: Int[ndarray, "h w"]) -> Integer[ndarray, "h w"]:
        """The layer's codes of a map of positions; nodata where there is no label."""
        # the last one stands where VOID, which is -1, points
        return np.array([*self.classes.codes, self.nodata], self.kind)[positions]


def maps(run: Path, out: Path, *, task: str, input: str, row: str, probe: str = "fine-tune") -> list[Path]:  # noqa: A002 — the tables' word
    """Write the maps that a run has kept of one row: test locations, those that are most and least right.

    Of several seeds or rounds of folds they are the first one's.

    Args:
        run: folder of the run.
        out: folder for `maps.png` and a GeoTIFF `UID.tif` a location with coordinates: band 1 the prediction, band 2
            the label, in the label layer's own codes and colours, and beside it their names (`UID.tif.aux.xml`,
            `UID.qml`). The layer's void is nodata, where there is no label.
        task: name of a segmentation task.
        input: name of one of its inputs.
        row: name of an arm, floor or reference.
        probe: as the tables call it.

    Returns:
        The files, the picture first. How many of the corpus's locations they are is said on the console.

    Raises:
        SwathError: there is no such run, it has no maps of that name, or its corpus has other labels now.
    """
    opened = load(run)
    kept = _kept(opened, task, input, probe, row)
    if opened.corpus_path is None:
        raise SwathError("the run's corpus is gone", where=str(run), remedy="restore it: maps need its coordinates")
    corpus = Corpus.open(opened.corpus_path)
    legend = _legend(opened, task, corpus, kept)
    out.mkdir(parents=True, exist_ok=True)
    written = [_picture(kept[:SHOWN], legend, corpus, out / "maps.png", f"{row}, {input}")]
    locations = corpus.locations.set_index("uid")
    placed = [(one, locations.loc[one.uid]) for one in kept if isinstance(locations.loc[one.uid]["crs"], str)]
    for one, location in placed:
        written += _geotiff(one, location, legend, out / f"{file_name(one.uid)}.tif")
    tested = len(set(opened.predictions(task, input, probe, row)["uid"]))
    for line in _said(len(kept), tested, len(corpus), len(kept) - len(placed)):
        console().print(line, soft_wrap=True)
    return written


def _said(kept: int, tested: int, located: int, unplaced: int) -> Iterator[str]:
    """A sentence on which locations are written."""
    which = "all" if kept >= tested else "those that are most and least right"
    yield f"{kept} of the {max(kept, tested)} test locations ({which}) of a corpus of {located}"
    if unplaced:
        yield f"{unplaced} of them have no georeference, and are in the picture alone"


def _legend(run: Run, task: str, corpus: Corpus, kept: Sequence[_Map]) -> _Legend:
    target = _target(run, task)
    labels, layer = targets(corpus, target), corpus.label_layers[target.layer]
    if labels.maps is None or labels.classes != run.classes.get(task) or not _same_labels(kept, labels.maps):
        raise SwathError(
            f"the labels of task {task} in the corpus are not those that the run was evaluated with",
            where=f"{corpus.path}, label layer {target.layer}",
            remedy="restore the run's corpus, or run `swath evaluate` again",
        )
    codes, shades = labels.maps.codes, class_colours(layer)
    unused = (code for code in chain((255, 0), count(-1, -1)) if code not in layer.codes)
    nodata = next(unused) if layer.void is None else layer.void
    return _Legend(Legend(codes, tuple(labels.classes), tuple(shades[code] for code in codes)), nodata)


def _target(run: Run, task: str) -> Pixels:
    try:
        return Pixels.model_validate(run.target(task))
    except ValidationError:
        raise SwathError(
            f"the run does not say which label layer task {task} has",
            where=str(run.path),
            remedy="restore manifest.json or recipe.yaml, or run the same recipe again",
        ) from None


def _same_labels(kept: Sequence[_Map], maps: LabelMaps) -> bool:
    """Whether the labels of these locations are still what they were."""
    row_of = {uid: row for row, uid in enumerate(maps.corpus.locations["uid"])}
    rows = [row_of.get(one.uid, -1) for one in kept]
    return min(rows) >= 0 and np.array_equal(maps.read(np.array(rows)), np.stack([one.label for one in kept]))


def _kept(run: Run, task: str, input: str, probe: str, row: str) -> list[_Map]:  # noqa: A002
    stored = run.maps(task, input, probe, row)
    if stored.empty:
        known = run.table[["task", "input", "probe", "row"]].drop_duplicates().itertuples(index=False)
        wanted = " / ".join((task, input, probe, row))
        raise SwathError(
            f"the run has no maps of {wanted}",
            where=str(run.path),
            remedy=nearest(wanted, [" / ".join(map(str, one)) for one in known]),
        )
    records = stored.sort_values("uid").to_dict("records")
    return [_Map(str(r["uid"]), _grid(r, "y_true"), _grid(r, "y_pred")) for r in records]


def _grid(record: dict, name: str) -> Int[ndarray, "h w"]:
    return np.asarray(record[name], np.int64).reshape(int(record["height"]), -1)


def _geotiff(one: _Map, location: pd.Series, legend: _Legend, path: Path) -> list[Path]:
    profile = {"driver": "GTiff", "dtype": legend.kind, "count": 2, "compress": "deflate"}
    if abs(legend.nodata) <= EXACT:
        profile["nodata"] = legend.nodata
    height, width = one.said.shape
    said = zip(legend.classes.codes, legend.classes.names, strict=True)
    with replacing(path) as temporary:
        grid = {"height": height, "width": width, "crs": location["crs"], "transform": Affine(*location["transform"])}
        with rasterio.open(temporary, "w", **profile, **grid) as file:
            file.write(legend.coded(one.said), 1)
            file.write(legend.coded(one.label), 2)
            file.descriptions = ("prediction", "label")
            file.update_tags(classes=", ".join(f"{code} {name}" for code, name in said), void=str(legend.nodata))
            if legend.kind in COLOURED:
                file.write_colormap(1, legend.classes.colour_table)
    return [path, *legend.classes.write_beside(path, bands=2)]


def _picture(kept: Sequence[_Map], legend: _Legend, corpus: Corpus, path: Path, title: str) -> Path:
    """One column per location: the clearest picture, the label, the prediction."""
    with plt.rc_context({"text.parse_math": False}):  # a dollar in a name is a dollar
        return _drawn(kept, legend, corpus, path, title)


def _drawn(kept: Sequence[_Map], legend: _Legend, corpus: Corpus, path: Path, title: str) -> Path:
    shades, last = ListedColormap(legend.classes.colours), len(legend.classes.codes) - 0.5
    images = Pictures(corpus).of([one.uid for one in kept])
    figure, axes = plt.subplots(3, len(kept), figsize=(1.4 * len(kept) + 1, 5), squeeze=False)
    for column, one in enumerate(kept):
        if one.uid in images:
            png = base64.b64decode(images[one.uid][0].uri.partition(",")[2])
            axes[0, column].imshow(plt.imread(io.BytesIO(png)), cmap="gray")
        for line, positions in ((1, one.label), (2, one.said)):
            shown = np.ma.masked_where(positions == VOID, positions)
            axes[line, column].imshow(shown, cmap=shades, vmin=-0.5, vmax=last, interpolation="nearest")
    for line, name in enumerate(("image", "label", "prediction")):
        axes[line, 0].set_ylabel(name)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    figure.suptitle(title)
    handles = [
        Patch(color=shade, label=name) for shade, name in zip(legend.classes.colours, legend.classes.names, strict=True)
    ]
    figure.legend(handles=handles, loc="lower center", ncols=5)
    figure.tight_layout(rect=(0, 0.1, 1, 1))
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path
