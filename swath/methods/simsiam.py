"""SimSiam: each view predicts the other, whose gradient is stopped; no negatives, no teacher.

Chen & He 2021, https://arxiv.org/abs/2011.10566; heads and defaults of the official code (`main_simsiam.py`).
Published on ImageNet with SGD, lr 0.05 (x batch / 256), momentum 0.9, weight decay 1e-4, cosine without warm-up, batch
512, 100 epochs; augmented as MoCo v2 (`views.presets.moco_v2`, its form for Earth observation).
"""

from typing import Literal

from pydantic import Field
from torch import nn

from swath.batch import View
from swath.encoders import Encoder
from swath.methods import _types
from swath.methods._losses import mean_cosine
from swath.methods._types import ONE_PROCESS, DrawViews, Gather, Loss, mlp, pair
from swath.settings import PluginSettings


class Config(PluginSettings):
    """SimSiam (Chen and He 2021): each view predicts the other's embedding, through which no gradient flows."""

    name: Literal["simsiam"] = "simsiam"
    hidden: int | None = Field(default=None, ge=1)
    """Width of the projector's two hidden layers; null: the encoder's, as in the code."""
    out: int = Field(default=2048, ge=1)
    """Length of projection and prediction (paper, section 3: d = 2048)."""
    bottleneck: int = Field(default=512, ge=1)
    """Width of the predictor's hidden layer (paper, section 3: a quarter of `out`)."""
    fixed_predictor_rate: bool = True
    """Keep the predictor's learning rate at its peak while the others' decays (paper, section 4.2; code:
    `--fix-pred-lr`)."""


class Method(_types.Method):
    """SimSiam. The views go through encoder and heads one after the other, each with its own batch statistics: in one
    batch, BatchNorm would tell each view of the other. Nothing is gathered, as samples do not interact but through
    BatchNorm, which is synchronised. There is no moving average: the target is the network itself, now.
    """

    def __init__(self, config: Config, encoder: Encoder, policy: DrawViews):
        super().__init__(encoder, policy)
        self.config, hidden = config, config.hidden or encoder.dim
        self.projector = mlp([encoder.dim, hidden, hidden, config.out], bias=False, last_norm="plain")
        self.predictor = mlp([config.out, config.bottleneck, config.out], bias=False, last_bias=True)

    def loss(self, views: list[View], gather: Gather = ONE_PROCESS) -> Loss:  # noqa: ARG002 - samples do not interact
        """Minus the cosine of each view's prediction and the other's projection, over both orders (eq. 1 to 4)."""
        first, second = (self.encoder(view.image) for view in pair(views, "simsiam"))
        z1, z2 = self.projector(first), self.projector(second)
        total = -(mean_cosine(self.predictor(z1), z2) + mean_cosine(self.predictor(z2), z1)) / 2
        return Loss(total=total, features=first.detach())

    def at_peak_rate(self) -> list[nn.Parameter]:
        """The predictor's parameters."""
        return list(self.predictor.parameters()) if self.config.fixed_predictor_rate else []
