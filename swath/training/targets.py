"""What a corpus holds of the targets that views shall carry: refused where it holds none, counted where some miss."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float64
from numpy import ndarray

from swath.corpus import Corpus
from swath.corpus.reading import column_values, days, texts
from swath.errors import CorpusError, RecipeError, nearest
from swath.methods import Target, cycle, months
from swath.sensors import band, is_constant
from swath.views import Wanted

SAME = 1e-6
"""A deviation of numbers that are all alike."""
_BLOCK = 1024
"""Label maps that are in memory at a time."""
_REMEDIES = {
    "month": "leave month out of views.known, or say when the images were taken (`date` in the id expression)",
    "latitude": "leave latitude out of views.known, or take a corpus with coordinates",
    "longitude": "leave longitude out of views.known, or take a corpus with coordinates",
}


def found(wanted: Sequence[Wanted], corpus: Corpus, locations: ndarray) -> list[Target]:
    """The targets, with the classes and statistics that a corpus has of them.

    Args:
        wanted: as a policy says it.
        corpus: whole.
        locations: rows that are trained on.

    Raises:
        RecipeError: none of the locations has a target, it is the same of all of them, or it is numbers where classes
            are wanted or texts where numbers are.
        CorpusError: the corpus has no such band, layer or column.
    """
    return [_layer(one, corpus) if one.kind == "layer" else _found(one, corpus, locations) for one in wanted]


def lacking(wanted: Sequence[Wanted], corpus: Corpus, locations: ndarray) -> Iterator[str]:
    """A sentence for each target that some of the locations lack; label maps are read for it.

    Raises:
        RecipeError: none of the locations has a target.
        CorpusError: as `found`.
    """
    for one in wanted:
        there = _labelled(one, corpus, locations) if one.kind == "layer" else _there(one, corpus, locations)
        _require_any(one, there)
        if missing := int((~there).sum()):
            yield f"target {one.name}: {missing} of {len(there)} locations lack it; they are left out of its error"


def _require_any(one: Wanted, there: Bool[ndarray, " n"]) -> None:
    if not there.any():
        raise RecipeError(
            f"none of the {len(there)} locations that are trained on has the target {one.name}",
            where="views",
            remedy=_REMEDIES.get(one.kind, f"leave {one.name} out"),
        )


def _layer(one: Wanted, corpus: Corpus) -> Target:
    if one.name not in corpus.label_layers:
        remedy = nearest(one.name, corpus.label_layers)
        raise CorpusError(f"the corpus has no label layer {one.name!r}", where=str(corpus.path), remedy=remedy)
    codes = tuple(map(float, corpus.label_layers[one.name].labelled))
    if len(codes) < 2:
        raise _same(one)
    return Target(one.name, one.kind, one.of, codes=codes)


def _found(one: Wanted, corpus: Corpus, locations: ndarray) -> Target:
    _require_any(one, _there(one, corpus, locations))
    if one.kind == "map":
        return _map(one, corpus)
    if one.kind == "class":
        return _class(one, corpus, locations)
    if one.kind == "numbers":
        _require_numbers(one, corpus)
    values = _months(one, corpus, locations) if one.kind == "month" else _numbers(one, corpus, locations)
    mean, std = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
    if (std < SAME).all():
        raise _same(one)
    # what does not vary is 0 whatever it is divided by
    return Target(one.name, one.kind, one.of, mean=tuple(mean.tolist()), std=tuple(np.maximum(std, SAME).tolist()))


def _same(one: Wanted) -> RecipeError:
    # the error of one class is always 0, and its uncertainty would fall without an end
    return RecipeError(
        f"the target {one.name} is the same of all locations that have it",
        where="views",
        remedy=f"leave {one.name} out",
    )


def _class(one: Wanted, corpus: Corpus, locations: ndarray) -> Target:
    """A column of classes: all that the corpus has."""
    values = column_values(corpus, one.of[0])
    if corpus.info.units.get(one.of[0]) or (np.isfinite(values) & (values % 1 != 0)).any():
        raise RecipeError(
            f"column {one.of[0]!r} holds numbers, not classes", where="views.classes", remedy="list it in views.numbers"
        )
    known, here = (np.unique(some[np.isfinite(some)]) for some in (values, values[locations]))
    if len(here) < 2:
        raise _same(one)
    return Target(one.name, one.kind, one.of, codes=tuple(known.tolist()))


def _require_numbers(one: Wanted, corpus: Corpus) -> None:
    """RecipeError where a column holds texts, whose positions in the alphabet would be learnt as if they were sizes."""
    if of_texts := [column for column in one.of if texts(corpus, column)]:
        raise RecipeError(
            f"column {of_texts[0]!r} holds texts, not numbers", where="views.numbers", remedy="list it in views.classes"
        )


def _map(one: Wanted, corpus: Corpus) -> Target:
    statistics = [corpus.statistics[band(key).sensor][band(key).name] for key in one.of]
    for key, of_band in zip(one.of, statistics, strict=True):
        if is_constant(key, of_band.std):
            raise RecipeError(f"the band {key} is the same everywhere", where="views", remedy=f"leave {key} out")
    mean, std = tuple(each.mean for each in statistics), tuple(each.std for each in statistics)
    return Target(one.name, one.kind, one.of, mean=mean, std=std)


def _there(one: Wanted, corpus: Corpus, locations: ndarray) -> Bool[ndarray, " n"]:
    """Which locations have a target that is no label layer."""
    if one.kind in ("map", "month"):
        chips = _usable(corpus, band(one.of[0]).sensor, dated=one.kind == "month")
        return np.bincount(chips["location"].to_numpy(), minlength=len(corpus))[locations] > 0
    return np.asarray(np.isfinite(_numbers(one, corpus, locations)).any(axis=1))


def _labelled(one: Wanted, corpus: Corpus, locations: ndarray) -> Bool[ndarray, " n"]:
    """Which locations have a pixel of a class."""
    codes = list(map(int, _layer(one, corpus).codes))
    parts = [locations[start : start + _BLOCK] for start in range(0, len(locations), _BLOCK)]
    return np.concatenate([np.isin(corpus.labels(one.name, rows), codes).any(axis=(1, 2)) for rows in parts])


def _usable(corpus: Corpus, sensor: str, *, dated: bool) -> pd.DataFrame:
    """The chips of a sensor that have a usable pixel, and a date if asked for."""
    chips = corpus.chip_index
    chosen = (chips["sensor"] == sensor) & (chips["valid"] > 0)
    return chips.loc[chosen & chips["datetime"].notna() if dated else chosen]


def _months(one: Wanted, corpus: Corpus, locations: ndarray) -> Float64[ndarray, "m 2"]:
    """The months of all dated chips of the image's sensor at these locations."""
    chips = _usable(corpus, band(one.of[0]).sensor, dated=True)
    here = np.isin(chips["location"].to_numpy(), locations)
    since = np.floor(days(chips.loc[here])).astype(np.int64)
    return cycle(months(torch.from_numpy(since)) / 12).numpy()


def _numbers(one: Wanted, corpus: Corpus, locations: ndarray) -> Float64[ndarray, "n k"]:
    """Values of a class, of numbers, or of where locations lie; NaN where unknown."""
    if one.kind in ("class", "numbers"):
        return np.stack([column_values(corpus, column)[locations] for column in one.of], axis=1)
    degrees = corpus.locations["lon" if one.kind == "longitude" else "lat"].to_numpy(dtype=np.float64)[locations]
    return cycle(torch.from_numpy(degrees) / 360).numpy()
