"""What LeJEPA and VISReg share: views predict their mean, and random projections of embeddings look Gaussian."""

from abc import abstractmethod

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from swath._device import send
from swath.batch import View
from swath.encoders import Encoder
from swath.methods import _types
from swath.methods._crops import global_first, together
from swath.methods._types import ONE_PROCESS, DrawViews, Gather, Loss, mlp
from swath.settings import PluginSettings


class Config(PluginSettings):
    """The settings that LeJEPA and VISReg share."""

    hidden: int = Field(default=2048, ge=1)
    """Width of the projector's two hidden layers."""
    out: int = Field(default=64, ge=1)
    """Length of the embedding."""
    weight: float = Field(default=0.05, ge=0, le=1)
    """Weight of the regulariser; the prediction has 1 minus it."""
    slices: int = Field(default=1024, ge=1)
    """Number of random directions, drawn anew for every step."""


class Sketched(_types.Method):
    """Any number of views. Those of a size go through the network in one batch and all embeddings through the projector
    in one, as in LeJEPA's code: views that share a batch share BatchNorm's statistics.
    """

    multi_crop = True

    def __init__(self, config: Config, encoder: Encoder, policy: DrawViews):
        super().__init__(encoder, policy)
        self.config = config
        self.projector = mlp([encoder.dim, config.hidden, config.hidden, config.out], last_bias=True)

    def loss(self, views: list[View], gather: Gather = ONE_PROCESS) -> Loss:
        """(1 - weight) times the distance of all views from the mean of the global ones, plus weight times the
        regulariser."""
        ordered, number_global = global_first(views, self.config.name)
        features = together(self.encoder, ordered)
        z = self.projector(features.flatten(0, 1)).float().unflatten(0, features.shape[:2])
        predicted = (z - z[:number_global].mean(dim=0)).square().mean()
        regular, terms = self.regulariser(z, directions(z, self.config.slices, gather), gather)
        total = (1.0 - self.config.weight) * predicted + self.config.weight * regular
        return Loss(total, features[0].detach(), {"prediction": predicted.detach(), **terms})

    @abstractmethod
    def regulariser(
        self, z: Float[Tensor, "v b d"], directions: Float[Tensor, "d s"], gather: Gather
    ) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """How far the embeddings of each view are from a standard Gaussian; and terms for the log."""


def directions(z: Float[Tensor, "v b d"], number: int, gather: Gather) -> Float[Tensor, "d s"]:
    """Random unit vectors from torch's global random state: those of the first process, in all processes."""
    drawn = send(torch.randn(number, z.shape[2]), z.device)
    return F.normalize(gather(drawn)[:number], dim=1).T
