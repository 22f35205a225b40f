"""Some of a corpus's locations, selected by their scalar columns."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from swath.corpus.store import Corpus
from swath.errors import CorpusError, nearest

Only = dict[str, tuple[str | int, ...]]
"""Wanted values by column; a location must have one of them in every column."""


def rows_of(corpus: Corpus, rows: Int[ndarray, " n"], only: Mapping[str, Sequence[str | int]]) -> Int[ndarray, " m"]:
    """Those of the given rows of `corpus.locations` that have wanted values, in their order.

    Raises:
        CorpusError: no such column, or no location of the corpus has such a value.
    """
    wanted = np.ones(len(corpus.locations), bool)
    for column, values in only.items():
        if column not in corpus.locations:
            remedy = nearest(column, map(str, corpus.locations.columns))
            raise CorpusError(f"no column {column!r}", where=str(corpus.path), remedy=remedy)
        there = corpus.locations[column]
        for value in values:
            if not np.any(there.to_numpy(dtype=object) == value):
                remedy = nearest(str(value), sorted(map(str, there.dropna().unique())))
                raise CorpusError(f"no location has {column} {value!r}", where=str(corpus.path), remedy=remedy)
        wanted &= there.isin(list(values)).to_numpy()
    return rows[wanted[rows]]
