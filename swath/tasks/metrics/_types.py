"""What a metric is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np

OfMatrices = Callable[[np.ndarray], np.ndarray]
"""A function from confusion matrices, shape (..., classes, classes), to values (...); NaN for a matrix without
a unit. Multi-label units have a matrix for each class: (..., classes, 2, 2)."""
OfScores = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""A function from truth, class scores (units, classes) and weights of the units (weightings, units) to a value
for each weighting; NaN where it is not defined. The truth of multi-label units is 0 or 1 for each class."""

OfSums = Callable[[np.ndarray], np.ndarray]
"""A function from sums over units with numbers, shape (..., 5), to values (...): n and the sums of y, of y squared, of
squared errors and of absolute errors; NaN where it is not defined."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric: one number for the predictions of a whole test set, and everything that others need to know
    about it.
    """

    name: str
    """Name in recipes and tables: that of its module."""
    label: str
    """Name that people are shown."""
    unit: Literal["share", "number", "target"] = "share"
    """Unit of its values; a share of 1 is shown in percent, and `target` means the unit of the estimated numbers."""
    better: Literal["higher", "lower"] = "higher"
    """Whether higher or lower values are better."""
    single_label: OfMatrices | OfScores | None = None
    """Its function for units with one class each; None: it does not apply to them."""
    multi_label: OfMatrices | OfScores | None = None
    """Its function for units with several classes; None: it does not apply to them."""
    numbers: OfSums | None = None
    """Its function for units with numbers, in a regression; None: it does not apply to them."""
    needs_scores: bool = False
    """Whether it is computed from class scores instead of confusion matrices."""
    per_pixel: bool = True
    """Whether it applies to pixels too, whose scores are not kept."""
    averages_classes: bool = False
    """Whether it is a mean over classes, in which a rare class counts as much as any other."""
    ranks: bool = True
    """Whether rows may be ranked and compared by it."""

    def in_words(self, size: float, unit: str = "") -> str:
        """The size of a difference as people read it: `3.1 points` of a share; any other number as it is.

        Args:
            size: of the difference.
            unit: of the numbers of a regression.
        """
        if self.unit == "share":
            return f"{100 * size:.1f} points"
        return f"{size:.3g} {unit}".strip() if self.unit == "target" else f"{size:.3g}"

    def serves(self, *, multi_label: bool, per_pixel: bool = False, regression: bool = False) -> bool:
        """Whether it can judge such units."""
        function = self.numbers if regression else self.multi_label if multi_label else self.single_label
        return function is not None and (self.per_pixel or not per_pixel)

    def of_sums(self) -> OfSums:
        """Its function of the sums of a regression."""
        assert self.numbers is not None, f"{self.name} does not judge numbers"
        return self.numbers

    def of_matrices(self, *, multi_label: bool) -> OfMatrices:
        """Its function of confusion matrices, for such units."""
        assert not self.needs_scores
        return self._function(multi_label)  # pyright: ignore[reportReturnType]

    def of_scores(self, *, multi_label: bool) -> OfScores:
        """Its function of class scores, for such units."""
        assert self.needs_scores
        return self._function(multi_label)  # pyright: ignore[reportReturnType]

    def _function(self, multi_label: bool) -> OfMatrices | OfScores:
        function = self.multi_label if multi_label else self.single_label
        assert function is not None, f"{self.name} does not judge such units"
        return function


@runtime_checkable
class MetricPlugin(Protocol):
    """A module of this folder, or one that an installed package offers."""

    METRIC: Metric
