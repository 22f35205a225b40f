"""Predicted maps of a run: a GeoTIFF a location for QGIS, and one picture of image, label and prediction."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import rasterio
from affine import Affine
from jaxtyping import Int
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch
from numpy import ndarray

from swath._files import file_name, whole
from swath.corpus import Corpus
from swath.corpus.targets import VOID
from swath.errors import SwathError, nearest
from swath.products._pictures import Pictures
from swath.products._rundir import Run, load

SHOWN = 12
"""Locations in the picture, at most."""
NODATA = 255
"""Of the GeoTIFFs, where there is no label."""


@dataclass(frozen=True, slots=True, eq=False)
class _Map:
    """Labels and prediction of one location: positions in the task's classes."""

    uid: str
    label: Int[ndarray, "h w"]
    said: Int[ndarray, "h w"]


def maps(run: Path, out: Path, *, task: str, input: str, row: str, probe: str = "fine-tune") -> list[Path]:  # noqa: A002 — the tables' word
    """Write the maps that a run has kept of one row: those that are most and least right, of its first seed or round.

    Args:
        run: folder of the run.
        out: folder for `maps.png` and a GeoTIFF `UID.tif` a location with coordinates: band 1 the prediction, band 2
            the label, as positions in the task's classes; 255 where there is no label. Of a uid that is no file name
            special characters are percent-encoded (docs/corpus-format.md).
        task: name of a segmentation task.
        input: name of one of its inputs.
        row: name of an arm, floor or reference.
        probe: as the tables call it.

    Returns:
        The files, the picture first.

    Raises:
        SwathError: there is no such run, or it has no maps of that name.
    """
    opened = load(run)
    kept = _kept(opened, task, input, probe, row)
    if opened.corpus_path is None:
        raise SwathError("the run's corpus is gone", where=str(run), remedy="restore it: maps need its coordinates")
    corpus = Corpus.open(opened.corpus_path)
    classes = opened.classes[task]
    out.mkdir(parents=True, exist_ok=True)
    written = [_picture(kept[:SHOWN], classes, corpus, out / "maps.png", f"{row}, {input}")]
    places = corpus.locations.set_index("uid")
    for one in kept:
        place = places.loc[one.uid]
        if isinstance(place["crs"], str):
            written.append(_geotiff(one, place, classes, out / f"{file_name(one.uid)}.tif"))
    return written


def _kept(run: Run, task: str, input: str, probe: str, row: str) -> list[_Map]:  # noqa: A002
    found = run.maps(task, input, probe, row)
    if found.empty:
        known = run.table[["task", "input", "probe", "row"]].drop_duplicates().itertuples(index=False)
        wanted = " / ".join((task, input, probe, row))
        raise SwathError(
            f"the run has no maps of {wanted}",
            where=str(run.path),
            remedy=nearest(wanted, [" / ".join(map(str, one)) for one in known]),
        )
    records = found.sort_values("uid").to_dict("records")
    return [_Map(str(r["uid"]), _grid(r, "y_true"), _grid(r, "y_pred")) for r in records]


def _grid(record: dict, name: str) -> Int[ndarray, "h w"]:
    return np.asarray(record[name], np.int64).reshape(int(record["height"]), -1)


def _geotiff(one: _Map, place: pd.Series, classes: Sequence[str], path: Path) -> Path:
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 2, "nodata": NODATA, "compress": "deflate"}
    height, width = one.said.shape
    with whole(path) as temporary:
        grid = {"height": height, "width": width, "crs": place["crs"], "transform": Affine(*place["transform"])}
        with rasterio.open(temporary, "w", **profile, **grid) as file:
            file.write(one.said.astype(np.uint8), 1)
            file.write(np.where(one.label == VOID, NODATA, one.label).astype(np.uint8), 2)
            file.descriptions = ("prediction", "label")
            file.update_tags(classes=", ".join(f"{i} {name}" for i, name in enumerate(classes)))
    return path


def _picture(kept: Sequence[_Map], classes: Sequence[str], corpus: Corpus, path: Path, title: str) -> Path:
    """One column a location: the clearest picture, the label, the prediction."""
    with plt.rc_context({"text.parse_math": False}):  # a dollar in a name is a dollar
        return _drawn(kept, classes, corpus, path, title)


def _drawn(kept: Sequence[_Map], classes: Sequence[str], corpus: Corpus, path: Path, title: str) -> Path:
    shades = ListedColormap([plt.get_cmap("tab20")(i) for i in range(len(classes))])
    images = Pictures(corpus).of([one.uid for one in kept])
    figure, axes = plt.subplots(3, len(kept), figsize=(1.4 * len(kept) + 1, 5), squeeze=False)
    for column, one in enumerate(kept):
        if one.uid in images:
            png = base64.b64decode(images[one.uid][0].uri.partition(",")[2])
            axes[0, column].imshow(plt.imread(io.BytesIO(png)), cmap="gray")
        for line, codes in ((1, one.label), (2, one.said)):
            shown = np.ma.masked_where(codes == VOID, codes)
            axes[line, column].imshow(shown, cmap=shades, vmin=-0.5, vmax=len(classes) - 0.5, interpolation="nearest")
    for line, name in enumerate(("image", "label", "prediction")):
        axes[line, 0].set_ylabel(name)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    figure.suptitle(title)
    handles = [Patch(color=shades(i), label=name) for i, name in enumerate(classes)]
    figure.legend(handles=handles, loc="lower center", ncols=5)
    figure.tight_layout(rect=(0, 0.1, 1, 1))
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path
