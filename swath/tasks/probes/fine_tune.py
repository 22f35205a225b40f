"""Fine-tuning: encoder and new head trained on the labels together, as S4 does, and the benchmark of PASTIS.

It is no probe of frozen features: the encoder goes on learning. So the row to compare with is `scratch`, which under
this probe is the same network from its random start, trained by exactly these settings and this seed.
"""

from typing import Literal

from swath.encoders import Encoder
from swath.tasks._types import Prediction
from swath.tasks.probes._types import LabelKind, ProbeSettings
from swath.tasks.supervised import LabelledInput, Supervision, plain, train_encoder


class Config(Supervision, ProbeSettings):
    """Fine-tuning: encoder and a new head are trained on the labels; how, and whether the encoder is frozen."""

    name: Literal["fine-tune"] = "fine-tune"
    frozen: bool = False
    """Train only the head (and the decoder, where an encoder has one)."""

    def label(self) -> str:
        """`fine-tune`, or that the encoder was frozen."""
        return "fine-tune (encoder frozen)" if self.frozen else "fine-tune"

    def label_kinds(self) -> tuple[LabelKind, ...]:
        """Kinds of labels that the probe learns: classes and numbers."""
        return ("classes", "numbers")

    def supervision(self) -> Supervision:
        """These settings, which say how encoder and head are trained."""
        return plain(self)

    def keeps_encoder(self) -> bool:
        """True where the encoder is frozen."""
        return self.frozen


def train_predict(config: Config, encoder: Encoder, data: LabelledInput, seed: int) -> Prediction:
    """Train a copy of the encoder on the labelled parts and apply it to the test part.

    Raises:
        ContractError: the encoder cannot take the input, or has no features of pixels where those have the classes.
        TrainingError: one class only, or the loss became non-finite.
    """
    return train_encoder(config, encoder, data, seed, frozen=config.frozen)
