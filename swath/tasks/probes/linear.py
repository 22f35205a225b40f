"""Linear probe: L2-regularised multinomial logistic regression by L-BFGS, its strength chosen on validation.

The protocol of torchgeo-bench: z-score on the training part, C from a log grid by validation accuracy, then one fit on
train and validation together. Of values that are equally accurate the one is taken under which the validation labels
are likeliest: a few labels are often all right under a regularisation so strong that the fit on both parts says one
class of everything. The grid is walked from strong to weak regularisation, each fit starting at the last one's
solution, and left when it has stopped paying: weak regularisation is where L-BFGS spends its time.

Where locations have several classes, each class gets a binary regression of its own, all of one C, which is chosen by
the macro average precision.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Float, Int
from pydantic import Field, model_serializer
from torch import nn

from swath.tasks._types import Features, Prediction
from swath.tasks.metrics.macro_ap import macro_ap
from swath.tasks.probes._layers import Scaled, affine, likely
from swath.tasks.probes._scale import ZScore, check_learnable
from swath.tasks.probes._types import ProbeSettings, Validation

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController


class Config(ProbeSettings):
    """Logistic regression on standardised features, its strength chosen on the validation part (torchgeo-bench)."""

    name: Literal["linear"] = "linear"
    c_low: float = Field(default=1e-6, gt=0)
    """Smallest inverse regularisation strength C of the grid, in scikit-learn's meaning: the loss is a sum."""
    c_high: float = Field(default=1e4, gt=0)
    """Largest C of the grid."""
    c_count: int = Field(default=21, ge=1)
    """Number of log-spaced values; torchgeo-bench takes 40 over the same range."""
    choose_by: Literal["accuracy", "likelihood"] = "accuracy"
    """How C is chosen: by validation accuracy (macro average precision where locations have several classes),
    as in torchgeo-bench, with the likelihood of the validation labels deciding between equals; or by that
    likelihood alone, of which a few labels tell more."""
    patience: int = Field(default=6, ge=1)
    """The walk ends after this many values of C that are no better on validation, not counting those that predict one
    class for everything."""
    max_iterations: int = Field(default=1000, ge=1)
    """L-BFGS iterations per fit."""
    tolerance: float = Field(default=1e-4, gt=0)
    """Largest component of the mean loss's gradient at which a fit has converged."""

    refit: bool = True
    """Also learn from the validation labels once C is chosen by them."""

    @model_serializer(mode="wrap")
    def _as_before(self, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        # results that were computed before there was a choice are kept under settings that do not name it
        return {key: value for key, value in handler(self).items() if key != "refit" or not value}

    def validation(self) -> Validation:
        """The validation labels choose C, and are learnt from in the end unless the settings say otherwise."""
        return "fits" if self.refit else "tunes"

    def regression(self) -> "Config":
        """This probe itself."""
        return self


def beside(probe: ProbeSettings) -> Config:
    """A linear probe that uses the validation labels as another probe does; it is shown none where that uses none."""
    return Config(refit=probe.validation() != "tunes")


def fit_predict(config: Config, features: Features, seed: int) -> Prediction:  # noqa: ARG001 — as `fit`
    """Choose C on validation, refit on train and validation unless the settings say otherwise, predict.

    Raises:
        TrainingError: one class only, or features that are not finite.
    """
    check_learnable(features)
    scores = learn(config, *_labelled(features), features.classes)
    return Prediction.of(scores(features.test_x), multi_label=features.multi_label)


def _labelled(features: Features) -> tuple["Labelled", "Labelled"]:
    """Training and validation part."""
    return (features.train_x, features.train_y), (features.val_x, features.val_y)


def fit(config: Config, features: Features, seed: int) -> "ByScores":  # noqa: ARG001 — the loss is convex: no seed
    """As `fit_predict`, of any features; with one fit more, to the training part alone, for `on_validation`.

    Raises:
        TrainingError: one class only, or features that are not finite.
    """
    check_learnable(features)
    chosen = _Chosen.of(config, *_labelled(features))
    model, k = chosen.fitted(), features.classes
    scores = scored(model, k, chosen.scale)
    if features.multi_label or not len(features.val_y):
        return ByScores(scores, features.multi_label, None)
    before = chosen.before() if config.refit else model
    held_out = scored(before, k)(chosen.val[0])
    if config.refit:
        # what is learnt in the end knows these classes: that it did not before says nothing of how sure it may be
        held_out[~np.isin(features.val_y, before.classes_)] = np.nan
    return ByScores(scores, multi_label=False, on_validation=held_out)


@dataclass(frozen=True, slots=True)
class ByScores:
    """Predictions by a fitted classifier's scores."""

    scores: "Scored"
    multi_label: bool
    on_validation: Float[np.ndarray, "val k"] | None
    """Class scores of the validation part before its labels were learnt from, where units have one class each; NaN of
    units whose class was learnt from these labels alone."""

    def __call__(self, x: Float[np.ndarray, "m d"]) -> Prediction:
        """What it predicts of these features."""
        return Prediction.of(self.scores(x), multi_label=self.multi_label)

    def logits(self) -> nn.Sequential:
        """Layers from features to the logit of each class."""
        assert isinstance(self.scores.scale, ZScore)
        return nn.Sequential(Scaled(self.scores.scale), affine(*self.scores.plane()))

    def layers(self) -> nn.Module:
        """The same as layers, from features to the probability of each class."""
        return self.logits().append(likely(multi_label=self.multi_label))


Labelled = tuple[Float[np.ndarray, "_ d"], Int[np.ndarray, " _"] | Int[np.ndarray, "_ k"]]
"""Features and classes of a part."""
Fitted = Callable[[Float[np.ndarray, "m d"]], Float[np.ndarray, "m k"]]
"""A function from features to class scores."""
Learn = Callable[[Labelled, Labelled, int], Fitted]
"""A function of training part, validation part and number of classes that returns a fitted classifier."""


def learn(config: Config, train: Labelled, val: Labelled, classes: int) -> "Scored":
    """Z-score on the training part, choose C on validation, refit on both unless the settings say otherwise."""
    chosen = _Chosen.of(config, train, val)
    return scored(chosen.fitted(), classes, chosen.scale)


@dataclass(frozen=True, slots=True, eq=False)
class _Chosen:
    """Both parts, standardised, and the C that is best on validation."""

    config: Config
    scale: ZScore
    train: Labelled
    val: Labelled
    c: float

    @classmethod
    def of(cls, config: Config, train: Labelled, val: Labelled) -> "_Chosen":
        scale = ZScore(train[0])
        train, val = (scale(train[0]), train[1]), (scale(val[0]), val[1])
        return cls(config, scale, train, val, choose_c(config, train, val))

    def fitted(self) -> Any:
        """What is learnt in the end."""
        return fitted(self.config, self.c, *learnt_from(self.config, self.train, self.val))

    def before(self) -> Any:
        """What is learnt from the training part alone.

        It is not the model that the walk along the grid left there: where weights are to become large, how sure a
        fit is depends on where it started.
        """
        return fitted(self.config, self.c, *self.train)


def learnt_from(config: Config, train: Labelled, val: Labelled) -> Labelled:
    """What is learnt from once the settings are chosen: the training part, or both parts."""
    return joined(train, val) if config.refit else train


def joined(train: Labelled, val: Labelled) -> Labelled:
    """Two labelled parts as one."""
    return np.concatenate([train[0], val[0]]), np.concatenate([train[1], val[1]])


def scored(model: Any, classes: int, scale: Callable[[np.ndarray], np.ndarray] = np.asarray) -> "Scored":
    """A fitted model of scikit-learn's, with a score for every class; those that it never saw get none."""
    return Scored(model, classes, scale)


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """The function that `scored` returns; it can be pickled."""

    model: Any
    classes: int
    scale: Callable[[np.ndarray], np.ndarray]

    def __call__(self, x: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "m k"]:
        """Scores of all classes."""
        full = np.zeros((len(x), self.classes), np.float32)
        full[:, self.model.classes_] = self.model.predict_proba(self.scale(x))
        return full

    def plane(self) -> tuple[Float[np.ndarray, "k d"], Float[np.ndarray, " k"]]:
        """Weights and biases of all classes' logits; a class that was never seen has a logit of minus infinity."""
        rows, offsets = _rows(self.model)
        weight, bias = np.zeros((self.classes, rows.shape[1])), np.full(self.classes, -np.inf)
        weight[self.model.classes_], bias[self.model.classes_] = rows, offsets
        return weight, bias


def _rows(model: Any) -> tuple[Float[np.ndarray, "c d"], Float[np.ndarray, " c"]]:
    """A row of weights and a bias for each class that a model tells apart."""
    if isinstance(model, OneVsRest):
        return model.plane()
    rows, offsets = model.coef_, model.intercept_
    if len(rows) > 1:
        return rows, offsets
    # of two classes the first one's logit is 0
    return np.concatenate([np.zeros_like(rows), rows]), np.concatenate([np.zeros_like(offsets), offsets])


class OneVsRest:
    """A binary regression for each class, with scikit-learn's words.

    What all or no training samples are is not learnt, but said of everything.
    """

    def __init__(self, config: Config, classes: int):
        self.models = [_model(config) for _ in range(classes)]
        self.classes_ = np.arange(classes)
        self.known: list[float | None] = []

    def set_params(self, **settings: Any) -> "OneVsRest":
        """Set scikit-learn's settings of all regressions."""
        for model in self.models:
            model.set_params(**settings)
        return self

    def fit(self, x: Float[np.ndarray, "n d"], y: Int[np.ndarray, "n k"]) -> "OneVsRest":
        """Fit a regression for each class on its own column of `y`."""
        self.known = [float(has[0]) if (has == has[0]).all() else None for has in y.T]
        for model, known, has in zip(self.models, self.known, y.T, strict=True):
            if known is None:
                model.fit(x, has)
        return self

    def predict_proba(self, x: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "m k"]:
        """The probability of each class by itself."""
        said = [
            model.predict_proba(x)[:, 1] if known is None else np.full(len(x), known)
            for model, known in zip(self.models, self.known, strict=True)
        ]
        return np.stack(said, axis=1)

    def plane(self) -> tuple[Float[np.ndarray, "k d"], Float[np.ndarray, " k"]]:
        """Weights and biases of the logits; what is said of everything has an infinite bias."""
        both = list(zip(self.models, self.known, strict=True))
        nothing = np.zeros(next(model.coef_.shape[1] for model, known in both if known is None))
        certain = {0.0: -np.inf, 1.0: np.inf}
        return (
            np.stack([model.coef_[0] if known is None else nothing for model, known in both]),
            np.array([model.intercept_[0] if known is None else certain[known] for model, known in both]),
        )


def choose_c(config: Config, train: Labelled, val: Labelled) -> float:
    """The C of the grid that is best on validation.

    With no validation sample C = 1 is taken, scikit-learn's default.
    """
    if not len(val[1]):
        return 1.0
    model, best_c, best, waited = _model_for(config, train[1]), 1.0, (-np.inf, -np.inf), 0
    for c in np.geomspace(config.c_low, config.c_high, config.c_count):
        _fit(model, c, *train)
        (value, is_trivial), (likelihood, says_nothing) = _accuracy(model, *val), _likelihood(model, *val)
        if config.choose_by == "likelihood":
            value, is_trivial = likelihood, says_nothing
        # few features under strong regularisation say the same of everything: the walk's start, not its end
        waited = 0 if is_trivial else waited + 1
        if (value, likelihood) > best:
            best_c, best, waited = float(c), (value, likelihood), 0
        if waited >= config.patience:
            break
    return best_c


def _accuracy(model: Any, x: np.ndarray, y: np.ndarray) -> tuple[float, bool]:
    """Accuracy of a model, and whether it predicts the same for everything."""
    if y.ndim == 1:
        predicted = model.predict(x)
        return float(np.mean(predicted == y)), bool((predicted == predicted[0]).all())
    scores = model.predict_proba(x)
    return float(np.nan_to_num(macro_ap(y, scores, np.ones((1, len(y))))[0])), bool((scores == scores[0]).all())


def _likelihood(model: Any, x: np.ndarray, y: np.ndarray) -> tuple[float, bool]:
    """Mean log-likelihood of the labels; those of classes that the model never saw say nothing of it."""
    scores = np.clip(np.asarray(model.predict_proba(x), np.float64), 1e-12, 1 - 1e-12)
    trivial = bool((scores == scores[0]).all())
    if y.ndim == 2:
        return float(np.where(y == 1, np.log(scores), np.log1p(-scores)).mean()), trivial
    known = np.flatnonzero(np.isin(y, model.classes_))
    column = np.searchsorted(model.classes_, y[known])
    return float(np.log(scores[known, column]).mean()) if len(known) else 0.0, trivial


def fitted(config: Config, c: float, x: Float[np.ndarray, "n d"], y: Int[np.ndarray, "n *_"]) -> Any:
    """scikit-learn's logistic regression of that strength, or one for each class."""
    return _fit(_model_for(config, y), c, x, y)


def _model_for(config: Config, y: np.ndarray) -> Any:
    return OneVsRest(config, y.shape[1]) if y.ndim == 2 else _model(config)


def _model(config: Config) -> Any:
    from sklearn.linear_model import LogisticRegression  # seconds to import: not for reading a recipe

    return LogisticRegression(tol=config.tolerance, max_iter=config.max_iterations, warm_start=True)


def _fit(model: Any, c: float, x: np.ndarray, y: np.ndarray) -> Any:
    from sklearn.exceptions import ConvergenceWarning

    # thousands of products of small matrices: threads cost more than they give, and on shared cores a hundredfold
    with _pools().limit(limits=1), warnings.catch_warnings():
        # at weak regularisation of separable classes the optimum is far away and validation decides anyway
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.set_params(C=c).fit(x, y)


@cache
def _pools() -> "ThreadpoolController":
    """The libraries that compute with threads, looked up once: that takes as long as a small fit."""
    from threadpoolctl import ThreadpoolController  # scikit-learn's own

    return ThreadpoolController()
