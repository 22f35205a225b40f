"""Standardisation of features, and checks that every probe needs."""

import numpy as np
from jaxtyping import Float

from swath.errors import TrainingError
from swath.tasks._types import Features


class ZScore:
    """Zero mean and unit variance by the statistics of the training part; constant features become 0."""

    def __init__(self, train: Float[np.ndarray, "n d"]):
        self.mean = train.mean(axis=0, dtype=np.float64)
        std = train.std(axis=0, dtype=np.float64)
        # a feature that varies less than its float32 rounding is constant, and must not become amplified noise
        self.scale = np.where(std > 1e-6 * np.maximum(np.abs(self.mean), 1e-6), std, np.inf)

    def __call__(self, x: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "m d"]:
        """The features on the scale of the training part, float32."""
        return ((x - self.mean) / self.scale).astype(np.float32)


def is_constant(x: Float[np.ndarray, "n d"]) -> bool:
    """Whether all samples have the same features, up to rounding, so that nothing can be read out of them."""
    return len(x) > 1 and bool(np.isfinite(x).all()) and not np.isfinite(ZScore(x).scale).any()


def check_learnable(features: Features) -> None:
    """Raise TrainingError unless the training part holds two classes or numbers, and all features are finite."""
    # of several classes a location, each combination of them
    present = np.unique(features.train_y, axis=0)
    held = "one" if len(present) else "no"
    if len(present) < 2 and features.regression:
        raise TrainingError(
            f"the training part holds {held} number, so there is nothing to estimate",
            remedy="change the split, the target's column or the number of labels",
        )
    if len(present) < 2:
        raise TrainingError(
            f"the training part holds {held} class, so there is nothing to tell apart",
            remedy="change the split, the target's rule or the number of labels",
        )
    for part in (features.train_x, features.val_x, features.test_x, features.pool_x):
        if not np.isfinite(part).all():
            raise TrainingError(
                "the encoder's features are not finite",
                remedy="look at the loss curve and the gauges of its pre-training",
            )
