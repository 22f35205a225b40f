"""Barlow Twins: the dimensions of two views' embeddings are each other's and nobody else's.

Zbontar et al. 2021, https://arxiv.org/abs/2103.03230; heads and defaults of the official code (`main.py`).
Published on ImageNet with LARS, lr 0.2 for weights and 0.0048 for biases and BatchNorm (x batch / 256), weight decay
1e-6, 10 epochs of warm-up, batch 2048, 1000 epochs; augmented as BYOL (`views.presets.byol`, its form for Earth
observation).
"""

from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from swath.batch import View
from swath.encoders import Encoder
from swath.methods import _types
from swath.methods._losses import full_precision, squares_beside_diagonal
from swath.methods._types import ONE_PROCESS, DrawViews, Gather, Loss, joined, mlp, pair
from swath.settings import PluginSettings


class Config(PluginSettings):
    """Barlow Twins (Zbontar et al. 2021): each dimension of two views' embeddings correlates with itself only."""

    name: Literal["barlow-twins"] = "barlow-twins"
    hidden: int = Field(default=8192, ge=1)
    """Width of the projector's two hidden layers (code: `--projector 8192-8192-8192`)."""
    out: int = Field(default=8192, ge=1)
    """Length of the embedding."""
    redundancy: float = Field(default=0.0051, ge=0)
    """Weight of the second term, lambda of eq. 1 (code: `--lambd 0.0051`)."""


class Method(_types.Method):
    """Barlow Twins. The views go through the network one after the other, each with its own batch statistics. The
    embeddings of all processes are gathered (2 x batch x `out` numbers), so that correlations are of the joined batch,
    with its gradient: the official code's sum over processes has a gradient that is 1 / world of it. There is no moving
    average.
    """

    def __init__(self, config: Config, encoder: Encoder, policy: DrawViews):
        super().__init__(encoder, policy)
        self.config = config
        self.projector = mlp([encoder.dim, config.hidden, config.hidden, config.out], bias=False)

    def loss(self, views: list[View], gather: Gather = ONE_PROCESS) -> Loss:
        """Distance of the cross-correlation of both views' embeddings from the identity (eq. 1)."""
        first, second = (self.encoder(view.image) for view in pair(views, "barlow-twins"))
        a, b = (joined(self.projector(features), gather, "barlow-twins") for features in (first, second))
        return Loss(total=barlow_twins(a, b, self.config.redundancy), features=first.detach())


@full_precision
def barlow_twins(a: Float[Tensor, "b d"], b: Float[Tensor, "b d"], redundancy: float) -> Float[Tensor, ""]:
    """Sum over i of (1 - C_ii)^2 plus `redundancy` times the sum over i != j of C_ij^2; C: the correlations of the
    dimensions of a with those of b over the batch (eq. 1 and 2)."""
    a, b = (F.batch_norm(z, None, None, training=True) for z in (a, b))
    on_diagonal = (1.0 - (a * b).mean(dim=0)).square().sum()
    return on_diagonal + redundancy * squares_beside_diagonal(a, b) / len(a) ** 2
