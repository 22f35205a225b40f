"""How often equal methods are called different: type-I error and coverage of `swath.tasks.spread`, by simulation.

All takes 10 minutes of one core. Each design that is finished is kept in `runs/calibration`, so that the command
continues where it was stopped; a change of the code, here or of the statistics, computes everything anew.
"""

import hashlib
import itertools
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import special

from benchmarks import Result, on_one_core, versions
from swath._files import write_whole
from swath._progress import bar
from swath.tasks import Spread, has_verdict, metrics, number_of_equal_groups, spread

CLASSES, UNITS = 4, 40
"""Of a group, on average."""
PLACE_POINTS, CELL_POINTS = 6.0, 3.0
"""Standard deviations, in points of accuracy: a method in a group, and one training of it in a group."""
ACCURACY, BETTER = 0.7, 0.05
"""Of two equal methods on average, and by how much a third is better."""
NAMES = ("accuracy", "macro_f1", "miou", "macro_ap")
LEVEL = 0.05
SCORE_STEP = 0.25
NOISE = np.rint(special.ndtri((np.arange(2**16) + 0.5) / 2**16) * 0.5 / SCORE_STEP).astype(int)
"""Quantiles of N(0, 0.5), which is what scores hold beside the predicted class, in steps: average precision of rounded
scores needs counts instead of sorted lists."""
SCORE_LEVELS = int(np.ptp(NOISE)) + int(1 / SCORE_STEP) + 1
EXPERIMENTS, EXPERIMENTS_WITHOUT_VERDICT = 2000, 200
MEASURES = {name: metrics.find(name).of_matrices(multi_label=False) for name in ("accuracy", "macro_f1", "miou")}
ROOT = Path(__file__).parents[1]
KEPT = ROOT / "runs" / "calibration"
CODE = ("benchmarks/calibration.py", "swath/tasks/statistics/jackknife.py", "swath/tasks/metrics/_confusion.py")
"""What the rates depend on."""


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
    def name(self) -> str:
        return "-".join(map(str, (self.groups, self.trainings, f"{self.points:g}", int(self.one_has_half))))

    @property
    def equal_groups(self) -> float:
        return number_of_equal_groups(self.sizes)

    @property
    def has_verdict(self) -> bool:
        return has_verdict(self.trainings, self.sizes)


@dataclass(frozen=True)
class Rates:
    """Of one design and metric."""

    error: float
    """Share of experiments in which two equal methods are told apart at a level of 0.05."""
    coverage: float
    """Share of 95 % intervals that hold the difference between a better method and another."""
    error_by_satterthwaite: float
    """`error` with the degrees of freedom that are usual."""


def run(quick: bool = False) -> Result:
    on_one_core()
    designs = [
        Design(*one)
        for one in itertools.product((6, 18, 60), (2, 3, 5, 10), (0.0, 2.0, 4.0), (False, True))
        if not quick or (one[0] < 60 and one[1] < 5)
    ]
    rates = _all_rates(designs, quick=quick)
    _print(rates)
    judged = [found for design, by_metric in rates.items() if design.has_verdict for found in by_metric.values()]
    worst = max(found.error for found in judged)
    return Result(
        ours=worst,
        peer=0.06,
        ratio=worst / 0.06,
        unit="type-I error at a level of 0.05, worst of the designs that get a verdict",
        setting={
            "worst coverage of 95 % intervals": min(found.coverage for found in judged),
            "worst type-I error with Satterthwaite's degrees of freedom": max(f.error_by_satterthwaite for f in judged),
            "designs": len(designs),
            "with a verdict": sum(design.has_verdict for design in designs),
            "experiments a design with a verdict": _number(judged=True, quick=quick),
            "better": "lower",
        },
        versions=versions("numpy", "scipy"),
    )


def _number(*, judged: bool, quick: bool) -> int:
    if quick:
        return 20
    return EXPERIMENTS if judged else EXPERIMENTS_WITHOUT_VERDICT


def _all_rates(designs: list[Design], *, quick: bool) -> dict[Design, dict[str, Rates]]:
    rates = {}
    with bar() as progress:
        line = progress.add_task("simulating", total=len(designs))
        for design in designs:
            rates[design] = _rates(design, quick=True) if quick else _kept_rates(design)
            progress.advance(line)
    return rates


def _kept_rates(design: Design) -> dict[str, Rates]:
    """The rates of a design, from its file if they are there and of this code."""
    file = KEPT / f"{design.name}.json"
    if file.exists():
        kept = json.loads(file.read_text())
        if kept["code"] == _code():
            return {name: Rates(**found) for name, found in kept["rates"].items()}
    rates = _rates(design, quick=False)
    KEPT.mkdir(parents=True, exist_ok=True)
    write_whole(file, json.dumps({"code": _code(), "rates": {name: asdict(found) for name, found in rates.items()}}))
    return rates


@cache
def _code() -> str:
    """Hash of what the rates depend on."""
    return hashlib.sha256(b"".join((ROOT / name).read_bytes() for name in CODE)).hexdigest()[:16]


def _rates(design: Design, *, quick: bool) -> dict[str, Rates]:
    rng = np.random.default_rng([design.groups, design.trainings, int(design.points), design.one_has_half])
    experiments = [_experiment(design, rng) for _ in range(_number(judged=design.has_verdict, quick=quick))]
    return {name: _rates_of(*zip(*(one[name] for one in experiments), strict=True)) for name in NAMES}


def _rates_of(equal: tuple[Spread, ...], unequal: tuple[Spread, ...]) -> Rates:
    truth = float(np.mean([one.value for one in unequal]))
    return Rates(
        error=1 - float(np.mean([_holds(one, 0.0) for one in equal])),
        coverage=float(np.mean([_holds(one, truth) for one in unequal])),
        error_by_satterthwaite=float(np.mean([_satterthwaite(one) < LEVEL for one in equal])),
    )


def _holds(found: Spread, truth: float) -> bool:
    low, high = found.interval(1 - LEVEL)
    return low <= truth <= high


def _satterthwaite(found: Spread) -> float:
    """The p by Student's t with one estimated number of degrees of freedom."""
    sources = (found.places, found.trainings)
    freedom = found.variance**2 / sum(source.variance**2 / source.freedom for source in sources)
    return float(2 * special.stdtr(freedom, -abs(found.value) / found.error))


def _experiment(design: Design, rng: np.random.Generator) -> dict[str, tuple[Spread, Spread]]:
    """Two equal methods and a better one, trained and tested once.

    Returns:
        By metric, how the difference between the equal ones spreads, and that between the better and the first.
    """
    group = np.repeat(np.arange(design.groups), design.sizes)
    mixes = rng.dirichlet(np.full(CLASSES, 0.7), design.groups) * 0.85 + 0.15 / CLASSES
    y = (rng.random(len(group))[:, None] > mixes.cumsum(axis=1)[group]).sum(axis=1).clip(max=CLASSES - 1)
    difficulty = rng.normal(0, 0.1, design.groups)
    methods = [
        dict(_values(design, group, y, _predicted(design, rng, group, y, difficulty + ACCURACY + gain), rng))
        for gain in (0.0, 0.0, BETTER)
    ]
    first, other, better = methods
    return {name: (_spread(first[name], other[name]), _spread(better[name], first[name])) for name in NAMES}


def _predicted(design: Design, rng: np.random.Generator, group: np.ndarray, y: np.ndarray, right: np.ndarray):
    """Predicted classes, "trainings units", of one method that is right so often in each group."""
    shape = (design.trainings, design.groups)
    luck = rng.normal(0, design.points / 100, (design.trainings, 1))
    in_place = rng.normal(0, PLACE_POINTS / 100, design.groups)
    chance = (right + in_place + luck + rng.normal(0, CELL_POINTS / 100, shape)).clip(0.05, 0.98)[:, group]
    drawn = rng.random(chance.shape)
    # wrong ones are taken for the next class, the one after it or the third, in shares of 0.5, 0.3 and 0.2
    beyond = (drawn - chance) / (1 - chance)
    step = (beyond > 0).astype(int) + (beyond > 0.5) + (beyond > 0.8)
    return (y + step) % CLASSES


Values = tuple[np.ndarray, np.ndarray]
"""A metric by training, of all groups, "r", and without each, "g r"."""


def _values(design: Design, group, y, predicted, rng) -> Iterator[tuple[str, Values]]:
    """Each metric of one method."""
    matrices = _counts(design, group, y * CLASSES + predicted, CLASSES**2)
    matrices = matrices.reshape(design.groups, design.trainings, CLASSES, CLASSES)
    for name, measure in MEASURES.items():
        yield name, _with_and_without(measure, matrices)
    yield "macro_ap", _with_and_without(macro_ap, _scored(design, group, y, predicted, rng))


def _counts(design: Design, group: np.ndarray, entry: np.ndarray, entries: int) -> np.ndarray:
    """How often each entry occurs, by group and training; `entry` is "r n", or "r n k"."""
    cell = group * design.trainings + np.arange(design.trainings)[:, None]
    at = cell.reshape(*cell.shape, *[1] * (entry.ndim - 2)) * entries + entry
    counts = np.bincount(at.ravel(), minlength=design.groups * design.trainings * entries)
    return counts.astype(float)


def _with_and_without(measure, counts: np.ndarray) -> Values:
    total = counts.sum(axis=0)
    return measure(total), measure(total - counts)


def _scored(design: Design, group, y, predicted, rng) -> np.ndarray:
    """How many units have each class score, by group, training and class, apart for those that are of the class."""
    classes = np.arange(CLASSES)
    noise = NOISE[rng.integers(0, len(NOISE), (*predicted.shape, CLASSES), dtype=np.uint16)]
    level = noise - NOISE.min() + (predicted[..., None] == classes) * int(1 / SCORE_STEP)
    is_there = (y[:, None] == classes).astype(int)
    entry = (classes * 2 + is_there) * SCORE_LEVELS + level
    shape = (design.groups, design.trainings, CLASSES, 2, SCORE_LEVELS)
    return _counts(design, group, entry, CLASSES * 2 * SCORE_LEVELS).reshape(shape)


def macro_ap(counts: np.ndarray) -> np.ndarray:
    """Mean over classes of the average precision.

    Args:
        counts: of units by class, whether they are of it, and score from the lowest, "... k 2 s".
    """
    above = counts[..., ::-1].cumsum(axis=-1)
    hits, said = above[..., 1, :], above.sum(axis=-2)
    precision = np.divide(hits, said, out=np.zeros_like(hits), where=said > 0)
    weighted = (counts[..., 1, ::-1] * precision).sum(axis=-1)
    each = np.divide(weighted, hits[..., -1], out=np.full(weighted.shape, np.nan), where=hits[..., -1] > 0)
    return np.nanmean(each, axis=-1)


def _spread(a: Values, b: Values) -> Spread:
    value, without_place = (one - other for one, other in zip(a, b, strict=True))
    others = (value.sum() - value) / (len(value) - 1) - value
    return spread(value, without_place, others[None], np.zeros(len(without_place), int))


def _print(rates: dict[Design, dict[str, Rates]]) -> None:
    for title, name in (("type-I error, %", "error"), ("coverage of 95 % intervals, %", "coverage")):
        table = Table("groups", "in effect", "trainings", "SD", *NAMES, "verdict", title=title)
        for d, by_metric in rates.items():
            row = (d.groups, f"{d.equal_groups:.1f}", d.trainings, f"{d.points:g}")
            shares = (f"{100 * getattr(found, name):.1f}" for found in by_metric.values())
            table.add_row(*map(str, row), *shares, "yes" if d.has_verdict else "no")
        Console(stderr=True, width=100).print(table)
