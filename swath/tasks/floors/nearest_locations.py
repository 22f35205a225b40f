"""The nearest labelled locations on the sphere: what interpolation between them knows.

Each counts by the inverse of its great-circle distance. How many are asked is chosen on validation: by the squared
error of numbers, and the accuracy of classes.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from jaxtyping import Float
from pydantic import Field

from swath.encoders import Encoder
from swath.errors import TrainingError
from swath.tasks._types import Features, Outcome, Prediction
from swath.tasks.data import learnable
from swath.tasks.floors._coordinates import CoordinateFloorSettings, read
from swath.tasks.floors._types import Task
from swath.tasks.panel import Panel
from swath.tasks.probes import Validation
from swath.tasks.probes import linear as probe


class Config(CoordinateFloorSettings):
    """How many neighbours may be asked."""

    name: Literal["nearest-locations"] = "nearest-locations"
    row: ClassVar[str] = "nearest locations"
    random: ClassVar[bool] = False
    k: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(1, 2, 3, 5, 8, 12, 20, 30, 50), min_length=1)
    """Numbers of neighbours to choose from; without validation labels the middle one is taken."""


def outcomes(
    config: Config,
    task: Task,
    panels: Sequence[Panel],
    seed: int,  # noqa: ARG001
    network: Encoder | None,  # noqa: ARG001
) -> Iterator[Outcome]:
    """What the neighbours say."""
    return read(task, panels, radians, partial(fit_predict, config.k))


def radians(lonlat: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
    """Latitude and longitude in radians, as the haversine formula takes them."""
    return np.radians(lonlat[:, ::-1])


def fit_predict(ks: Sequence[int], features: Features, use: Validation) -> Prediction:
    """Choose how many neighbours are asked, and ask them.

    Args:
        ks: to choose from; of those that there are.
        features: as `radians` gives them.
        use: of the validation labels.

    Raises:
        TrainingError: all training labels are the same.
    """
    if not learnable(features.train_y):
        raise TrainingError("the labels of the training part are all the same, so there is nothing to learn")
    x, y = features.train_x, features.train_y
    k = _chosen(ks, features) if len(features.val_y) else ks[len(ks) // 2]
    if use == "fits":
        x, y = np.concatenate([x, features.val_x]), np.concatenate([y, features.val_y])
    model = _fitted(k, x, y, regression=features.regression)
    if features.regression:
        return Prediction.of_numbers(model.predict(features.test_x))
    return Prediction.of(probe.scored(model, features.classes)(features.test_x), multi_label=False)


def _chosen(ks: Sequence[int], features: Features) -> int:
    """The k that is best on validation; of equal ones the first."""
    error = []
    for k in ks:
        model = _fitted(k, features.train_x, features.train_y, regression=features.regression)
        said = model.predict(features.val_x)
        wrong = np.square(said - features.val_y) if features.regression else said != features.val_y
        error.append(wrong.mean())
    return ks[int(np.argmin(error))]


def _fitted(k: int, x: np.ndarray, y: np.ndarray, *, regression: bool) -> Any:
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor  # seconds to import: not for a recipe

    kind = KNeighborsRegressor if regression else KNeighborsClassifier
    return kind(min(k, len(y)), weights="distance", metric="haversine", algorithm="ball_tree").fit(x, y)
