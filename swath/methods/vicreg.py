"""VICReg: two views agree, every dimension varies, and no two dimensions vary together.

Bardes et al. 2022, https://arxiv.org/abs/2105.04906; heads and defaults of the official code (`main_vicreg.py`).
Published on ImageNet with LARS, lr 0.2 (0.3 for 100 epochs; x batch / 256), weight decay 1e-6, 10 epochs of warm-up,
batch 2048, 1000 epochs; augmented as BYOL (`views.presets.byol`, its form for Earth observation).
"""

from typing import Literal

import torch
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
    """VICReg (Bardes et al. 2022): two views agree, every dimension varies, no two dimensions vary together."""

    name: Literal["vicreg"] = "vicreg"
    hidden: int = Field(default=8192, ge=1)
    """Width of the expander's two hidden layers (code: `--mlp 8192-8192-8192`)."""
    out: int = Field(default=8192, ge=1)
    """Length of the embedding."""
    invariance: float = Field(default=25.0, ge=0)
    """Weight of the distance between views, lambda of eq. 6 (code: `--sim-coeff`)."""
    variance: float = Field(default=25.0, ge=0)
    """Weight of what keeps dimensions varying, mu of eq. 6 (code: `--std-coeff`)."""
    covariance: float = Field(default=1.0, ge=0)
    """Weight of what keeps dimensions from varying together, nu of eq. 6 (code: `--cov-coeff`)."""


class Method(_types.Method):
    """VICReg. The views go through the network one after the other, each with its own batch statistics. The embeddings
    of all processes are gathered (2 x batch x `out` numbers), so that variance and covariance are of the joined batch.
    There is no moving average.
    """

    def __init__(self, config: Config, encoder: Encoder, policy: DrawViews):
        super().__init__(encoder, policy)
        self.config = config
        self.expander = mlp([encoder.dim, config.hidden, config.hidden, config.out])

    def loss(self, views: list[View], gather: Gather = ONE_PROCESS) -> Loss:
        """The weighted sum of the three terms (eq. 6); the code halves the sum of both views' variance terms."""
        first, second = (self.encoder(view.image) for view in pair(views, "vicreg"))
        a, b = (joined(self.expander(features), gather, "vicreg") for features in (first, second))
        agree, spread, together = F.mse_loss(a, b), (variance(a) + variance(b)) / 2, covariance(a) + covariance(b)
        c = self.config
        total = c.invariance * agree + c.variance * spread + c.covariance * together
        terms = {"invariance": agree.detach(), "variance": spread.detach(), "covariance": together.detach()}
        return Loss(total, first.detach(), terms)


@full_precision
def variance(z: Float[Tensor, "b d"]) -> Float[Tensor, ""]:
    """Mean over dimensions of max(0, 1 - sqrt(Var + 1e-4)) (eq. 1 and 2; gamma and epsilon of section 4.2)."""
    return torch.relu(1.0 - (z.var(dim=0) + 1e-4).sqrt()).mean()


@full_precision
def covariance(z: Float[Tensor, "b d"]) -> Float[Tensor, ""]:
    """Sum of the squared covariances of different dimensions, over the number of dimensions (eq. 3 and 4)."""
    centred = z - z.mean(dim=0)
    return squares_beside_diagonal(centred, centred) / (len(z) - 1) ** 2 / z.shape[1]
