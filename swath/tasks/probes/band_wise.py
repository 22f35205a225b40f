"""Band-wise probe: each band alone through the same encoder, then an ordinary probe on what comes out.

It asks what an encoder has learnt of every single band (RS-BYOL, Fig. 3). In the tables the input is the band's key.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, TypeAlias

from pydantic import ConfigDict, Field

from swath import plugins
from swath.encoders import Encoder
from swath.sensors import of
from swath.tasks import probes
from swath.tasks._types import Features, Prediction
from swath.tasks.probes import linear
from swath.tasks.probes._types import LabelKind, ProbeSettings, Validation
from swath.tasks.supervised import LabelledInput, Supervision

if TYPE_CHECKING:
    InnerConfig: TypeAlias = ProbeSettings
else:
    InnerConfig = plugins.union("swath.tasks.probes", ProbeSettings, without=("band-wise",))


class Config(ProbeSettings):
    """The band-wise probe (Jain et al. 2022): which bands are judged one by one, in which groups, and by which
    probe.
    """

    # built when it is first used: the other probes are not there yet while this module is imported
    model_config = ConfigDict(defer_build=True)

    name: Literal["band-wise"] = "band-wise"
    bands: tuple[str, ...] | None = None
    """Band keys; all bands of the task's inputs if not given."""
    groups: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Bands that are also judged together, by name. If empty: `optical` and `radar`, by the kind of
    their sensors, where both occur."""
    probe: InnerConfig = linear.Config()
    """The probe that reads the features of each band, or trains the encoder on each."""

    def label(self) -> str:
        """`band-wise linear`, say."""
        return f"{self.name} {self.probe.name}"

    def inputs(self, named: Mapping[str, list[str]]) -> dict[str, list[str]]:
        """One input per band, named by its key."""
        keys = self.bands or dict.fromkeys(key for keys in named.values() for key in keys)
        return {key: [key] for key in keys}

    def input_groups(self, named: Mapping[str, list[str]]) -> dict[str, list[str]]:
        """Groups of bands, first `all`: name -> band keys."""
        keys = list(self.inputs(named))
        if self.groups:
            parts = {name: [key for key in members if key in keys] for name, members in self.groups.items()}
        else:
            parts = {kind: [key for key in keys if of(key).kind == kind] for kind in ("optical", "radar")}
            parts = parts if all(parts.values()) else {}
        return {"all": keys, **{name: members for name, members in parts.items() if members}}

    def taught_by(self) -> tuple[str, ...]:
        """The inputs that teach the inner probe."""
        return self.probe.taught_by()

    def supervision(self) -> Supervision | None:
        """How the inner probe trains the encoder, if it does."""
        return self.probe.supervision()

    def keeps_encoder(self) -> bool:
        """Whether the inner probe keeps the encoder's weights as they are."""
        return self.probe.keeps_encoder()

    def label_kinds(self) -> tuple[LabelKind, ...]:
        """Kinds of labels that the inner probe learns."""
        return self.probe.label_kinds()

    def validation(self) -> Validation:
        """What the inner probe uses the validation labels for."""
        return self.probe.validation()

    def regression(self) -> linear.Config | None:
        """The regression that the inner probe asks for."""
        return self.probe.regression()


def fit_predict(config: Config, features: Features, seed: int) -> Prediction:
    """The inner probe's prediction from frozen features.

    Raises:
        TrainingError: as the inner probe.
    """
    return probes.fit_predict(config.probe, features, seed)


def train_predict(config: Config, encoder: Encoder, data: LabelledInput, seed: int) -> Prediction:
    """The prediction of an inner probe that trains the encoder.

    Raises:
        ContractError: as the inner probe.
        TrainingError: as the inner probe.
    """
    return probes.train_predict(config.probe, encoder, data, seed)
