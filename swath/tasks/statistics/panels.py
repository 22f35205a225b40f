"""The numbers behind the tables: every result of one task on the same units.

All that is reported is a weighted sum over inputs of means over replicates: one input, the mean of several bands, or
one group of bands minus another. So parts are left out of each row once per input, and sums are taken of the results.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from swath.errors import SwathError
from swath.tasks import metrics
from swath.tasks.data import unpacked
from swath.tasks.metrics import OfMatrices, OfScores, OfSums, share_right, share_right_by_class
from swath.tasks.schema import NUMBERS, Role
from swath.tasks.statistics import left_out, resample
from swath.tasks.statistics.left_out import LeftOut

_MOST_WEIGHTS = 2**23
"""Number of weights of single scores in memory at a time: 64 MiB."""


class RowIdentity(NamedTuple):
    """A row of the tables: its name, role, and the arms whose network it is."""

    name: str
    role: Role
    of_arm: str
    """Arms whose network a random twin or a scratch row is."""
    run: str = ""
    """The run that it is of, where rows of several are compared."""


@dataclass(frozen=True, eq=False)
class RowResults:
    """The results of one row on one input by one probe: its confusion matrices by group and replicate.

    Where units have numbers, the sums of `metrics.error_sums` stand in the place of a matrix.
    """

    replicates: tuple[int, ...]
    """Numbers of its replicates, ascending: each is one training, or one round of trainings over all folds."""
    matrices: np.ndarray
    """Shape (groups, replicates, classes, classes); (groups, replicates, classes, 2, 2) of multi-label units;
    (groups, replicates, 5) of numbers."""
    by_fold: np.ndarray
    """The same by fold instead of group."""
    scores: np.ndarray | None
    """Class scores, shape (replicates, units, classes), if every replicate gave some."""


@dataclass(frozen=True, eq=False)
class Difference:
    """Row a minus row b in a panel, of the replicates that pair."""

    parts: tuple[LeftOut, ...]
    """The difference on each of the panel's inputs."""
    weights: tuple[float, ...]
    """Weight of each of these inputs."""
    flips: np.ndarray
    """The difference under each sign flip, the first being the data; see `resample.paired_flips`."""
    by_group: np.ndarray
    """The difference in accuracy in each group; of a regression, in the mean squared error."""

    @property
    def total(self) -> LeftOut:
        """The weighted sum over the inputs."""
        return left_out.weighted_sum(list(zip(self.weights, self.parts, strict=True)))


@dataclass(frozen=True)
class Panel:
    """All rows that are compared on one input and probe, or on a weighted sum of several inputs."""

    input: str
    """Name of the input, or of the group of bands."""
    probe: str
    rows: tuple[RowIdentity, ...]
    parts: dict[str, float]
    """Weight of each input in the sum."""

    @property
    def is_contrast(self) -> bool:
        """One group of bands minus another: a comparison of comparisons, not a score."""
        return min(self.parts.values()) < 0

    @property
    def is_over_bands(self) -> bool:
        """A mean over inputs, not an input."""
        return self.input not in self.parts and not self.is_contrast


@dataclass(eq=False)
class TaskResults:
    """All results of one task, on the same evaluation units."""

    uid: np.ndarray
    y_true: np.ndarray
    """The class of each unit, or 0 or 1 for each class, shape (units, classes), of multi-label units; it is used with
    class scores only, which pixels and numbers do not have."""
    codes: np.ndarray
    """Group number of each unit."""
    unit_fold: np.ndarray
    """Number of the fold that tests each unit, from 0."""
    fold: np.ndarray
    """Number of the fold that tests each group, from 0."""
    groups: int
    rows: dict[tuple[str, str], dict[RowIdentity, RowResults]]
    """Results of all rows, by input and probe."""
    signs: np.ndarray
    """Sign flips, shape (flips, groups)."""
    multi_label: bool
    """Whether units have several classes."""
    regression: bool = False
    """Whether units have numbers."""
    _left_out: dict[tuple, LeftOut] = field(default_factory=dict)

    @classmethod
    def of(
        cls, predictions: pd.DataFrame, flips: int, seed: int, *, multi_label: bool = False, regression: bool = False
    ) -> "TaskResults":
        """The results that a task's predictions hold.

        Args:
            predictions: the lines of predictions.parquet of this task alone; of several runs with a column `run`.
            flips: how many random sign flips a test takes at least, where there are too many to try all.
            seed: of the flips.
            multi_label: units have several classes, which are the bits of `y_true` and `y_pred`.
            regression: units have numbers, `value_true` and `value_pred`.

        Raises:
            SwathError: two results hold different units, or one of a regression lacks numbers.
        """
        predictions = _with_numbers(predictions) if regression else predictions
        of_run = ["run"] if "run" in predictions else []
        keys = ["input", "probe", "row", "role", "of_arm", *of_run, "replicate"]
        results = {tuple(key): lines for key, lines in predictions.groupby(keys, sort=False)}  # type: ignore[arg-type]
        lines_of_first = next(iter(results.values()))
        first = _truth(lines_of_first)
        results = {
            key: lines if _same_units(lines, lines_of_first) else _aligned(key, lines, first)
            for key, lines in results.items()
        }
        units = first.drop_duplicates("uid")
        codes, names = pd.factorize(units["group"], sort=True)
        unit_fold, folds = pd.factorize(units["fold"].to_numpy(np.int64), sort=True)
        y_true = units["y_true"].to_numpy()
        if regression:
            tally: Tally = partial(_sums, zero=float(y_true.mean()))
        else:
            classes = _classes(predictions, multi_label=multi_label)
            tally = partial(_by_class if multi_label else _matrices, classes=classes)
            y_true = unpacked(y_true.astype(np.int64), classes) if multi_label else y_true.astype(np.int64)
        return cls(
            uid=units["uid"].to_numpy(),
            y_true=y_true,
            codes=codes,
            unit_fold=unit_fold,
            fold=unit_fold[np.unique(codes, return_index=True)[1]],
            groups=len(names),
            rows=_rows(results, (np.asarray(names), np.asarray(folds)), tally),
            signs=resample.flips(len(names), flips, seed),
            multi_label=multi_label,
            regression=regression,
        )

    def _measure(self, metric: str) -> OfMatrices | OfSums:
        if self.regression:
            return metrics.find(metric).of_sums()
        return metrics.find(metric).of_matrices(multi_label=self.multi_label)

    def _score(self, metric: str) -> OfScores:
        return metrics.find(metric).of_scores(multi_label=self.multi_label)

    @property
    def sizes(self) -> np.ndarray:
        """How many units, or labelled pixels, each group has."""
        first = next(iter(next(iter(self.rows.values())).values()))
        each = first.matrices[:, 0]
        if self.regression:
            return each[:, metrics.N]
        return each.reshape(len(each), -1).sum(axis=1)

    def panels(
        self, band_groups: dict[str, dict[str, tuple[str, ...]]], contrasts: Sequence[tuple[str, str, str]] = ()
    ) -> list[Panel]:
        """Every input and probe, then the groups of bands of each probe that has them, then contrasts of either.

        Args:
            band_groups: by probe and name, the inputs of each group.
            contrasts: an input or group, what is subtracted from it, and the probe of both; left out without results.
        """
        parts = {key: {key[0]: 1.0} for key in self.rows}
        parts |= {
            (name, probe): weights
            for probe, groups in band_groups.items()
            for name, weights in band_parts(groups).items()
        }
        for first, second, probe in contrasts:
            if {(first, probe), (second, probe)} <= parts.keys():
                parts[contrast_name(first, second), probe] = _minus(parts[first, probe], parts[second, probe])
        rows = {key: self._rows_of_all(key[1], weights) for key, weights in parts.items()}
        return [Panel(*key, rows[key], weights) for key, weights in parts.items() if rows[key]]

    def _rows_of_all(self, probe: str, parts: dict[str, float]) -> tuple[RowIdentity, ...]:
        """Rows that have a result on every one of the inputs."""
        each = [self.rows.get((part, probe), {}) for part in parts]
        return tuple(row for row in each[0] if all(row in rows for rows in each))

    # ------------------------------------------------------------------------------------------------ of one row

    def members(self, panel: Panel, row: RowIdentity) -> list[tuple[float, RowResults]]:
        """The row on each of the panel's inputs, with the input's weight."""
        return [(weight, self.rows[part, panel.probe][row]) for part, weight in panel.parts.items()]

    def per_replicate(self, panel: Panel, row: RowIdentity, metric: str) -> dict[int, float]:
        """The row's value in each replicate that it has on all the panel's inputs."""
        members = [
            (w, dict(zip(one.replicates, self._values(one, metric), strict=True)))
            for w, one in self.members(panel, row)
        ]
        common = [number for number in members[0][1] if all(number in values for _, values in members)]
        return {number: float(sum(w * values[number] for w, values in members)) for number in common}

    def value(self, panel: Panel, row: RowIdentity, metric: str) -> float:
        """The row's value: the weighted sum over the panel's inputs of the mean over replicates."""
        return float(sum(w * self._values(one, metric).mean() for w, one in self.members(panel, row)))

    def _values(self, one: RowResults, metric: str) -> np.ndarray:
        """The metric of the whole test set in each replicate; NaN where it needs scores and there are none."""
        if not metrics.find(metric).needs_scores:
            return self._measure(metric)(one.matrices.sum(0))
        if one.scores is None:
            return np.full(len(one.replicates), np.nan)
        once = np.ones((1, self.groups))
        return np.concatenate([self._scored(metric, scores, once) for scores in one.scores])

    def left_out(self, panel: Panel, row: RowIdentity, metric: str) -> LeftOut | None:
        """What becomes of the row's value without parts of the experiment; None where it needs scores and has none."""
        members = self.members(panel, row)
        if metrics.find(metric).needs_scores and any(one.scores is None for _, one in members):
            return None
        if len({one.replicates for _, one in members}) > 1:
            return None
        return left_out.weighted_sum(
            [(w, self._without(one, metric, range(len(one.replicates)))) for w, one in members]
        )

    def _without(self, one: RowResults, metric: str, index: Sequence[int]) -> LeftOut:
        # each row is taken apart once: its value, its comparisons and means over bands share it
        key = (id(one), metric, tuple(index))
        if key not in self._left_out:
            self._left_out[key] = self._take_apart(one, metric, list(index))
        return self._left_out[key]

    def _take_apart(self, one: RowResults, metric: str, index: list[int]) -> LeftOut:
        if not metrics.find(metric).needs_scores:
            return left_out.of_matrices(one.matrices[:, index], one.by_fold[:, index], self._measure(metric), self.fold)
        assert one.scores is not None
        return left_out.of_scores(
            one.scores[index],
            lambda scores, weights: self._weighted(metric, scores, weights),
            self.codes,
            self.unit_fold,
        )

    def _weighted(self, metric: str, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """A metric of class scores for several weightings of the units."""
        return np.concatenate([self._score(metric)(self.y_true, scores, some) for some in _parts(weights, scores.size)])

    def _scored(self, metric: str, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """A metric of class scores for several weightings of the groups."""
        return self._weighted(metric, scores, weights[:, self.codes])

    # ----------------------------------------------------------------------------------------------- of two rows

    def difference(self, panel: Panel, a: RowIdentity, b: RowIdentity, metric: str) -> Difference | None:
        """Row a minus row b; None where no replicates pair, or the metric needs scores that are not there."""
        differences = [(w, self._difference(part, panel.probe, a, b, metric)) for part, w in panel.parts.items()]
        known = [(w, one) for w, one in differences if one is not None]
        if len(known) < len(differences) or len({len(one.value) for _, (one, _, _) in known}) > 1:
            return None
        weights = tuple(w for w, _ in known)
        parts, flips, by_group = zip(*(one for _, one in known), strict=True)
        flips, by_group = (
            np.sum([w * x for w, x in zip(weights, some, strict=True)], axis=0) for some in (flips, by_group)
        )
        return Difference(parts, weights, flips, by_group)

    def _difference(
        self, part: str, probe: str, a: RowIdentity, b: RowIdentity, metric: str
    ) -> tuple[LeftOut, np.ndarray, np.ndarray] | None:
        first, second = self.rows[part, probe][a], self.rows[part, probe][b]
        pairs = replicate_pairs(first.replicates, second.replicates)
        if not pairs or (metrics.find(metric).needs_scores and (first.scores is None or second.scores is None)):
            return None
        ia, ib = map(list, zip(*pairs, strict=True))
        apart = [
            self._without(one, metric, index).repeated(len(pairs) // len(index))
            for one, index in ((first, list(dict.fromkeys(ia))), (second, list(dict.fromkeys(ib))))
        ]
        ma, mb = first.matrices[:, ia], second.matrices[:, ib]
        if metrics.find(metric).needs_scores:
            flips = np.mean([self._swapped(metric, first.scores[i], second.scores[j]) for i, j in pairs], axis=0)  # type: ignore[index]
        else:
            measure = self._measure(metric)
            flips = resample.paired_flips(ma, mb, self.signs, lambda cm: measure(cm).mean(-1))
        difference = left_out.weighted_sum([(1.0, apart[0]), (-1.0, apart[1])])
        return difference, flips, (self._of_each_group(ma) - self._of_each_group(mb)).mean(1)

    def _of_each_group(self, matrices: np.ndarray) -> np.ndarray:
        """How each group came out in each replicate: its accuracy, or mean squared error."""
        if self.regression:
            return matrices[..., metrics.E2] / matrices[..., metrics.N]
        return (share_right_by_class if self.multi_label else share_right)(matrices)

    def _swapped(self, metric: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """`resample.paired_flips` for class scores: both rows' units in one list, of which each side takes half."""
        y, scores, changes = np.concatenate([self.y_true] * 2), np.concatenate([a, b]), []
        for signs in _parts(self.signs, scores.size):
            own = (signs > 0).astype(np.float64)[:, self.codes]
            sides = (np.concatenate(pair, axis=1) for pair in ((own, 1 - own), (1 - own, own)))
            first, second = (self._score(metric)(y, scores, weights) for weights in sides)
            changes.append(first - second)
        return np.concatenate(changes)


def replicate_pairs(a: tuple[int, ...], b: tuple[int, ...]) -> list[tuple[int, int]]:
    """Positions of the replicates that are compared: those of the same number.

    A row with one replicate only (nothing random goes into it) stands against every replicate of the other.
    """
    if len(a) == 1 or len(b) == 1:
        return [(i, j) for i in range(len(a)) for j in range(len(b))]
    return [(i, b.index(number)) for i, number in enumerate(a) if number in b]


def _with_numbers(predictions: pd.DataFrame) -> pd.DataFrame:
    """The lines of a regression, with the numbers where the classes of others are.

    Raises:
        SwathError: some are missing.
    """
    numbers = predictions.reindex(columns=[*NUMBERS]).to_numpy(np.float64)
    if not np.isfinite(numbers).all():
        raise SwathError(
            "predictions of a regression have no finite number in value_true or value_pred",
            remedy="evaluate again: the task was another when these were made",
        )
    return predictions.assign(y_true=numbers[:, 0], y_pred=numbers[:, 1])


_UNIT = ["uid", "group", "fold", "y_true"]


def _truth(lines: pd.DataFrame) -> pd.DataFrame:
    """The units of a result, and how often each class, or number, is true in them."""
    return lines.groupby(_UNIT, sort=False, as_index=False).agg({"count": "sum"})


def _same_units(lines: pd.DataFrame, others: pd.DataFrame) -> bool:
    """Whether two results have the same truth line by line, as most have: to see that takes less than to sum it up."""
    return all(np.array_equal(lines[name].to_numpy(), others[name].to_numpy()) for name in (*_UNIT, "count"))


def _aligned(key: tuple, lines: pd.DataFrame, first: pd.DataFrame) -> pd.DataFrame:
    """The lines of a result, in the order of the first result's units.

    Raises:
        SwathError: they are of other units.
    """
    truth = _truth(lines)
    if truth.equals(first):
        return lines
    order = list(truth)
    if not truth.sort_values(order, ignore_index=True).equals(first.sort_values(order, ignore_index=True)):
        raise _other_units(key, truth, first)
    position = {uid: i for i, uid in enumerate(dict.fromkeys(first["uid"]))}
    return lines.iloc[np.argsort([position[uid] for uid in lines["uid"]], kind="stable")]


def _other_units(key: tuple, truth: pd.DataFrame, first: pd.DataFrame) -> SwathError:
    """Which units of a result are not those of the first one, such as where runs with different splits are compared."""
    name, probe, row, *_, replicate = key
    own, others = _by_uid(truth), _by_uid(first)
    different = {
        "are in no other row": [uid for uid in own if uid not in others],
        "are missing": [uid for uid in others if uid not in own],
        "have another group, fold or label": [uid for uid in own if uid in others and own[uid] != others[uid]],
    }
    said = [f"{len(uids):,} {difference} ({_some(uids)})" for difference, uids in different.items() if uids]
    return SwathError(
        f"the evaluation units of row {row!r} are not those of the task's other rows, so they cannot be paired: "
        f"{'; '.join(said)}",
        where=f"input {name}, probe {probe}, replicate {replicate}",
        remedy="compare rows of the same split; in a run, remove its evaluate folder and evaluate again",
    )


def _by_uid(truth: pd.DataFrame) -> dict[str, list[tuple]]:
    """What each unit is, whatever the order of its lines."""
    by_uid: dict[str, list[tuple]] = {}
    for uid, *content in truth.itertuples(index=False, name=None):
        by_uid.setdefault(uid, []).append(tuple(content))
    return {uid: sorted(lines) for uid, lines in by_uid.items()}


def _some(uids: Sequence[str], most: int = 3) -> str:
    return ", ".join(uids[:most]) + (", ..." if len(uids) > most else "")


def _parts(weights: np.ndarray, size: int) -> list[np.ndarray]:
    """Weightings in parts, so that one for each of `size` scores fits into memory."""
    return np.array_split(weights, -(-len(weights) * size // _MOST_WEIGHTS))


def _classes(predictions: pd.DataFrame, *, multi_label: bool) -> int:
    largest = int(predictions[["y_true", "y_pred"]].to_numpy().max())
    if not multi_label:
        return largest + 1
    # a class that no unit has, and none is said to have, still has scores
    return max([largest.bit_length(), *(len(scores) for scores in predictions["score"].head(1) if np.ndim(scores))])


Tally = Callable[[pd.DataFrame, str, np.ndarray], np.ndarray]
"""Lines, a column, and its values, to the confusion matrix (or the sums) of the lines that have each of the values."""


GroupsAndFolds = tuple[np.ndarray, np.ndarray]
"""Names of the groups, and fold number of each."""


def _rows(results: dict[tuple, pd.DataFrame], parts: GroupsAndFolds, tally: Tally) -> dict:
    collected: dict[tuple[str, str], dict[RowIdentity, list[tuple[int, pd.DataFrame]]]] = {}
    for (name, probe, *row, replicate), lines in results.items():
        collected.setdefault((name, probe), {}).setdefault(RowIdentity(*row), []).append((int(replicate), lines))
    return {
        panel: {row: _row_results(replicates, parts, tally) for row, replicates in rows.items()}
        for panel, rows in collected.items()
    }


def _row_results(replicates: list[tuple[int, pd.DataFrame]], parts: GroupsAndFolds, tally: Tally) -> RowResults:
    replicates = sorted(replicates, key=lambda pair: pair[0])
    scores = [_scores(list(lines["score"])) for _, lines in replicates]
    complete = [s for s in scores if s is not None]
    return RowResults(
        replicates=tuple(number for number, _ in replicates),
        matrices=np.stack([tally(lines, "group", parts[0]) for _, lines in replicates], axis=1),
        by_fold=np.stack([tally(lines, "fold", parts[1]) for _, lines in replicates], axis=1),
        scores=np.stack(complete) if len(complete) == len(scores) else None,
    )


def _matrices(lines: pd.DataFrame, by: str, values: np.ndarray, classes: int) -> np.ndarray:
    """Confusion matrices of the lines that have each of a column's values."""
    y_true, y_pred = (lines[column].to_numpy(np.int64) for column in ("y_true", "y_pred"))
    code = pd.Categorical(lines[by], categories=values).codes.astype(np.int64)
    entry = (code * classes + y_true) * classes + y_pred
    counts = np.bincount(entry, weights=lines["count"], minlength=len(values) * classes**2)
    return counts.reshape(len(values), classes, classes)


def _by_class(lines: pd.DataFrame, by: str, values: np.ndarray, classes: int) -> np.ndarray:
    """As `_matrices`, of each class by itself: g k 2 2."""
    y_true, y_pred = (unpacked(lines[column].to_numpy(np.int64), classes) for column in ("y_true", "y_pred"))
    code = pd.Categorical(lines[by], categories=values).codes.astype(np.int64)
    entry = ((code[:, None] * classes + np.arange(classes)) * 2 + y_true) * 2 + y_pred
    counts = np.bincount(entry.ravel(), minlength=len(values) * classes * 4).astype(np.float64)
    return counts.reshape(len(values), classes, 2, 2)


def _sums(lines: pd.DataFrame, by: str, values: np.ndarray, zero: float) -> np.ndarray:
    """As `_matrices`, of a regression: `metrics.error_sums`, g 5, with numbers counted from `zero`."""
    code = pd.Categorical(lines[by], categories=values).codes.astype(np.int64)
    y_true, y_pred = (lines[column].to_numpy(np.float64) - zero for column in ("y_true", "y_pred"))
    return metrics.error_sums(y_true, y_pred, code, len(values))


def _scores(column: list) -> np.ndarray | None:
    # a missing list is None in memory and may be NaN once it has been through a file
    if any(scores is None or np.ndim(scores) == 0 for scores in column):
        return None
    return np.stack([np.asarray(scores, dtype=np.float64) for scores in column])


def _minus(first: dict[str, float], second: dict[str, float]) -> dict[str, float]:
    return {key: first.get(key, 0.0) - second.get(key, 0.0) for key in {**first, **second}}


def contrast_name(first: str, second: str) -> str:
    """What tables call the difference between two inputs, or two groups of bands."""
    return f"{first} minus {second}"


def band_parts(groups: dict[str, tuple[str, ...]]) -> dict[str, dict[str, float]]:
    """Weights of the inputs in each mean over bands, and in the contrast if there are two groups beside `all`."""
    means = {f"{name} bands": {key: 1 / len(keys) for key in keys} for name, keys in groups.items() if keys}
    pair = [name for name in means if name != "all bands"]
    if len(pair) == 2 and not means[pair[0]].keys() & means[pair[1]].keys():
        first, second = (means[name] for name in pair)
        means[contrast_name(pair[1], pair[0])] = second | {key: -weight for key, weight in first.items()}
    return means
