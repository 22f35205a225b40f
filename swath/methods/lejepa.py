"""LeJEPA: views predict the mean of the global ones, and SIGReg makes embeddings an isotropic Gaussian.

Balestriero & LeCun 2025, https://arxiv.org/abs/2511.08544, and the authors' code (rbalestr-lab/lejepa). Published on
ImageNet with AdamW, lr 5e-4, weight decay 0.05 (ViT) or 5e-4 (ResNet), cosine to a thousandth of it, 2 global crops of
scale (0.3, 1) and 6 local ones of (0.05, 0.3): the policy multi-crop with `views.presets.lejepa`, its form for Earth
observation.
"""

from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from swath.methods import _sketched
from swath.methods._losses import full_precision
from swath.methods._types import Gather


class Config(_sketched.Config):
    """LeJEPA (Balestriero and LeCun 2025); its lambda is `weight` (0.05, as lightly; 0.02 in the authors' minimal
    example).

    The authors' examples have embeddings of 16 to 512 numbers and 256 or 1024 slices; lightly's of 64, with 1024.
    """

    name: Literal["lejepa"] = "lejepa"  # pyright: ignore[reportIncompatibleVariableOverride]
    knots: int = Field(default=17, ge=2)
    """Number of points at which characteristic functions are compared (code: `n_points`)."""
    furthest: float = Field(default=3.0, gt=0)
    """The last of these points; the first is 0 (code: `t_max`)."""


class Method(_sketched.Sketched):
    """LeJEPA. No teacher, no stopped gradient, no predictor. Views of a size share a forward pass. Gathered are the
    directions, of which those of the first process count, and the means of cosines and sines, with gradients: slices x
    (`out` + 2 x views x `knots`) numbers. The test is of each view by itself, over the joined batch.
    """

    config: Config

    def regulariser(
        self, z: Float[Tensor, "v b d"], directions: Float[Tensor, "d s"], gather: Gather
    ) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """SIGReg (algorithm 1), the mean over views and directions."""
        t = torch.linspace(0.0, self.config.furthest, self.config.knots, device=z.device)
        means = gather(characteristic(z, directions, t)[None])
        sigreg = epps_pulley(means.mean(dim=0), t, len(means) * z.shape[1])
        return sigreg, {"sigreg": sigreg.detach()}


@full_precision
def characteristic(
    z: Float[Tensor, "v b d"], directions: Float[Tensor, "d s"], t: Float[Tensor, " k"]
) -> Float[Tensor, "2 v s k"]:
    """Means over the batch of cos(t x) and sin(t x), x the embeddings in each direction."""
    angle = (z @ directions)[..., None] * t
    return torch.stack([angle.cos().mean(dim=1), angle.sin().mean(dim=1)])


@full_precision
def epps_pulley(means: Float[Tensor, "2 v s k"], t: Float[Tensor, " k"], samples: int) -> Float[Tensor, ""]:
    """Mean over views and directions of N times the integral over [-t_k, t_k] of exp(-t^2 / 2) times the squared
    distance of the characteristic functions of embeddings and N(0, 1), by the trapezoidal rule."""
    gaussian = (-0.5 * t.square()).exp()
    distance = (means[0] - gaussian).square() + means[1].square()
    # both halves are the same
    return samples * 2.0 * torch.trapezoid(distance * gaussian, t, dim=2).mean()
