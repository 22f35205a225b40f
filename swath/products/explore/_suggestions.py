"""What to label next: rows of which little is known, and which are unlike each other and what is labelled.

Of the most uncertain rows those are taken that lie farthest, by cosine, from all that is labelled or taken already
(farthest-first traversal, or k-centre greedy). Before there is a classifier all rows count as uncertain.
"""

import numpy as np
from jaxtyping import Bool, Float32, Int
from numpy import ndarray

from swath.products.search import Index

CANDIDATES = 2000
"""Largest number of uncertain rows among which the farthest are looked for."""
SHARE = 0.1
"""Share of the rows without a label that counts as uncertain; `FEWEST` of them at least."""
FEWEST = 200
ANCHORS = 500
"""Largest number of labelled rows from which suggestions keep away, evenly spread over all."""


def suggest(
    index: Index, labelled: Bool[ndarray, " n"], entropy: Float32[ndarray, " n"] | None, count: int
) -> Int[ndarray, " m"]:
    """Rows to label next, the most telling first; fewer than `count` where no more are open.

    Args:
        index: with its vectors.
        labelled: which rows have a label.
        entropy: of a classifier's predictions; None before there is one.
        count: how many rows.
    """
    candidates = _uncertain(np.flatnonzero(~labelled), entropy)
    if not len(candidates):
        return candidates
    units = index.unit(candidates).astype(np.float32)
    anchors = _spread(np.flatnonzero(labelled), ANCHORS)
    near = np.full(len(candidates), -np.inf, np.float32)  # cosine of the nearest that is labelled or taken
    if len(anchors):
        near = (units @ index.unit(anchors).astype(np.float32).T).max(axis=1)
    taken: list[int] = []
    for _ in range(min(count, len(candidates))):
        taken.append(int(near.argmin()))
        near = np.maximum(near, units @ units[taken[-1]])
        near[taken] = np.inf
    return candidates[taken]


def _uncertain(open_: Int[ndarray, " m"], entropy: Float32[ndarray, " n"] | None) -> Int[ndarray, " k"]:
    """The most uncertain of the rows without a label, the most uncertain first."""
    if entropy is None:
        return _spread(open_, CANDIDATES)
    most = min(CANDIDATES, max(FEWEST, int(SHARE * len(open_))))
    return open_[np.argsort(-entropy[open_], kind="stable")[:most]]


def _spread(rows: Int[ndarray, " m"], most: int) -> Int[ndarray, " k"]:
    """All rows, or `most` of them evenly spread."""
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]
