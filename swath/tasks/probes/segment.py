"""Segmentation: a decoder on the encoder's maps gives each pixel a class, as SSL4EO-L and RS-BYOL judge encoders.

The encoder is frozen, or is trained with it, then with learning rates that fall with depth. Beside it stand `scratch`,
the same network with the same decoder trained whole from its random start, and, under a frozen encoder, its random
twin.
"""

from typing import Literal

from pydantic import ConfigDict, Field, model_validator

from swath.encoders import Encoder
from swath.tasks._types import Prediction
from swath.tasks.probes._types import ProbeSettings
from swath.tasks.supervised import Decoding, LabelledInput, Supervision, plain, train_encoder


class Config(Decoding, ProbeSettings):
    """Which decoder, on what. The defaults are SSL4EO-L's: U-Net, Adam at 1e-3, 20 to 100 epochs, the learning rate a
    tenth where validation stands still; its batches of 64 are smaller here, for corpora that are."""

    # built when it is first used: as `Decoding`
    model_config = ConfigDict(defer_build=True)

    name: Literal["segment"] = "segment"
    backbone: Literal["frozen", "trained"] = "frozen"
    """Whether the encoder stays as it is, its statistics of batch norm as well, or is trained with the decoder."""
    layer_decay: float = Field(default=1.0, gt=0, le=1)
    """Factor by which the learning rate falls from the decoder to the encoder's last layer, and on to each one
    before it (0.65 to 0.9 are usual for transformers). Not for `scratch`, all of whose layers are as new."""
    epochs: int = Field(default=100, ge=1)
    min_epochs: int = Field(default=20, ge=1)
    patience: int | None = Field(default=10, ge=1)
    batch_size: int = Field(default=16, ge=2)
    schedule: Literal["constant", "cosine", "plateau"] = "plateau"

    @model_validator(mode="after")
    def _frozen_layers_have_no_rate(self) -> "Config":
        if self.backbone == "frozen" and self.layer_decay != 1:
            raise ValueError("layer_decay: a frozen backbone has no learning rates, give backbone: trained")
        return self

    def label(self) -> str:
        """`segment (unet, frozen)`, say; two probes of a task need two labels."""
        return f"segment ({self.decoder.name}{', frozen' if self.keeps_encoder() else ''})"

    def supervision(self) -> Supervision:
        """How encoder and decoder are trained: by these settings, with all layers at one learning rate."""
        return plain(self)

    def keeps_encoder(self) -> bool:
        """True where the encoder is frozen."""
        return self.backbone == "frozen"


def train_predict(config: Config, encoder: Encoder, data: LabelledInput, seed: int) -> Prediction:
    """Train a decoder on a copy of the encoder on the labelled parts and apply it to the test part.

    Raises:
        ContractError: the encoder cannot take the input, or has no maps that the decoder can use.
        TrainingError: one class only, or the loss became non-finite.
    """
    return train_encoder(config, encoder, data, seed, frozen=config.keeps_encoder(), layer_decay=config.layer_decay)
