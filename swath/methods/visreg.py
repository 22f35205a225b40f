"""VISReg: LeJEPA's prediction, with centre, scale and shape of the embeddings kept apart.

Wu et al. 2026, https://arxiv.org/abs/2606.02572. Sorted random projections are compared with a Gaussian's quantiles, so
that embeddings which are all the same are parted. Views and optimiser as for LeJEPA.
"""

from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from swath.methods import _sketched
from swath.methods._losses import full_precision
from swath.methods._types import Gather, joined


class Config(_sketched.Config):
    """VISReg (Wu et al. 2026): LeJEPA's prediction with a regulariser of centre, scale and shape; projector as
    LeJEPA's.
    """

    name: Literal["visreg"] = "visreg"  # pyright: ignore[reportIncompatibleVariableOverride]
    weight: float = Field(default=0.9, ge=0, le=1)
    """Weight of the regulariser; the prediction's is 1 minus it (tables 3 and 12: 0.9 for ImageNet, 0.6 for small data
    sets)."""
    slices: int = Field(default=256, ge=1)
    """Number of random directions (stable-pretraining; lightly: 4096)."""
    centre: float = Field(default=1.0, ge=0)
    """Weight of the centre within the regulariser (table 12); the following two weigh scale and shape."""
    scale: float = Field(default=1.0, ge=0)
    shape: float = Field(default=1.0, ge=0)
    """Weight of the shape, to be raised for long-tailed data."""


class Method(_sketched.Sketched):
    """VISReg. No teacher, no stopped gradient between views, no predictor. Views of a size share a forward pass.
    Gathered are the directions, of which those of the first process count (slices x `out` numbers), and the embeddings,
    with gradients (views x batch x `out`), which have to be sorted together. The paper leaves each process its own
    directions and samples; here several processes are as one. The terms are of each view by itself.
    """

    config: Config

    def regulariser(
        self, z: Float[Tensor, "v b d"], directions: Float[Tensor, "d s"], gather: Gather
    ) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """The weighted sum of the three terms (eq. 7)."""
        everyone = joined(z.transpose(0, 1), gather, "visreg").transpose(0, 1)
        middle, spread, form = centre(everyone), scale(everyone), shape(everyone, directions)
        total = self.config.centre * middle + self.config.scale * spread + self.config.shape * form
        return total, {"centre": middle.detach(), "scale": spread.detach(), "shape": form.detach()}


@full_precision
def centre(z: Float[Tensor, "v b d"]) -> Float[Tensor, ""]:
    """Mean square of each dimension's mean over the batch (eq. 6)."""
    return z.mean(dim=1).square().mean()


@full_precision
def scale(z: Float[Tensor, "v b d"]) -> Float[Tensor, ""]:
    """Mean square of 1 minus each dimension's standard deviation over the batch (eq. 1)."""
    return (1.0 - deviation(z)).square().mean()


@full_precision
def shape(z: Float[Tensor, "v b d"], directions: Float[Tensor, "d s"]) -> Float[Tensor, ""]:
    """Mean squared distance of sorted projections from the quantiles i / (B + 1) of N(0, 1); the embeddings have mean 0
    and standard deviation 1, which is a constant (eq. 2 and 5)."""
    samples = z.shape[1]
    standard = (z - z.mean(dim=1, keepdim=True)) / (deviation(z).detach()[:, None] + 1e-4)
    shares = torch.arange(1, samples + 1, device=z.device, dtype=z.dtype) / (samples + 1)
    projections = (standard @ directions).sort(dim=1).values
    return (projections - torch.special.ndtri(shares)[:, None]).square().mean()


def deviation(z: Float[Tensor, "v b d"]) -> Float[Tensor, "v d"]:
    """Standard deviation over the batch; the smallest square is no 0, which has no gradient."""
    return z.var(dim=1, unbiased=False).clamp_min(1e-12).sqrt()
