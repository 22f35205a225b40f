"""Labelled chips that a pre-training is watched by: the k-NN gauge."""

import numpy as np
import torch

from swath.config import Recipe
from swath.corpus import Corpus, Reader, Selection
from swath.corpus.labels import targets
from swath.corpus.splits import rows_of
from swath.encoders import InputContract
from swath.pipeline._inputs import Rows
from swath.training import LabelledSet

GAUGE_CHIPS = 500
"""Labelled chips of the k-NN gauge at most: enough to see a trend, and little beside a training step."""
GAUGE_SERIES, GAUGE_DATES = 200, 12
"""Labelled series of the gauge at most, and dates of each: a series costs as much as its dates."""


def gauge_set(recipe: Recipe, corpus: Corpus, parts: Rows, contract: InputContract) -> LabelledSet | None:
    """Labelled chips of the validation part for the k-NN gauge: looked at while training, never learnt from."""
    task = recipe.tasks.get(recipe.knn_task) if recipe.knn_task is not None else None
    if task is None:
        return None
    sensor = contract.bands[0].partition("/")[0]
    bands = [key.partition("/")[2] for key in contract.bands if key.startswith(f"{sensor}/")][: contract.channels]
    if len(bands) < contract.channels and not contract.any_number:
        return None
    labelled = targets(corpus, task.target)
    if not labelled.classes:  # neighbours vote on classes
        return None
    series = not isinstance(task.dates, int)
    val = rows_of(corpus, parts["val"], task.only)
    chosen = np.flatnonzero(np.isin(labelled.locations, val))[: GAUGE_SERIES if series else GAUGE_CHIPS]
    reader = Reader(corpus, {sensor: bands})
    select = Selection(dates="all" if series else 1, most=GAUGE_DATES if series else None, tag=task.tag)
    there = np.isin(labelled.locations[chosen], reader.complete(labelled.locations[chosen], select))
    chosen = chosen[there]
    if len(chosen) < 2:
        return None
    rows = labelled.locations[chosen]
    groups = np.unique(corpus.locations["group"].to_numpy()[rows], return_inverse=True)[1]
    return LabelledSet(
        image=reader.batch(rows, select).images[sensor],
        classes=torch.from_numpy(labelled.y[chosen]),
        groups=torch.from_numpy(groups),
    )
