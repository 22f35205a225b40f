"""The numbers behind the tables: every cell of one task on the same units, resampled together.

All that is reported is a weighted sum over inputs of means over seeds: one input, the mean of several bands, or one
group of bands minus another. So each pair of rows is resampled once per input, and sums are taken of the results.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd

from swath.errors import SwathError
from swath.tasks.data.labels import unpacked
from swath.tasks.metrics import LABEL_METRICS, METRICS, SCORED, Metric
from swath.tasks.statistics import resample
from swath.tasks.statistics.significance import delong

_MOST_WEIGHTS = 2**23
"""Weights of single scores that are in memory at a time: 64 MiB."""


class Identity(NamedTuple):
    """What a row is called."""

    row: str
    kind: str


@dataclass(frozen=True, eq=False)
class Row:
    """One row on one input by one probe: its confusion matrices by group and seed."""

    seeds: tuple[int, ...]
    matrices: np.ndarray
    """g s k k; g s k 2 2 where units have several classes"""
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
    """In each sign flip, the first being the data; see `resample.paired_flips`."""
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
    """Of each unit, where units have one class each or, n k, several; class scores exist only there."""
    codes: np.ndarray
    """Group number of each unit."""
    groups: int
    rows: dict[tuple[str, str], dict[Identity, Row]]
    """By input and probe."""
    weights: np.ndarray
    """b g: bootstrap."""
    signs: np.ndarray
    """b g: sign flips."""
    measures: dict[str, Metric]
    """What can be said of the matrices."""
    _differences: dict[tuple, Difference | None] = field(default_factory=dict)
    _draws: dict[tuple[int, str], np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, predictions: pd.DataFrame, resamples: int, flips: int, seed: int, *, several: bool = False) -> "Study":
        """From the predictions of one task, in which units have one class or `several`.

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
        classes = _classes(predictions, several=several)
        y_true = units["y_true"].to_numpy(np.int64)
        return cls(
            uid=units["uid"].to_numpy(),
            y_true=unpacked(y_true, classes) if several else y_true,
            codes=codes,
            groups=len(names),
            rows=_rows(cells, np.asarray(names), _by_class if several else _matrices, classes),
            weights=resample.weights(len(names), resamples, seed),
            signs=resample.flips(len(names), flips, seed),
            measures=LABEL_METRICS if several else METRICS,
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
        if metric not in SCORED:
            return self.measures[metric](row.matrices.sum(0))
        if row.scores is None:
            return np.full(len(row.seeds), np.nan)
        once = np.ones((1, self.groups))
        return np.concatenate([self._scored(metric, scores, once) for scores in row.scores])

    def interval(
        self, block: Block, identity: Identity, metric: str, confidence: float, kind: str
    ) -> tuple[float, float]:
        """Of `value`: DeLong's for the area under a curve where that holds, else a bootstrap over groups."""
        members = self.members(block, identity)
        if metric in SCORED and any(row.scores is None for _, row in members):
            return np.nan, np.nan
        if metric == "roc_auc" and (found := self._delong(members, confidence)):
            return found
        if self.groups < 2:
            return np.nan, np.nan
        draws = sum(w * self.draws(row, metric).mean(1) for w, row in members)
        if kind == "percentile" or metric in SCORED:
            return resample.percentile(np.asarray(draws), confidence)
        jackknife = sum(w * self.measures[metric](row.matrices.sum(0) - row.matrices).mean(1) for w, row in members)
        return resample.bca(np.asarray(draws), self.value(block, identity, metric), np.asarray(jackknife), confidence)

    def draws(self, row: Row, metric: str) -> np.ndarray:
        """The metric in each bootstrap resample and for each seed: b s."""
        # a row is resampled once: its line, its comparisons and the means over bands that it is part of share the draws
        key = (id(row), metric)
        if key not in self._draws:
            self._draws[key] = self._resample(row, metric)
        return self._draws[key]

    def _resample(self, row: Row, metric: str) -> np.ndarray:
        if metric not in SCORED:
            return self.measures[metric](np.tensordot(self.weights, row.matrices, axes=1))
        assert row.scores is not None
        return np.stack([self._scored(metric, scores, self.weights) for scores in row.scores], axis=1)

    def _scored(self, metric: str, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """A metric of class scores for several weightings of the groups."""
        found = [SCORED[metric](self.y_true, scores, part[:, self.codes]) for part in _parts(weights, scores.size)]
        return np.concatenate(found)

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
        if metric in SCORED and (a.scores is None or b.scores is None):
            return None
        ia, ib = map(list, zip(*pairs, strict=True))
        ma, mb, accuracy = a.matrices[:, ia], b.matrices[:, ib], self.measures["accuracy"]
        if metric in SCORED:
            flips = np.mean([self._swapped(metric, a.scores[i], b.scores[j]) for i, j in pairs], axis=0)  # type: ignore[index]
        else:
            measure = self.measures[metric]
            flips = resample.paired_flips(ma, mb, self.signs, lambda cm: measure(cm).mean(-1))
        return Difference(
            by_seed=self._values(a, metric)[ia] - self._values(b, metric)[ib],
            draws=(self.draws(a, metric)[:, ia] - self.draws(b, metric)[:, ib]).mean(1),
            flips=flips,
            accuracy=(accuracy(ma) - accuracy(mb)).mean(1),
        )

    def _swapped(self, metric: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """`resample.paired_flips` for class scores: both rows' units in one list, of which each side takes half."""
        y, scores, found = np.concatenate([self.y_true] * 2), np.concatenate([a, b]), []
        for signs in _parts(self.signs, scores.size):
            own = (signs > 0).astype(np.float64)[:, self.codes]
            sides = (np.concatenate(pair, axis=1) for pair in ((own, 1 - own), (1 - own, own)))
            first, second = (SCORED[metric](y, scores, weights) for weights in sides)
            found.append(first - second)
        return np.concatenate(found)


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


def _parts(weights: np.ndarray, size: int) -> list[np.ndarray]:
    """Weightings in parts, so that one for each of `size` scores fits into memory."""
    return np.array_split(weights, -(-len(weights) * size // _MOST_WEIGHTS))


def _classes(predictions: pd.DataFrame, *, several: bool) -> int:
    most = int(predictions[["y_true", "y_pred"]].to_numpy().max())
    if not several:
        return most + 1
    # a class that no unit has, and none is said to have, still has scores
    return max([most.bit_length(), *(len(scores) for scores in predictions["score"].head(1) if np.ndim(scores))])


Matrices = Callable[[pd.DataFrame, np.ndarray, int], np.ndarray]


def _rows(cells: dict[tuple, pd.DataFrame], groups: np.ndarray, matrices: Matrices, classes: int) -> dict:
    collected: dict[tuple[str, str], dict[Identity, list[tuple[int, pd.DataFrame]]]] = {}
    for (name, probe, row, kind, seed), cell in cells.items():
        collected.setdefault((name, probe), {}).setdefault(Identity(row, kind), []).append((int(seed), cell))
    return {
        place: {identity: _row(seeds, groups, matrices, classes) for identity, seeds in rows.items()}
        for place, rows in collected.items()
    }


def _row(seeds: list[tuple[int, pd.DataFrame]], groups: np.ndarray, matrices: Matrices, classes: int) -> Row:
    seeds = sorted(seeds, key=lambda pair: pair[0])
    scores = [_scores(list(cell["score"])) for _, cell in seeds]
    complete = [s for s in scores if s is not None]
    return Row(
        seeds=tuple(seed for seed, _ in seeds),
        matrices=np.stack([matrices(cell, groups, classes) for _, cell in seeds], axis=1),
        scores=np.stack(complete) if len(complete) == len(scores) else None,
    )


def _matrices(cell: pd.DataFrame, groups: np.ndarray, classes: int) -> np.ndarray:
    y_true, y_pred = (cell[column].to_numpy(np.int64) for column in ("y_true", "y_pred"))
    group = pd.Categorical(cell["group"], categories=groups).codes.astype(np.int64)
    entry = (group * classes + y_true) * classes + y_pred
    counts = np.bincount(entry, weights=cell["count"], minlength=len(groups) * classes**2)
    return counts.reshape(len(groups), classes, classes)


def _by_class(cell: pd.DataFrame, groups: np.ndarray, classes: int) -> np.ndarray:
    """As `_matrices`, of each class by itself: g k 2 2."""
    y_true, y_pred = (unpacked(cell[column].to_numpy(np.int64), classes) for column in ("y_true", "y_pred"))
    group = pd.Categorical(cell["group"], categories=groups).codes.astype(np.int64)
    entry = ((group[:, None] * classes + np.arange(classes)) * 2 + y_true) * 2 + y_pred
    counts = np.bincount(entry.ravel(), minlength=len(groups) * classes * 4).astype(np.float64)
    return counts.reshape(len(groups), classes, 2, 2)


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
