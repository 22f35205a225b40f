"""How labels are read out of features, or encoders trained on labels: one probe per file, found by its module name.

A probe's module defines `Config`, which derives from `ProbeSettings`, and `fit_predict(config, features, seed)`; or, if
it trains the encoder instead of reading frozen features, `train_predict(config, encoder, data, seed)`.
"""

from typing import TYPE_CHECKING, TypeAlias, cast

from swath import plugins
from swath.encoders import Encoder
from swath.errors import TrainingError
from swath.tasks._types import Features, Prediction
from swath.tasks.probes._scale import ZScore, is_constant
from swath.tasks.probes._types import (
    FeatureProbe,
    FittingProbe,
    LabelKind,
    ProbePlugin,
    ProbeSettings,
    TrainingProbe,
    Validated,
    Validation,
)
from swath.tasks.supervised import LabelledInput
from swath.tasks.trained import FittedProbe

__all__ = [
    "FeatureProbe",
    "FittingProbe",
    "LabelKind",
    "ProbeConfig",
    "ProbePlugin",
    "ProbeSettings",
    "TrainingProbe",
    "Validated",
    "Validation",
    "ZScore",
    "fit",
    "fit_predict",
    "is_constant",
    "is_fitting",
    "names",
    "train_predict",
]

if TYPE_CHECKING:
    ProbeConfig: TypeAlias = ProbeSettings
else:
    ProbeConfig = plugins.union(__name__, ProbeSettings)


def names() -> list[str]:
    """Names of all probes."""
    return plugins.names(__name__)


def fit_predict(config: ProbeSettings, features: Features, seed: int) -> Prediction:
    """Train the probe that `config.name` names on the labelled parts and apply it to the test part.

    Args:
        config: settings of a probe that reads features.
        features: frozen features of the task's parts.
        seed: of everything that is random.

    Raises:
        TrainingError: the labels do not allow it, such as a training part with one class only.
    """
    return cast(FeatureProbe, plugins.find(__name__, config.name)).fit_predict(config, features, seed)


def is_fitting(config: ProbeSettings) -> bool:
    """Whether `fit` knows the probe that `config.name` names: whether it can be applied to any features."""
    return isinstance(plugins.find(__name__, config.name), FittingProbe)


def fit(config: ProbeSettings, features: Features, seed: int) -> FittedProbe:
    """Fit the probe that `config.name` names on the labelled parts, to be applied to any features.

    Raises:
        TrainingError: the labels do not allow it, or the probe cannot be applied to anything but the test part.
    """
    plugin = plugins.find(__name__, config.name)
    if not isinstance(plugin, FittingProbe):
        fitting = [name for name in names() if isinstance(plugins.find(__name__, name), FittingProbe)]
        raise TrainingError(
            f"the probe {config.name} predicts test parts alone", remedy=f"take one of {', '.join(fitting)}"
        )
    return plugin.fit(config, features, seed)


def train_predict(config: ProbeSettings, encoder: Encoder, data: LabelledInput, seed: int) -> Prediction:
    """Train a copy of the encoder on the labelled parts and apply it to the test part.

    Args:
        config: settings of a probe that trains encoders.
        encoder: stays as it is; on any device.
        data: the task's images and labels on one input.
        seed: of everything that is random.

    Raises:
        ContractError: the encoder cannot take the input.
        TrainingError: the labels do not allow it, or the loss became non-finite.
    """
    return cast(TrainingProbe, plugins.find(__name__, config.name)).train_predict(config, encoder, data, seed)
