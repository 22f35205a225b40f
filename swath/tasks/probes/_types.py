"""What a probe is, and what the task has to know of its settings."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from swath.encoders import Encoder
from swath.settings import PluginSettings
from swath.tasks._types import Features, Prediction
from swath.tasks.supervised import LabelledInput, Supervision
from swath.tasks.trained import FittedProbe

if TYPE_CHECKING:
    from swath.tasks.probes.linear import Config as LinearConfig
else:
    # that module imports this one
    LinearConfig = Any


Validation = Literal["unused", "tunes", "fits"]
"""How validation labels are used: not at all, to choose settings or an epoch, or to be learnt from as well."""
LabelKind = Literal["classes", "numbers"]
"""Kind of labels: classes of locations or pixels, or a real number for each location."""


class ProbeSettings(PluginSettings):
    """Base of every probe's `Config`: its settings, and what a task has to know of the probe."""

    def label(self) -> str:
        """Name in the tables, where the probe's name alone does not say enough."""
        return self.name

    def inputs(self, named: Mapping[str, list[str]]) -> dict[str, list[str]]:
        """Inputs that it reads (name -> band keys), given the task's named ones: by default those."""
        return dict(named)

    def input_groups(self, named: Mapping[str, list[str]]) -> dict[str, list[str]]:  # noqa: ARG002 — for those with groups
        """Groups of its inputs over which rows are also compared together (name -> inputs): by default none."""
        return {}

    def taught_by(self) -> tuple[str, ...]:
        """Named inputs whose features its teacher reads for all locations, labelled or not: by default none."""
        return ()

    def supervision(self) -> Supervision | None:
        """How it trains the encoder on images; None: it does not, and reads frozen features."""
        return None

    def keeps_encoder(self) -> bool:
        """Whether the encoder's weights stay as they are."""
        return True

    def label_kinds(self) -> tuple[LabelKind, ...]:
        """Kinds of labels that the probe learns: classes."""
        return ("classes",)

    def validation(self) -> Validation:
        """What it uses the validation labels for; the floors beside it do the same."""
        return "tunes"

    def regression(self) -> LinearConfig | None:
        """The linear probe by whose settings a regression on raw series learns beside this probe; None: the usual."""
        return None


@runtime_checkable
class ProbePlugin(Protocol):
    """A module of this folder, or one that an installed package offers; it is one of the two below, or both."""

    Config: type[ProbeSettings]
    """Its settings in a recipe."""


@runtime_checkable
class FeatureProbe(ProbePlugin, Protocol):
    """A probe that reads frozen features."""

    fit_predict: Callable[[Any, Features, int], Prediction]
    """A function of its settings, features of the task's parts and a seed, which returns a prediction for the
    test part."""


@runtime_checkable
class FittingProbe(FeatureProbe, Protocol):
    """A probe whose fit can be applied to further features, such as those of a whole scene."""

    fit: Callable[[Any, Features, int], FittedProbe]
    """A function of its settings, features of the task's parts (of which those of the test part are not looked at) and
    a seed, which returns a function from features to a prediction. That can be pickled."""


@runtime_checkable
class Validated(Protocol):
    """A fitted probe that chose its settings by the validation labels."""

    @property
    def on_validation(self) -> Float[np.ndarray, "val k"] | None:
        """Class scores of the validation part under these settings, before any of its labels was learnt from; None
        where units have several classes, and where there is no such part. NaN of units that cannot be asked, as their
        class is learnt from these labels alone.
        """
        ...


@runtime_checkable
class TrainingProbe(ProbePlugin, Protocol):
    """A probe that trains an encoder on the labels; its settings' `supervision` says how."""

    train_predict: Callable[[Any, Encoder, LabelledInput, int], Prediction]
    """A function of its settings, an encoder (which it must not change), the labelled input and a seed, which
    returns a prediction for the test part."""
