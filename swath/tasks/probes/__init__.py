"""How labels are read out of features, or encoders trained on labels: one probe per file, found by its module name.

A probe's module defines `Config` and `fit_predict(config, features, seed) -> Prediction`; or, if it trains the encoder
instead of reading frozen features, `train_predict(config, encoder, problem, seed) -> Prediction`. It may define
`inputs(config, inputs) -> dict[str, list[str]]` if it wants other inputs than the task's named ones,
`label(config) -> str` if its name does not say enough in a table, and `teacher(config) -> tuple[str, ...]` if it also
reads features of those inputs, and of locations without labels.
"""

from typing import TYPE_CHECKING, Any

from swath import plugins
from swath.encoders import Encoder
from swath.settings import Settings
from swath.tasks._types import Features, Prediction
from swath.tasks.supervised import Problem

__all__ = ["ProbeConfig", "fit_predict", "inputs", "label", "names", "teacher", "train_predict", "trains"]

if TYPE_CHECKING:
    ProbeConfig = Any
else:
    ProbeConfig = plugins.union(__name__)


def names() -> list[str]:
    """Names of all probes."""
    return plugins.names(__name__)


def fit_predict(config: Settings, features: Features, seed: int) -> Prediction:
    """Train the probe that `config.name` names on the labelled parts and apply it to the test part.

    Raises:
        TrainingError: the labels do not allow it, such as a training part with one class only.
    """
    return plugins.find(__name__, _name(config)).fit_predict(config, features, seed)


def trains(config: Settings) -> bool:
    """Whether the probe trains the encoder, and so takes images instead of features."""
    return hasattr(plugins.find(__name__, _name(config)), "train_predict")


def train_predict(config: Settings, encoder: Encoder, problem: Problem, seed: int) -> Prediction:
    """Train a copy of the encoder on the labelled parts and apply it to the test part.

    Raises:
        ContractError: the encoder cannot take the input.
        TrainingError: the labels do not allow it, or the loss became non-finite.
    """
    return plugins.find(__name__, _name(config)).train_predict(config, encoder, problem, seed)


def inputs(config: Settings, named: dict[str, list[str]]) -> dict[str, list[str]]:
    """The inputs that the probe is fitted on, given the task's named ones: name -> band keys."""
    module = plugins.find(__name__, _name(config))
    return module.inputs(config, named) if hasattr(module, "inputs") else named


def label(config: Settings) -> str:
    """What the probe is called in the tables."""
    module = plugins.find(__name__, _name(config))
    return module.label(config) if hasattr(module, "label") else _name(config)


def teacher(config: Settings) -> tuple[str, ...]:
    """Inputs whose features the probe's teacher reads; most have none."""
    module = plugins.find(__name__, _name(config))
    return module.teacher(config) if hasattr(module, "teacher") else ()


def _name(config: Settings) -> str:
    return getattr(config, "name")  # noqa: B009 — every plug-in's settings have it, their common base does not
