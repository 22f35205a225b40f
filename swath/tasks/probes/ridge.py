"""Ridge regression: the linear probe of tasks whose labels are numbers, its strength chosen on validation.

As the linear probe of classes: features are z-scored on the training part, alpha comes from a log grid by the squared
error on validation, then follows one fit on train and validation together. The intercept is not penalised.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from pydantic import Field
from torch import nn

from swath.tasks._types import Features, Prediction
from swath.tasks.probes._layers import Scaled, affine
from swath.tasks.probes._scale import ZScore, check_learnable
from swath.tasks.probes._types import LabelKind, ProbeSettings, Validation


class Config(ProbeSettings):
    """L2-regularised least squares on z-scored features."""

    name: Literal["ridge"] = "ridge"
    alpha_low: float = Field(default=1e-4, gt=0)
    """Smallest strength of the grid, in scikit-learn's meaning: the loss is a sum over locations."""
    alpha_high: float = Field(default=1e6, gt=0)
    """Largest strength of the grid."""
    alpha_count: int = Field(default=31, ge=1)
    """Number of log-spaced values."""
    refit: bool = True
    """Learn from the validation labels too, once alpha is chosen by them."""

    def label_kinds(self) -> tuple[LabelKind, ...]:
        """Kinds of labels that the probe learns: numbers."""
        return ("numbers",)

    def validation(self) -> Validation:
        """The validation labels choose alpha, and are learnt from in the end unless the settings say otherwise."""
        return "fits" if self.refit else "tunes"


def beside(probe: ProbeSettings) -> Config:
    """A ridge probe that uses the validation labels as another probe does; it is shown none where that uses none."""
    return Config(refit=probe.validation() != "tunes")


def fit_predict(config: Config, features: Features, seed: int) -> Prediction:
    """Choose alpha on validation, refit on train and validation unless the settings say otherwise, predict.

    With no validation sample alpha is 1, scikit-learn's default.

    Raises:
        TrainingError: all training labels are the same, or features are not finite.
    """
    return fit(config, features, seed)(features.test_x)


def fit(config: Config, features: Features, seed: int) -> "Fitted":  # noqa: ARG001 — there is one solution
    """As `fit_predict`, of any features.

    Raises:
        TrainingError: all training labels are the same, or features are not finite.
    """
    check_learnable(features)
    scale = ZScore(features.train_x)
    x, val_x = (scale(one).astype(np.float64) for one in (features.train_x, features.val_x))
    y, val_y = features.train_y, features.val_y
    alpha = _chosen(config, (x, y), (val_x, val_y)) if len(val_y) else 1.0
    if config.refit:
        x, y = np.concatenate([x, val_x]), np.concatenate([y, val_y])
    return Fitted(scale, _regressions((x, y), np.array([alpha])))


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A fitted regression."""

    scale: ZScore
    model: Any

    def __call__(self, x: Float[np.ndarray, "m d"]) -> Prediction:
        """What it estimates from these features."""
        return Prediction.of_numbers(self.model.predict(self.scale(x).astype(np.float64)).reshape(len(x)))

    def logits(self) -> nn.Module:
        """Layers from features to the number."""
        plane = np.atleast_2d(self.model.coef_), np.atleast_1d(self.model.intercept_)
        return nn.Sequential(Scaled(self.scale), affine(*plane))

    def layers(self) -> nn.Module:
        """The same as layers, from features to the number."""
        return self.logits()


Labelled = tuple[Float[np.ndarray, "_ d"], Float[np.ndarray, " _"]]
"""Features and numbers."""


def _chosen(config: Config, train: Labelled, val: Labelled) -> float:
    """The alpha with the smallest squared error on validation; of equal ones the largest."""
    alphas = np.geomspace(config.alpha_high, config.alpha_low, config.alpha_count)
    error = _estimates(train, alphas, val[0]) - val[1][:, None]
    return float(alphas[np.square(error).mean(axis=0).argmin()])


def _estimates(
    train: Labelled, alphas: Float[np.ndarray, " a"], x: Float[np.ndarray, "m d"]
) -> Float[np.ndarray, "m a"]:
    """What regressions of all these strengths say, from one singular value decomposition."""
    return _regressions(train, alphas).predict(x).reshape(len(x), len(alphas))


def _regressions(train: Labelled, alphas: Float[np.ndarray, " a"]) -> Any:
    from sklearn.linear_model import Ridge  # seconds to import: not for reading a recipe

    many: Any = alphas  # scikit-learn takes one for each output, which its types do not say
    return Ridge(many, solver="svd").fit(train[0], np.repeat(train[1][:, None], len(alphas), axis=1))
