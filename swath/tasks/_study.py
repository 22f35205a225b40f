"""The numbers behind the tables: every cell of one task on the same units, resampled together.

All that is reported is a weighted sum over inputs of means over seeds: one input, the mean of several bands, or one
group of bands minus another. So each pair of rows is resampled once per input, and sums are taken of the results.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd

from swath.errors import SwathError
from swath.tasks import _resample
from swath.tasks._metrics import METRICS, roc_auc
from swath.tasks._tests import delong


class Identity(NamedTuple):
    """What a row is called."""

    row: str
    kind: str


@dataclass(frozen=True, eq=False)
class Row:
    """One row on one input by one probe: its confusion matrices by group and seed."""

    seeds: tuple[int, ...]
    matrices: np.ndarray
    """g s k k"""
    scores: np.ndarray | None
    """s n k, if every seed gave class scores."""


@dataclass(frozen=True, eq=False)
class Difference:
    """Row a minus row b on one input, averaged over the seeds that pair."""

    by_seed: np.ndarray
    """The metric's difference for each pair of seeds."""
    draws: np.ndarray
    """In each bootstrap resample."""
    flips: np.ndarray
    """In each sign flip, the first being the data; see `_resample.paired_flips`."""
    accuracy: np.ndarray
    """Difference in accuracy in each group."""


@dataclass(frozen=True)
class Block:
    """What stands side by side in the table."""

    input: str
    probe: str
    rows: tuple[Identity, ...]
    parts: dict[str, float]
    """Weight of each input."""

    @property
    def is_contrast(self) -> bool:
        """One group of bands minus another: a comparison of comparisons, not a score."""
        return min(self.parts.values()) < 0

    @property
    def is_over_bands(self) -> bool:
        """A mean over inputs, not an input."""
        return self.input not in self.parts and not self.is_contrast


@dataclass(eq=False)
class Study:
    """All cells of one task."""

    uid: np.ndarray
    y_true: np.ndarray
    """Of each unit, where units have one class each; class scores, and what needs them, exist only there."""
    codes: np.ndarray
    """Group number of each unit."""
    groups: int
    rows: dict[tuple[str, str], dict[Identity, Row]]
    """By input and probe."""
    weights: np.ndarray
    """b g: bootstrap."""
    signs: np.ndarray
    """b g: sign flips."""
    _differences: dict[tuple, Difference | None] = field(default_factory=dict)
    _draws: dict[tuple[int, str], np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, predictions: pd.DataFrame, resamples: int, flips: int, seed: int) -> "Study":
        """From the predictions of one task.

        Raises:
            SwathError: two cells hold different units.
        """
        keys = ["input", "probe", "row", "kind", "seed"]
        cells = {tuple(key): cell for key, cell in predictions.groupby(keys, sort=False)}  # type: ignore[arg-type]
        first = _truth(next(iter(cells.values())))
        for key, cell in cells.items():
            _check_units(key, _truth(cell), first)
        units = first.drop_duplicates("uid")
        codes, names = pd.factorize(units["group"], sort=True)
        classes = int(predictions[["y_true", "y_pred"]].to_numpy().max()) + 1
        return cls(
            uid=units["uid"].to_numpy(),
            y_true=units["y_true"].to_numpy(np.int64),
            codes=codes,
            groups=len(names),
            rows=_rows(cells, np.asarray(names), classes),
            weights=_resample.weights(len(names), resamples, seed),
            signs=_resample.flips(len(names), flips, seed),
        )

    @property
    def independent(self) -> bool:
        """Whether every unit is a group of its own."""
        return self.groups == len(self.uid)

    def blocks(self, band_groups: dict[str, dict[str, tuple[str, ...]]]) -> Iterator[Block]:
        """Every input and probe, then the groups of bands of each probe that has them."""
        for (name, probe), rows in self.rows.items():
            yield Block(name, probe, tuple(rows), {name: 1.0})
        for probe, groups in band_groups.items():
            for name, parts in _band_parts(groups).items():
                if rows := self._rows_of_all(probe, parts):
                    yield Block(name, probe, rows, parts)

    def _rows_of_all(self, probe: str, parts: dict[str, float]) -> tuple[Identity, ...]:
        """Rows that have a result on every one of the inputs."""
        each = [self.rows.get((part, probe), {}) for part in parts]
        return tuple(identity for identity in each[0] if all(identity in rows for rows in each))

    # ------------------------------------------------------------------------------------------------ of one row

    def members(self, block: Block, identity: Identity) -> list[tuple[float, Row]]:
        """The row on each of the block's inputs, with the input's weight."""
        return [(weight, self.rows[part, block.probe][identity]) for part, weight in block.parts.items()]

    def per_seed(self, block: Block, identity: Identity, metric: str) -> dict[int, float]:
        """The block's value for each seed that all its inputs have."""
        members = [
            (w, dict(zip(row.seeds, self._values(row, metric), strict=True)))
            for w, row in self.members(block, identity)
        ]
        seeds = [seed for seed in members[0][1] if all(seed in values for _, values in members)]
        return {seed: float(sum(w * values[seed] for w, values in members)) for seed in seeds}

    def value(self, block: Block, identity: Identity, metric: str) -> float:
        """Weighted sum over inputs of the mean over seeds."""
        return float(sum(w * self._values(row, metric).mean() for w, row in self.members(block, identity)))

    def _values(self, row: Row, metric: str) -> np.ndarray:
        """The metric of the whole test set for each seed; NaN where it needs scores and there are none."""
        if metric != "roc_auc":
            return METRICS[metric](row.matrices.sum(0))
        if row.scores is None:
            return np.full(len(row.seeds), np.nan)
        once = np.ones((1, len(self.uid)))
        return np.concatenate([roc_auc(self.y_true, scores, once) for scores in row.scores])

    def interval(
        self, block: Block, identity: Identity, metric: str, confidence: float, kind: str
    ) -> tuple[float, float]:
        """Of `value`: DeLong's for the area under a curve where that holds, else a bootstrap over groups."""
        members = self.members(block, identity)
        if metric == "roc_auc" and any(row.scores is None for _, row in members):
            return np.nan, np.nan
        if metric == "roc_auc" and (found := self._delong(members, confidence)):
            return found
        if self.groups < 2:
            return np.nan, np.nan
        draws = sum(w * self.draws(row, metric).mean(1) for w, row in members)
        if kind == "percentile" or metric == "roc_auc":
            return _resample.percentile(np.asarray(draws), confidence)
        jackknife = sum(w * METRICS[metric](row.matrices.sum(0) - row.matrices).mean(1) for w, row in members)
        return _resample.bca(np.asarray(draws), self.value(block, identity, metric), np.asarray(jackknife), confidence)

    def draws(self, row: Row, metric: str) -> np.ndarray:
        """The metric in each bootstrap resample and for each seed: b s."""
        # a row is resampled once: its line, its comparisons and the means over bands that it is part of share the draws
        key = (id(row), metric)
        if key not in self._draws:
            self._draws[key] = self._resample(row, metric)
        return self._draws[key]

    def _resample(self, row: Row, metric: str) -> np.ndarray:
        if metric != "roc_auc":
            return METRICS[metric](np.tensordot(self.weights, row.matrices, axes=1))
        assert row.scores is not None
        weights = self.weights[:, self.codes]
        return np.stack([roc_auc(self.y_true, scores, weights) for scores in row.scores], axis=1)

    def _delong(self, members: list[tuple[float, Row]], confidence: float) -> tuple[float, float] | None:
        """None unless there are two classes, independent units, and a variance."""
        counts = np.bincount(self.y_true, minlength=2)
        if not self.independent or len(counts) > 2 or counts.min() < 2:
            return None
        scores = np.concatenate([row.scores[:, :, 1] for _, row in members if row.scores is not None])
        share = np.concatenate([np.full(len(row.seeds), w / len(row.seeds)) for w, row in members])
        low, high = delong(self.y_true, scores).combined(share).interval(confidence)[0]
        return (low, high) if np.isfinite(low) else None

    # ----------------------------------------------------------------------------------------------- of two rows

    def differences(self, block: Block, a: Identity, b: Identity, metric: str) -> list[tuple[float, Difference]] | None:
        """a minus b on each of the block's inputs, with its weight; None if some input has no seed in common."""
        found = [(w, self._difference(part, block.probe, a, b, metric)) for part, w in block.parts.items()]
        known = [(w, difference) for w, difference in found if difference is not None]
        return known if len(known) == len(found) else None

    def _difference(self, part: str, probe: str, a: Identity, b: Identity, metric: str) -> Difference | None:
        key = (part, probe, a, b, metric)
        if key not in self._differences:
            rows = self.rows[part, probe]
            self._differences[key] = self._subtract(rows[a], rows[b], metric)
        return self._differences[key]

    def _subtract(self, a: Row, b: Row, metric: str) -> Difference | None:
        pairs = seed_pairs(a.seeds, b.seeds)
        if not pairs:
            return None
        ia, ib = map(list, zip(*pairs, strict=True))
        ma, mb, measure = a.matrices[:, ia], b.matrices[:, ib], METRICS[metric]
        return Difference(
            by_seed=measure(ma.sum(0)) - measure(mb.sum(0)),
            draws=(self.draws(a, metric)[:, ia] - self.draws(b, metric)[:, ib]).mean(1),
            flips=_resample.paired_flips(ma, mb, self.signs, lambda cm: measure(cm).mean(-1)),
            accuracy=(METRICS["accuracy"](ma) - METRICS["accuracy"](mb)).mean(1),
        )


def seed_pairs(a: tuple[int, ...], b: tuple[int, ...]) -> list[tuple[int, int]]:
    """Positions of the seeds that are compared: equal ones.

    A row with one seed only (nothing random goes into it) stands against every seed of the other.
    """
    if len(a) == 1 or len(b) == 1:
        return [(i, j) for i in range(len(a)) for j in range(len(b))]
    return [(i, b.index(seed)) for i, seed in enumerate(a) if seed in b]


def _truth(cell: pd.DataFrame) -> pd.DataFrame:
    """The cell's units, and how often each class is true in them."""
    return cell.groupby(["uid", "group", "y_true"], sort=False, as_index=False).agg({"count": "sum"})


def _check_units(key: tuple, cell: pd.DataFrame, first: pd.DataFrame) -> None:
    if not cell.equals(first):
        name, probe, row, _, seed = key
        raise SwathError(
            f"the evaluation units of row {row!r} are not those of the task's other rows, so they cannot be paired",
            where=f"input {name}, probe {probe}, seed {seed}",
            remedy="remove the run's evaluate folder and evaluate again",
        )


def _rows(cells: dict[tuple, pd.DataFrame], groups: np.ndarray, classes: int) -> dict:
    collected: dict[tuple[str, str], dict[Identity, list[tuple[int, pd.DataFrame]]]] = {}
    for (name, probe, row, kind, seed), cell in cells.items():
        collected.setdefault((name, probe), {}).setdefault(Identity(row, kind), []).append((int(seed), cell))
    return {
        place: {identity: _row(seeds, groups, classes) for identity, seeds in rows.items()}
        for place, rows in collected.items()
    }


def _row(seeds: list[tuple[int, pd.DataFrame]], groups: np.ndarray, classes: int) -> Row:
    seeds = sorted(seeds, key=lambda pair: pair[0])
    scores = [_scores(list(cell["score"])) for _, cell in seeds]
    complete = [s for s in scores if s is not None]
    return Row(
        seeds=tuple(seed for seed, _ in seeds),
        matrices=np.stack([_matrices(cell, groups, classes) for _, cell in seeds], axis=1),
        scores=np.stack(complete) if len(complete) == len(scores) else None,
    )


def _matrices(cell: pd.DataFrame, groups: np.ndarray, classes: int) -> np.ndarray:
    y_true, y_pred = (cell[column].to_numpy(np.int64) for column in ("y_true", "y_pred"))
    group = pd.Categorical(cell["group"], categories=groups).codes.astype(np.int64)
    entry = (group * classes + y_true) * classes + y_pred
    counts = np.bincount(entry, weights=cell["count"], minlength=len(groups) * classes**2)
    return counts.reshape(len(groups), classes, classes)


def _scores(column: list) -> np.ndarray | None:
    # a missing list is None in memory and may be NaN once it has been through a file
    if any(scores is None or np.ndim(scores) == 0 for scores in column):
        return None
    return np.stack([np.asarray(scores, dtype=np.float64) for scores in column])


def _band_parts(groups: dict[str, tuple[str, ...]]) -> dict[str, dict[str, float]]:
    """Weights of the inputs in each mean over bands, and in the contrast if there are two groups beside `all`."""
    means = {f"{name} bands": {key: 1 / len(keys) for key in keys} for name, keys in groups.items() if keys}
    pair = [name for name in means if name != "all bands"]
    if len(pair) == 2 and not means[pair[0]].keys() & means[pair[1]].keys():
        first, second = (means[name] for name in pair)
        means[f"{pair[1]} minus {pair[0]}"] = second | {key: -weight for key, weight in first.items()}
    return means
