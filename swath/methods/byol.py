"""BYOL: a student predicts what a slowly moving teacher makes of another view; no negatives.

Grill et al. 2020, https://arxiv.org/abs/2006.07733. Heads, momentum and normalisation follow the official code.
RS-BYOL (cross-modal views) is this method with `hidden=256`, `momentum=0.9`, `momentum_schedule="constant"`.
"""

from typing import Literal

from pydantic import Field

from swath.batch import View
from swath.encoders import Encoder
from swath.methods import _types
from swath.methods._losses import byol_loss
from swath.methods._types import ONE_PROCESS, DrawViews, Gather, Loss, Teacher, cosine_momentum, mlp, pair
from swath.settings import PluginSettings


class Config(PluginSettings):
    """BYOL (Grill et al. 2020): a student predicts the embedding that a slow teacher makes of another view."""

    name: Literal["byol"] = "byol"
    hidden: int = Field(default=4096, ge=1)
    """Width of the hidden layer of both heads."""
    out: int = Field(default=256, ge=1)
    """Length of the projection and of the prediction."""
    momentum: float = Field(default=0.99, ge=0, lt=1)
    """Share of the teacher that each step keeps, at the start of training."""
    momentum_schedule: Literal["cosine", "constant"] = "cosine"
    """Whether the momentum rises to 1 at the end, along half a cosine, or stays."""


class Method(_types.Method):
    """BYOL. The two views go through the network one after the other: each has its own batch statistics. Nothing is
    gathered. The teacher follows encoder and projector; its BatchNorm statistics are its own.
    """

    def __init__(self, config: Config, encoder: Encoder, policy: DrawViews):
        super().__init__(encoder, policy)
        self.config = config
        self.projector = mlp([encoder.dim, config.hidden, config.out])
        self.predictor = mlp([config.out, config.hidden, config.out])
        self.teacher = Teacher(encoder, self.projector)

    def loss(self, views: list[View], gather: Gather = ONE_PROCESS) -> Loss:  # noqa: ARG002 - samples do not interact
        """2 - 2 cos(prediction, target), summed over both orders of the views."""
        first, second = pair(views, "byol")
        target_first, target_second = self.teacher(first), self.teacher(second)
        features = self.encoder(first.image)
        forth = byol_loss(self.predictor(self.projector(features)), target_second)
        back = byol_loss(self.predictor(self.projector(self.encoder(second.image))), target_first)
        return Loss(total=forth + back, features=features.detach())

    def after_step(self, progress: float) -> None:
        """Move the teacher towards the student."""
        momentum = self.config.momentum
        if self.config.momentum_schedule == "cosine":
            momentum = cosine_momentum(momentum, progress)
        self.teacher.follow(momentum, self.encoder, self.projector)
