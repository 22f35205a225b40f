"""What quantisation changed: how far vectors turned, and what a probe on them lost."""

from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int
from numpy import ndarray

from swath.corpus import Corpus, targets
from swath.corpus.labels import Dominant, Scalar
from swath.errors import CorpusError
from swath.products.embeddings._parts import Parts
from swath.products.embeddings._plan import Plan
from swath.products.embeddings._quantise import Quantisation
from swath.products.embeddings._reduce import Apply

PROBED = 5000
"""Largest number of rows that the probes look at."""
FOLDS, NEIGHBOURS = 5, 5
FEWEST = 10
"""Least number of labelled rows for a probe to say anything."""


def round_trip(
    parts: Parts, reduce: Apply, quantisation: Quantisation, plan: Plan | None, labels: str | None = None
) -> dict[str, Any]:
    """Compare vectors with what their bytes stand for.

    Args:
        parts: the encoder's vectors.
        reduce: what is done to them before they are stored.
        quantisation: how they become bytes.
        plan: their rows, for the probe; None where they have no labels.
        labels: a label layer, whose dominant class is predicted, or a scalar column; the first layer if not given.

    Returns:
        `cosine`: minimum, percentile_1, median and mean of the cosine between a vector and its copy, over all rows that
        are not 0; `probe`, where the corpus has labels: the accuracy of 5 nearest neighbours and of a logistic
        regression before and after, both over the same five folds in which locations stay whole.
    """
    cosines = []
    for block in parts.blocks():
        vectors = reduce(block)
        cosines.append(_cosine(vectors, quantisation.decode(quantisation.encode(vectors))))
    cosine = np.concatenate(cosines)
    cosine = cosine[np.isfinite(cosine)]
    said: dict[str, Any] = {"rows": parts.rows}
    if len(cosine):
        low, middle = np.percentile(cosine, (1, 50))
        figures = {"minimum": cosine.min(), "percentile_1": low, "median": middle, "mean": cosine.mean()}
        said["cosine"] = {name: float(figure) for name, figure in figures.items()}
    return said | ({} if plan is None else _probe(parts, reduce, quantisation, plan, labels))


def _cosine(one: Float32[ndarray, "n d"], other: Float32[ndarray, "n d"]) -> Float[ndarray, " n"]:
    """Cosine of the angle between rows, in float64; NaN where one is 0."""
    a, b = one.astype(np.float64), other.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.einsum("nd,nd->n", a, b) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))


def _probe(parts: Parts, reduce: Apply, quantisation: Quantisation, plan: Plan, labels: str | None) -> dict[str, Any]:
    corpus = plan.reader.corpus
    name = labels or next(iter(corpus.label_layers), None)
    if name is None:
        return {}
    try:
        rows, y = _labelled(corpus, name, plan.locations)
    except CorpusError as error:
        if labels is not None:
            raise
        return {"no_probe": f"of {name}: {error.what}"}
    rows, y = rows[:PROBED], y[:PROBED]
    if len(rows) < FEWEST or np.bincount(y).max() == len(y):
        return {"no_probe": f"of {name}: {len(rows)} rows have a class, or all the same"}
    before = np.concatenate([reduce(parts.read(row, row + 1)) for row in rows.tolist()])
    after = quantisation.decode(quantisation.encode(before))
    scores = [_accuracies(x, y, plan.locations[rows]) for x in (before, after)]
    accuracies = {probe: {"before": scores[0][probe], "after": scores[1][probe]} for probe in scores[0]}
    return {"probe": {"labels": name, "rows": len(rows), **accuracies}}


def _labelled(
    corpus: Corpus, name: str, locations: Int[ndarray, " n"]
) -> tuple[Int[ndarray, " m"], Int[ndarray, " m"]]:
    """Rows of the index that have a class, in random order, and the class of each."""
    known = targets(corpus, Dominant(layer=name, min_share=0) if name in corpus.label_layers else Scalar(column=name))
    class_of = np.full(len(corpus), -1)
    class_of[known.locations] = known.y
    rows = np.random.default_rng(0).permutation(np.flatnonzero(class_of[locations] >= 0))
    return rows, class_of[locations[rows]]


def _accuracies(x: Float32[ndarray, "n d"], y: Int[ndarray, " n"], groups: Int[ndarray, " n"]) -> dict[str, float]:
    """Share of rows whose class is predicted from the other folds, by probe."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    folds = GroupKFold(min(FOLDS, len(np.unique(groups))))
    probes = {
        "knn": KNeighborsClassifier(NEIGHBOURS, metric="cosine"),
        "linear": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
    }
    return {
        name: float(np.mean(cross_val_predict(probe, x, y, groups=groups, cv=folds) == y))
        for name, probe in probes.items()
    }


def in_words(said: dict[str, Any]) -> list[str]:
    """The report as lines for people."""
    lines = []
    if cosine := said.get("cosine"):
        lines.append(
            f"int8 against float32: cosine {cosine['median']:.6f} (median), {cosine['percentile_1']:.6f} (1 % are "
            f"below), {cosine['minimum']:.6f} (least), over {said['rows']:,} rows"
        )
    if probe := said.get("probe"):
        lines += [
            f"{name} on {probe['labels']}, accuracy before {100 * probe[name]['before']:.1f} %, after "
            f"{100 * probe[name]['after']:.1f} % ({probe['rows']:,} rows)"
            for name in ("knn", "linear")
        ]
    if reason := said.get("no_probe"):
        lines.append(f"no probe {reason}")
    return lines
