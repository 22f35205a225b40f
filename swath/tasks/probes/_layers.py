"""What probes are made of as layers of a network, for graphs that run without swath."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from swath.tasks.probes._scale import ZScore


class Scaled(nn.Module):
    """Features on the scale of the training part, in double precision as `ZScore` computes them."""

    mean: Tensor
    scale: Tensor

    def __init__(self, scale: ZScore):
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(scale.mean))
        self.register_buffer("scale", torch.from_numpy(scale.scale))

    def forward(self, x: Float[Tensor, "b d"]) -> Float[Tensor, "b d"]:
        """Standardised features, float32."""
        return ((x.double() - self.mean) / self.scale).float()


def affine(weight: Float[np.ndarray, "k d"], bias: Float[np.ndarray, " k"]) -> nn.Linear:
    """A linear layer of these weights."""
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.load_state_dict({"weight": torch.from_numpy(weight).float(), "bias": torch.from_numpy(bias).float()})
    return layer


def likely(*, multi_label: bool) -> nn.Module:
    """The layer from logits to probabilities: of each class by itself where units have several."""
    return nn.Sigmoid() if multi_label else nn.Softmax(dim=1)
