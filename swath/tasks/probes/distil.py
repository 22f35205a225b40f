"""Distillation: a teacher of several inputs labels what has no label, and a student of one input learns from it.

Few labels say little about one sensor, but more about two of them together, and pairs without labels are there anyway:
the encoder was pre-trained on them. So a linear probe on the features of all the teacher's inputs names the classes of
the unlabelled training and validation locations, and a linear probe on the input itself is fitted to those and to the
labels. Where it is used, the student needs its own input alone (cross-modal distillation: Gupta, Hoffman & Malik,
CVPR 2016; here with classes instead of features).
"""

from collections.abc import Mapping
from functools import partial
from typing import Literal

import numpy as np
from jaxtyping import Float
from pydantic import Field

from swath.tasks._types import Features, Prediction
from swath.tasks.probes import linear
from swath.tasks.probes._scale import check_learnable
from swath.tasks.probes._types import ProbeSettings, Validation
from swath.tasks.probes.linear import Fitted, Learn


class Config(ProbeSettings):
    """Distillation: a teacher of several inputs labels unlabelled locations for a student of one; which inputs,
    and how.
    """

    name: Literal["distil"] = "distil"
    teacher: tuple[str, ...] = Field(min_length=1)
    """Names of inputs of the task, such as [optical, radar]; an encoder that cannot take one of them is left out."""
    probe: linear.Config = linear.Config(choose_by="likelihood")
    """The linear probe by which teacher and student learn."""

    def taught_by(self) -> tuple[str, ...]:
        """The inputs whose features the teacher reads."""
        return self.teacher

    def inputs(self, named: Mapping[str, list[str]]) -> dict[str, list[str]]:
        """The named inputs that lack a band of the teacher's: of the others it could teach nothing."""
        seen = {key for name in self.teacher for key in named.get(name, ())}
        return {name: keys for name, keys in named.items() if not seen <= set(keys)}

    def validation(self) -> Validation:
        """What teacher and student use the validation labels for."""
        return self.probe.validation()

    def regression(self) -> linear.Config:
        """The linear probe by which teacher and student learn."""
        return self.probe


def fit_predict(config: Config, features: Features, seed: int) -> Prediction:  # noqa: ARG001 — as the linear probe
    """Train the teacher, let it label what has no label, train the student on that, and predict by the student.

    Raises:
        TrainingError: one class only, or features that are not finite.
    """
    assert features.teacher is not None
    check_learnable(features)
    check_learnable(features.teacher)
    scores = student(features, partial(linear.learn, config.probe))
    return Prediction.of(scores(features.test_x), multi_label=features.multi_label)


def student(features: Features, learn: Learn) -> Fitted:
    """Fit a classifier of the features to the labels and, at unlabelled locations, to the teacher's predictions.

    Where every location has a label there is nothing to be taught.
    """
    seen = features.teacher
    assert seen is not None
    y, val_y = features.train_y, features.val_y
    if not len(seen.pool_x):
        return learn((features.train_x, y), (features.val_x, val_y), features.classes)
    said = learn((seen.train_x, y), (seen.val_x, val_y), features.classes)(seen.pool_x)
    guessed = Prediction.of(said, multi_label=features.multi_label).y_pred.astype(y.dtype)
    x: Float[np.ndarray, "n d"] = np.concatenate([features.train_x, features.pool_x])
    return learn((x, np.concatenate([y, guessed])), (features.val_x, val_y), features.classes)
