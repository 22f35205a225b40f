"""How many labels pre-training saves, and where another row catches up: read off curves of value against labels.

Between measured numbers of labels a curve is a straight line in their logarithm, so its value there is a weighted sum
of measured values, and so is its difference from another row's value: interval and test of that are those of any
difference (`jackknife`). The interval of a number of labels is the set of numbers at which that difference is not
distinguishable from 0 (as Fieller's interval of a ratio is made), its gaps filled. Nothing is extrapolated: where the
set goes on beyond the curve's ends, it is open there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from swath.tasks.statistics.left_out import LeftOut, weighted_sum
from swath.tasks.statistics.panels import RowIdentity
from swath.tasks.statistics.summary import spread_of

STEPS, HALVINGS = 40, 8
"""A curve is looked at in so many steps, equal in log labels; an end within a step is halved down to so many times."""


@dataclass(frozen=True, eq=False)
class LabelCurve:
    """A row's value at several numbers of labels, with parts of the experiment left out."""

    row: RowIdentity
    labels: Float[np.ndarray, " k"]
    """Ascending."""
    parts: tuple[LeftOut, ...]
    """The value at each of them, of the same replicates."""

    def at(self, labels: float) -> LeftOut:
        """The value at a number of labels within the curve."""
        logs = np.log(self.labels)
        i = int(np.clip(np.searchsorted(logs, np.log(labels), side="right") - 1, 0, len(logs) - 2))
        share = float((np.log(labels) - logs[i]) / (logs[i + 1] - logs[i]))
        return weighted_sum([(1 - share, self.parts[i]), (share, self.parts[i + 1])])


@dataclass(frozen=True, slots=True)
class Reading:
    """A number read off curves, with its interval; where a curve ends, only that it lies beyond is known."""

    value: float
    low: float
    high: float
    beyond: str = ""
    """`more` or `less` than `value`, which is then the last that the curves say; else empty."""
    is_low_open: bool = False
    """Whether the interval goes on below `low`; so `is_high_open` above `high`."""
    is_high_open: bool = False


def labels_saved(a: LabelCurve, b: LabelCurve, labels: float, *, lower_is_better: bool = False) -> Reading:
    """By what factor row a needs fewer labels for what row b reaches with so many.

    Args:
        a: curve that is read.
        b: curve that has the value.
        labels: of row b, within its curve.
        lower_is_better: of the metric.
    """
    aim = b.at(labels)
    found = _search(a.labels, _gain(lambda n: a.at(n), lambda _: aim, [a.row, b.row], lower_is_better))
    beyond = {"more": "less", "less": "more", "": ""}[found.beyond]
    return Reading(
        labels / found.value, labels / found.high, labels / found.low, beyond, found.is_high_open, found.is_low_open
    )


def crossover(a: LabelCurve, b: LabelCurve, *, lower_is_better: bool = False) -> Reading | None:
    """With how many labels row b has caught up with row a, which is ahead with few.

    Args:
        a: curve of the row that is ahead.
        b: the other's.
        lower_is_better: of the metric.

    Returns:
        The number of labels; None where a is not ahead with the fewest labels.
    """
    labels = np.unique(np.concatenate([a.labels, b.labels]))
    labels = labels[(labels >= max(a.labels[0], b.labels[0])) & (labels <= min(a.labels[-1], b.labels[-1]))]
    behind = _gain(lambda n: b.at(n), lambda n: a.at(n), [a.row, b.row], lower_is_better)
    return _search(labels, behind) if behind(labels[0])[0] < 0 else None


Gain = Callable[[float], tuple[float, int]]
"""From a number of labels to a difference and its sign: 0 where it is not distinguishable from 0."""


def _gain(
    first: Callable[[float], LeftOut],
    second: Callable[[float], LeftOut],
    rows: Sequence[RowIdentity],
    lower_is_better: bool,
) -> Gain:
    sign = -1.0 if lower_is_better else 1.0

    def gain(labels: float) -> tuple[float, int]:
        apart = weighted_sum([(sign, first(labels)), (-sign, second(labels))])
        low, high = spread_of(apart, rows)[0].interval()
        return float(apart.value.mean()), int(low > 0) - int(high < 0)

    return gain


def _search(ends: Float[np.ndarray, " k"], gain: Gain) -> Reading:
    """The number of labels from which a difference that rises with labels is above 0, and the interval of it."""
    grid = np.unique(np.concatenate([np.geomspace(ends[0], ends[-1], STEPS + 1).clip(ends[0], ends[-1]), ends]))
    values, signs = zip(*map(gain, grid), strict=True)
    low, is_low_open = _first(grid, [sign >= 0 for sign in signs], lambda n: gain(n)[1] >= 0)
    high, is_high_open = _first(grid[::-1], [sign <= 0 for sign in signs[::-1]], lambda n: gain(n)[1] <= 0)
    value, is_at_start = _first(grid, [one >= 0 for one in values], lambda n: gain(n)[0] >= 0)
    beyond = "less" if is_at_start else "" if max(values) >= 0 else "more"
    # where no number is so far above, or below, the curve ends before the interval begins
    is_low_open = is_low_open or all(sign > 0 for sign in signs)
    is_high_open = is_high_open or all(sign < 0 for sign in signs)
    return Reading(value, low, high, beyond, is_low_open, is_high_open)


def _first(grid: Float[np.ndarray, " n"], holds: Sequence[bool], test: Callable[[float], bool]) -> tuple[float, bool]:
    """The first number at which a condition holds, and whether that is where the grid begins; its end if none does."""
    i = next((i for i, held in enumerate(holds) if held), len(grid))
    if i == 0 or i == len(grid):
        return float(grid[0 if i == 0 else -1]), i == 0
    before, after = float(grid[i - 1]), float(grid[i])
    for _ in range(HALVINGS):
        middle = float(np.sqrt(before * after))
        before, after = (before, middle) if test(middle) else (middle, after)
    return after, False
