"""What goes into a probe, what comes out, and what one evaluation leaves.

Labels are a class per location, "n", or a class per pixel, "n h w"; `VOID` pixels have none and count nowhere. Where
locations have several classes they are 0 or 1 for each class, "n k". In a regression they are real numbers, "n".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float, Int, UInt8

from swath.errors import TrainingError

THRESHOLD = 0.5
"""Score above which a class is predicted where units have several classes."""


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Frozen features of the three parts of a split, and the labels of the two that may be learnt from."""

    train_x: Float[np.ndarray, "train d"]
    train_y: Int[np.ndarray, " train"] | Int[np.ndarray, "train classes"] | Float[np.ndarray, " train"]
    val_x: Float[np.ndarray, "val d"]
    val_y: Int[np.ndarray, " val"] | Int[np.ndarray, "val classes"] | Float[np.ndarray, " val"]
    test_x: Float[np.ndarray, "test d"]
    classes: int
    """Number of classes; labels are 0..classes-1, and a class may be missing from any part. 0 in a regression."""
    pool_x: Float[np.ndarray, "pool d"] = field(default_factory=lambda: np.empty((0, 0), np.float32))
    """Features of training and validation locations whose labels are missing or not used, for probes with a teacher."""
    teacher: "Features | None" = None
    """Features of the same locations that a probe's teacher reads, if it has one."""

    @property
    def multi_label(self) -> bool:
        """Whether a location may have several classes."""
        return self.train_y.ndim == 2

    @property
    def regression(self) -> bool:
        """Whether labels are real numbers."""
        return self.train_y.dtype.kind == "f"

    def without_validation(self) -> "Features":
        """The same features without the validation part, where its labels are not to be used."""
        return replace(self, val_x=self.val_x[:0], val_y=self.val_y[:0])


def concatenated(features: Sequence[Features]) -> Features:
    """Several features of the same locations, concatenated to longer ones."""
    first = features[0]
    joined = {name: np.concatenate([getattr(one, name) for one in features], axis=1) for name in _XS}
    return replace(first, **joined)


_XS = ("train_x", "val_x", "test_x", "pool_x")


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What a probe predicts for the test part."""

    y_pred: (
        Int[np.ndarray, " test"]
        | Int[np.ndarray, "test classes"]
        | Int[np.ndarray, "test h w"]
        | Float[np.ndarray, " test"]
    )
    """Predicted class of every unit or pixel, void ones included; 0 or 1 for each class where units have several; in a
    regression the estimated number of every unit."""
    scores: Float[np.ndarray, "test classes"] | None = None
    """Class scores: probabilities or vote shares in rows that sum to 1, or one probability for each class where
    units have several. None are kept for pixels."""
    uncertainty: UInt8[np.ndarray, "test h w"] | None = None
    """Entropy of each pixel's classes from 0 (sure) to 255 (all alike); None of locations, and where it is unknown."""
    validation: Float[np.ndarray, "val classes"] | None = None
    """Class scores of the validation part by a classifier that has not learnt from its labels, NaN where that cannot
    know the class; None where there is no such classifier, and of pixels, numbers and several classes a location."""
    under_clouds: Mapping[float, Int[np.ndarray, "..."]] = field(default_factory=dict)
    """By share of cloud painted over the test series, the same classifier's `y_pred`, where the task asks for it."""
    altered: "Mapping[str, Altered]" = field(default_factory=dict)
    """By key of the condition, what the same classifier says of the test part's images under it, where it is asked."""

    @classmethod
    def of(cls, scores: Float[np.ndarray, "test classes"], *, multi_label: bool) -> "Prediction":
        """The class with the highest score, or all classes with a score above a half."""
        return cls((scores > THRESHOLD).astype(np.int64) if multi_label else scores.argmax(axis=1), scores)

    @classmethod
    def of_numbers(cls, y_pred: Float[np.ndarray, " test"]) -> "Prediction":
        """The prediction of a regression from its estimates.

        Raises:
            TrainingError: an estimate is not finite.
        """
        if wrong := int((~np.isfinite(y_pred)).sum()):
            raise TrainingError(
                f"{wrong} of {len(y_pred)} estimates are not finite",
                remedy="regularise more, or train at a lower learning_rate",
            )
        return cls(y_pred.astype(np.float64))

    @classmethod
    def joined(cls, parts: Sequence["Prediction"]) -> "Prediction":
        """Predictions of consecutive parts of the test set, as one prediction of all of it."""
        scores = [part.scores for part in parts if part.scores is not None]
        unsure = [part.uncertainty for part in parts if part.uncertainty is not None]
        return cls(
            np.concatenate([part.y_pred for part in parts]),
            np.concatenate(scores) if scores else None,
            np.concatenate(unsure) if unsure else None,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Altered:
    """What is predicted under one condition."""

    prediction: Prediction
    hidden: bool
    """Whether the network was told that bands are missing, and did not see others in their place."""


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationUnits:
    """The evaluation units of a task's test part, the same for every row so that rows are paired."""

    uid: tuple[str, ...]
    """Id of the location in the corpus."""
    group: tuple[str, ...]
    """Group of each unit. Units of a group are not independent: resampling and tests go by group."""
    y_true: (
        Int[np.ndarray, " test"]
        | Int[np.ndarray, "test classes"]
        | Int[np.ndarray, "test h w"]
        | Float[np.ndarray, " test"]
    )

    def __len__(self) -> int:
        return len(self.uid)


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """One row's prediction for a task's test part on one input, read by one probe, or the reason why there is none."""

    input: str
    """Name of the input: a named list of bands, or a band key under a band-wise probe."""
    probe: str
    """Name of the probe in the tables."""
    prediction: Prediction | None = field(repr=False)
    """The prediction; None where it could not be computed, as `note` explains."""
    note: str = ""
    """What a reader must know about it."""
