"""How often equal methods are called different: type-I error and coverage of `swath.tasks.spread`, by simulation."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import special

from benchmarks import Result, on_one_core, versions
from swath.tasks import Spread, spread
from swath.tasks.metrics import METRICS, SCORED

CLASSES, UNITS = 4, 40
"""Of a group, on average."""
PLACE_POINTS, CELL_POINTS = 6.0, 3.0
"""Standard deviations, in points of accuracy: a method in a place, and one training of it in a place."""
NAMES = ("accuracy", "macro_f1", "miou", "macro_ap")
LEVEL, FEW = 0.05, 8.0
"""Level of the test, and the effective number of groups below which no verdict is given."""
TRAININGS = 3
"""Fewer give no verdict."""


@dataclass(frozen=True)
class Design:
    """What is simulated."""

    groups: int
    trainings: int
    points: float
    """Standard deviation between trainings, in points of accuracy."""
    one_has_half: bool
    """One group holds half of all units."""

    @property
    def sizes(self) -> np.ndarray:
        if not self.one_has_half:
            return np.full(self.groups, UNITS)
        return np.r_[UNITS * (self.groups - 1), np.full(self.groups - 1, UNITS)]

    @property
    def effective_groups(self) -> float:
        share = self.sizes / self.sizes.sum()
        return float(1 / (share**2).sum())

    @property
    def is_judged(self) -> bool:
        return self.trainings >= TRAININGS and self.effective_groups >= FEW


def run(quick: bool = False) -> Result:
    on_one_core()
    number, scored = (40, 8) if quick else (1000, 200)
    designs = [
        Design(*one)
        for one in itertools.product((6, 18, 60), (2, 3, 5, 10), (0.0, 2.0, 4.0), (False, True))
        if not quick or one[1] < 10
    ]
    both = {design: _errors(design, number, scored) for design in designs}
    errors, by_satterthwaite = ({design: found[k] for design, found in both.items()} for k in (0, 1))
    _print(errors)
    worst, other = (
        max(error for design, found in one.items() if design.is_judged for error in found.values())
        for one in (errors, by_satterthwaite)
    )
    return Result(
        ours=worst,
        peer=0.06,
        ratio=worst / 0.06,
        unit="type-I error at a level of 0.05, worst of the designs that get a verdict",
        setting={
            "worst coverage of 95 % intervals": 1 - worst,
            "worst type-I error with Satterthwaite's degrees of freedom": other,
            "designs": len(designs),
            "with a verdict": sum(design.is_judged for design in designs),
            "experiments per design": number,
            "of macro AP": scored,
            "better": "lower",
        },
        versions=versions("numpy", "scipy"),
    )


def _errors(design: Design, number: int, scored: int) -> tuple[dict[str, float], dict[str, float]]:
    """Share of experiments in which two equal methods are told apart, by metric: by `spread`, and by Satterthwaite."""
    rng = np.random.default_rng([design.groups, design.trainings, int(design.points), design.one_has_half])
    found: dict[str, list[Spread]] = {name: [] for name in NAMES}
    for k in range(number):
        for name, one in _experiment(design, rng, with_scores=k < scored):
            found[name].append(one)
    tests = (Spread.p, _satterthwaite)
    ours, other = (
        {name: float(np.mean([p(one) < LEVEL for one in spreads])) for name, spreads in found.items()} for p in tests
    )
    return ours, other


def _satterthwaite(found: Spread) -> float:
    """The p by Student's t with one estimated number of degrees of freedom."""
    sources = (found.places, found.trainings)
    freedom = found.variance**2 / sum(source.variance**2 / source.freedom for source in sources)
    return float(2 * special.stdtr(freedom, -abs(found.value) / found.error))


def _experiment(design: Design, rng: np.random.Generator, *, with_scores: bool) -> Iterator[tuple[str, Spread]]:
    """Two methods of the same worth, trained and tested once: how their difference spreads, by metric."""
    group = np.repeat(np.arange(design.groups), design.sizes)
    mixes = rng.dirichlet(np.full(CLASSES, 0.7), design.groups) * 0.85 + 0.15 / CLASSES
    y = (rng.random(len(group))[:, None] > mixes.cumsum(axis=1)[group]).sum(axis=1).clip(max=CLASSES - 1)
    difficulty = rng.normal(0, 0.1, design.groups)
    rows = [_trained(design, rng, group, y, difficulty) for _ in range(2)]
    matrices = [_matrices(design, group, y, predicted) for predicted, _ in rows]
    for name in ("accuracy", "macro_f1", "miou"):
        measure = METRICS[name]
        yield name, _spread(*(_of_matrices(measure, one) for one in matrices))
    if with_scores:
        yield "macro_ap", _spread(*(_of_scores(design, group, y, scores) for _, scores in rows))


def _trained(design, rng, group, y, difficulty) -> tuple[np.ndarray, np.ndarray]:
    """Predictions and scores, "r n" and "r n k", of the trainings of one method."""
    in_place = rng.normal(0, PLACE_POINTS / 100, design.groups)
    predicted, scores = [], []
    for luck in rng.normal(0, design.points / 100, design.trainings):
        in_cell = rng.normal(0, CELL_POINTS / 100, design.groups)
        right = rng.random(len(y)) < (0.7 + difficulty + in_place + luck + in_cell).clip(0.05, 0.98)[group]
        wrong = (y + rng.choice([1, 2, 3], len(y), p=[0.5, 0.3, 0.2])) % CLASSES
        said = np.where(right, y, wrong)
        predicted.append(said)
        scores.append(np.eye(CLASSES)[said] + rng.normal(0, 0.5, (len(y), CLASSES)))
    return np.stack(predicted), np.stack(scores)


def _matrices(design: Design, group: np.ndarray, y: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Confusion matrices by group and training."""
    training = np.arange(design.trainings)[:, None]
    entry = ((group * design.trainings + training) * CLASSES + y) * CLASSES + predicted
    counts = np.bincount(entry.ravel(), minlength=design.groups * design.trainings * CLASSES**2)
    return counts.reshape(design.groups, design.trainings, CLASSES, CLASSES).astype(float)


def _of_matrices(measure, matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The metric of all groups and without each."""
    total = matrices.sum(axis=0)
    return measure(total), measure(total - matrices)


def _of_scores(design: Design, group: np.ndarray, y: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    weights = np.r_[np.ones((1, design.groups)), 1 - np.eye(design.groups)][:, group]
    found = np.stack([SCORED["macro_ap"](np.eye(CLASSES, dtype=int)[y], one, weights) for one in scores], axis=1)
    return found[0], found[1:]


def _spread(a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray]) -> Spread:
    value, without_place = (one - other for one, other in zip(a, b, strict=True))
    others = (value.sum() - value) / (len(value) - 1) - value
    return spread(value, without_place, others[None], np.zeros(len(without_place), int))


def _print(errors: dict[Design, dict[str, float]]) -> None:
    table = Table("groups", "effective", "trainings", "SD", *NAMES, "verdict", title="type-I error, %")
    for d, found in errors.items():
        row = (d.groups, f"{d.effective_groups:.1f}", d.trainings, f"{d.points:g}")
        table.add_row(*map(str, row), *(f"{100 * found[name]:.1f}" for name in NAMES), "yes" if d.is_judged else "no")
    Console(stderr=True).print(table)
