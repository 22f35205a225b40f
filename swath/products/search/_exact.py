"""The nearest vectors by cosine, exactly: all blocks are looked at in float32, what may be among the best in float64.

The first pass bounds its own error: a row is dropped only where its float32 score is so far below the k-th best that no
rounding can explain it. The rest is computed in float64 from the values that the index stands for. The result is that
of a comparison of all rows in float64, ties in the order of their ids.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Float32, Float64, Int
from numpy import ndarray

from swath.products.search._index import BLOCK, Index

THREADS = 4
"""Largest number of threads."""
POOL = 4096
"""Candidates beyond the wanted number at which a thread throws away those that cannot win any more."""


def nearest_rows(
    index: Index, query: Float64[ndarray, " d"], k: int, excluded: Int[ndarray, " m"]
) -> tuple[Int[ndarray, " n"], Float64[ndarray, " n"]]:
    """Rows of the k largest cosines, best first, and the cosines; all rows where there are fewer.

    Args:
        index: to look in.
        query: any length above 0.
        k: how many rows.
        excluded: rows that are left out, ascending.
    """
    unit = query / np.linalg.norm(query)
    threads = min(THREADS, os.cpu_count() or 1, -(-len(index) // BLOCK))
    edges = np.linspace(0, -(-len(index) // BLOCK), threads + 1).astype(int) * BLOCK
    parts = [slice(int(a), min(int(b), len(index))) for a, b in pairwise(edges)]
    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(lambda part: _candidates(index, unit, k, excluded, part), parts))
    rows, scores = (np.concatenate(one) for one in zip(*found, strict=True))
    return ranked(index, unit, rows[scores >= _least(scores, k, index)], k)


def cosines(index: Index, query: Float[ndarray, " d"]) -> Float32[ndarray, " n"]:
    """The cosine of every row of an index with a vector, in float32; 0 of a vector that is 0.

    Args:
        index: its rows.
        query: any length above 0.
    """
    unit = (query / np.linalg.norm(query)).astype(np.float32)
    scores = np.empty(len(index), np.float32)
    for start in range(0, len(index), BLOCK):
        part = slice(start, start + BLOCK)
        np.dot(index.stored.decode(part), unit, out=scores[part])
    return np.divide(scores, index.norms, out=np.zeros_like(scores), where=index.norms > 0)


def _slack(index: Index) -> float:
    """Twice what rounding in float32 can change of a cosine."""
    return 2 * (index.header.dims + 16) * 2.0**-23


def _least(scores: Float[ndarray, " n"], k: int, index: Index) -> float:
    """The score below which no row can be among the k best."""
    if len(scores) <= k:
        return -np.inf
    return float(np.partition(scores, len(scores) - k)[len(scores) - k]) - _slack(index)


def _candidates(
    index: Index, unit: Float64[ndarray, " d"], k: int, excluded: Int[ndarray, " m"], part: slice
) -> tuple[Int[ndarray, " n"], Float[ndarray, " n"]]:
    """Rows of a part of the index that may be among its k best, and their cosines in float32."""
    quantisation, values = index.stored.quantisation, index.stored.values
    scale = 1.0 if quantisation is None else np.array(quantisation.scale)
    weights = (unit * scale).astype(np.float32)
    table = None if quantisation is None or quantisation.method == "linear" else np.roll(quantisation.table, 128)
    buffer, scores = np.empty((BLOCK, len(unit)), np.float32), np.empty(BLOCK, np.float32)
    kept_rows, kept_scores = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
    least, waiting = -np.inf, 0
    for start in range(part.start, part.stop, BLOCK):
        stop = min(start + BLOCK, part.stop)
        block, score = values[start:stop], scores[: stop - start]
        if values.dtype == np.float32:
            np.dot(block, weights, out=score)
        else:
            floats = buffer[: stop - start]
            if table is None:
                np.copyto(floats, block)
            else:
                np.take(table, block.view(np.uint8), out=floats, mode="clip")
            np.dot(floats, weights, out=score)
        norms = index.norms[start:stop]
        np.divide(score, norms, out=score, where=norms > 0)
        first, last = np.searchsorted(excluded, (start, stop))
        score[excluded[first:last] - start] = -np.inf
        good = np.flatnonzero(score > -np.inf) if least == -np.inf else np.flatnonzero(score >= least)
        kept_rows.append(good + start)
        kept_scores.append(score[good])
        waiting += len(good)
        if waiting > k + POOL or (least == -np.inf and waiting > k):
            rows, found = np.concatenate(kept_rows), np.concatenate(kept_scores)
            least = _least(found, k, index)
            kept_rows, kept_scores = [rows[found >= least]], [found[found >= least]]
            waiting = 0
    return np.concatenate(kept_rows), np.concatenate(kept_scores)


def ranked(
    index: Index, unit: Float64[ndarray, " d"], rows: Int[ndarray, " m"], k: int
) -> tuple[Int[ndarray, " n"], Float64[ndarray, " n"]]:
    """The k best of some rows by their cosines in float64, best first; ties in the order of uid and date.

    Args:
        index: whose rows they are.
        unit: the query, of length 1.
        rows: in any order.
        k: how many.
    """
    scores = np.empty(len(rows))
    for start in range(0, len(rows), BLOCK):
        part = slice(start, start + BLOCK)
        # sums of rows, not a product of matrices: equal vectors get equal scores wherever they stand
        scores[part] = (index.unit(rows[part]) * unit).sum(axis=1)
    own = index.table.iloc[rows]
    order = np.lexsort((own["date"].to_numpy(), own["uid"].to_numpy(str), -scores))[:k]
    return rows[order], scores[order]
