"""What a run trained says of each location of a corpus, as a vector file: a map of points, plots or chips."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from jaxtyping import Float, Int
from numpy import ndarray

from swath._progress import console, track
from swath.corpus import Corpus
from swath.errors import RecipeError
from swath.pipeline._corpus import input_of
from swath.pipeline._evaluate import evaluation_of
from swath.pipeline._folder import opened
from swath.pipeline._map import Result, legend, say_of
from swath.products.embeddings import outlined
from swath.products.legends import write_shapes_style
from swath.products.search import check_places, write_places
from swath.tasks import Judged, Prediction
from swath.tasks.data import BandReader, device_of
from swath.tasks.statistics import probabilities

BATCH = 512
"""Locations that are looked at at a time."""
PARTS = ("train", "val", "test")
AREA = 2
"""Dimensions of a polygon."""


def map_locations(
    run: Path | str, corpus: Corpus | Path | str, to: Path | str, *, result: Result | None = None
) -> Path:
    """Write what a run trained for one of its results says of each location of a corpus: a row each.

    It is trained by the same steps once more, as by `map_run`. A row has `uid`, the location's footprint, or a point
    where no more is known, and

    - `class`, `probability` of that class, `entropy` as a share of the largest, and `colour`, with a style for QGIS
      beside the file (`NAME.qml`); or
    - `classes`, joined by semicolons, and the probability of each in a column of its name, where a location may have
      several; or
    - `value`, in the unit of the task's numbers;
    - `part`: `train`, `val` or `test` where the run used the location's label, in the run's own corpus. Of what was
      learnt from, a map looks better than it is.

    Args:
        run: folder of the run.
        corpus: whose locations are mapped; or a YAML file that says where it comes from (see `input_of`).
        to: GeoPackage (.gpkg), GeoJSON or GeoParquet to write.
        result: which result of the run; see `map_run`.

    Raises:
        SwathError: the file's ending is another one.
        RecipeError: nothing or several things are meant, or pixels were judged.
        TrainingError: it cannot be trained again, or not as it was judged.
        CorpusError: the corpus lacks a sensor or band, or no location can be mapped.
        ContractError: its units or pixel size are not the encoder's.
    """
    check_places(Path(to))
    folder, said = Path(run), result or Result()
    recipe, own = opened(folder)
    judged = evaluation_of(recipe, folder, own, {}).trained(
        task=said.task, row=said.row, input=said.input, probe=said.probe, seed=said.seed
    )
    say_of(judged)
    if judged.task.per_pixel:
        raise RecipeError(
            "pixels were judged, and a location has no class of its own",
            where=f"task {judged.task.name}",
            remedy="give a GeoTIFF: --to map.tif",
        )
    given = corpus if isinstance(corpus, Corpus) else Corpus.open(input_of(Path(corpus), Path(to)))
    reader = BandReader(given, judged.panel.input.bands, judged.task.reader.select)
    rows = reader.complete(np.arange(len(given)))
    if left := len(given) - len(rows):
        console().print(f"{left:,} of {len(given):,} locations are left out: they lack a chip of every sensor")
    if not len(rows):
        raise RecipeError("no location has what the input reads", where=str(given.path), remedy="swath corpus info")
    values = _values(judged, reader, rows)
    columns = {"uid": given.locations["uid"].to_numpy(object)[rows], **_columns(judged, own, values)}
    if given.content_hash == own.content_hash:
        columns["part"] = _parts(judged, rows)
    places = outlined(given.locations.iloc[rows], columns)
    written = write_places(places, Path(to))
    if "colour" in columns:
        _, names, colours = legend(judged.task, own)
        areas = bool((shapely.get_dimensions(places.geometry.to_numpy()) == AREA).any())
        write_shapes_style(written, "class", dict(zip(names, colours, strict=True)), areas=areas)
    return written


def _values(judged: Judged, reader: BandReader, rows: Int[ndarray, " n"]) -> Float[ndarray, "n k"]:
    """Probabilities or numbers of all locations."""
    said, device = [], device_of(judged.trained.network)
    parts = np.array_split(rows, -(-len(rows) // BATCH))
    for part in track(parts, len(parts), "mapping, locations"):
        images = reader.read(part, device)
        if not said:
            judged.trained.check(images)
        said.append(judged.trained.predict(images).cpu().numpy())
    return np.concatenate(said)


def _columns(judged: Judged, corpus: Corpus, values: Float[ndarray, "n k"]) -> dict[str, Any]:
    task = judged.task
    if task.regression:
        return {"value": values[:, 0]}
    names = np.array(task.classes, object)
    if task.parts["test"].multi_label:
        there = [";".join(names[one == 1]) for one in Prediction.of(values, multi_label=True).y_pred]
        return {"classes": there} | dict(zip(task.classes, values.T, strict=True))
    best, (_, _, colours) = values.argmax(axis=1), legend(task, corpus)
    return {
        "class": names[best],
        "probability": values.max(axis=1),
        "entropy": probabilities.uncertainty(values),
        "colour": np.array(colours, object)[best],
    }


def _parts(judged: Judged, rows: Int[ndarray, " n"]) -> Sequence[str | None]:
    """The part of the task's split that each location's label was used in; None where it was not used."""
    used = {row: name for name in PARTS for row in judged.task.parts[name].locations.tolist()}
    return [used.get(row) for row in rows.tolist()]
