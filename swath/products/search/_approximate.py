"""The nearest vectors, nearly always, without looking at all: usearch's graph (HNSW) in a file beside the index."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64, Int
from numpy import ndarray

from swath._files import read_json, replacing, write_whole
from swath._progress import console, track
from swath.errors import SwathError
from swath.products.search._exact import nearest_rows, ranked
from swath.products.search._index import Index

if TYPE_CHECKING:
    from usearch.index import Index as Graph

PORTION = 8192
"""Vectors that are added at a time."""
TIMES, FEWEST = 4, 256
"""Candidates that are compared exactly: so many times what is wanted, and not fewer."""
SAMPLED, TOP = 100, 10
"""Rows, and neighbours of each, by which the graph is compared with exact search when it is made."""


def nearest_rows_approximately(
    index: Index, query: Float64[ndarray, " d"], k: int, excluded: Int[ndarray, " m"]
) -> tuple[Int[ndarray, " n"], Float64[ndarray, " n"]]:
    """As `nearest_rows`, but some of the nearest may be missing; the cosines of those that are found are exact.

    The graph is made where it is missing, or is of another state of the index.

    Raises:
        SwathError: usearch is not installed.
    """
    unit = query / np.linalg.norm(query)
    return ranked(index, unit, _found(_graph(index), unit, k, excluded), k)


def _found(graph: "Graph", unit: Float64[ndarray, " d"], k: int, excluded: Int[ndarray, " m"]) -> Int[ndarray, " n"]:
    count = min(max(TIMES * k, FEWEST) + len(excluded), len(graph))
    rows = np.asarray(graph.search(unit.astype(np.float32), count).keys, dtype=np.int64)
    return np.setdiff1d(rows, excluded)


def _graph(index: Index) -> "Graph":
    try:
        from usearch.index import Index as Graph
    except ImportError:
        raise SwathError(
            "an approximate search needs usearch", remedy="install it: pip install 'swath[search]'; or search exactly"
        ) from None
    path = index.path.with_name(f"{index.path.name}.usearch")
    note = path.with_name(f"{path.name}.json")
    state = {"index": _state(index.path), "rows": len(index)}
    graph = Graph(ndim=index.header.dims, metric="cos", dtype="f16")
    try:
        if path.exists() and {key: read_json(note).get(key) for key in state} == state:
            graph.view(str(path))  # mapped, not read
            return graph
    except (OSError, ValueError, AttributeError, RuntimeError):
        console().print(f"{path.name} cannot be read and is made again")
    _fill(graph, index)
    note.unlink(missing_ok=True)
    with replacing(path) as temporary:
        graph.save(str(temporary))
    recall = _recall(graph, index)
    write_whole(note, json.dumps({**state, "recall_at_10": recall}))
    console().print(f"{path.name}: {100 * recall:.1f} % of the {TOP} nearest are found, in {SAMPLED} samples")
    return graph


def _fill(graph: Any, index: Index) -> None:
    starts = range(0, len(index), PORTION)
    for start in track(starts, len(starts), "indexing"):
        rows = np.arange(start, min(start + PORTION, len(index)))
        graph.add(rows, index.unit(rows).astype(np.float32))


def _recall(graph: "Graph", index: Index) -> float:
    """Share of the nearest neighbours of some rows that the graph finds."""
    none, shares = np.empty(0, np.int64), []
    for row in np.random.default_rng(0).choice(len(index), min(SAMPLED, len(index)), replace=False).tolist():
        unit = index.unit(np.array([row]))[0]
        if not unit.any():
            continue
        exact, _ = nearest_rows(index, unit, TOP, none)
        shares.append(np.isin(exact, ranked(index, unit, _found(graph, unit, TOP, none), TOP)[0]).mean())
    return float(np.mean(shares)) if shares else 1.0


def _state(path: Path) -> str:
    """Digest of the size and the end of a Parquet file, where its footer is."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - 2**16))
        return hashlib.sha256(str(size).encode() + file.read()).hexdigest()
