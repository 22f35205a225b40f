"""SimCLR: two views of a chip attract, all other views of the batch repel.

Chen et al. 2020, https://arxiv.org/abs/2002.05709; the three-layer projector of the released code and of v2.
SSL4EO-L used `layers=2`, `hidden=2048`, `temperature=0.07`.
"""

from typing import Literal

from pydantic import Field

from swath.batch import View, pad_dates
from swath.encoders import Encoder
from swath.errors import RecipeError
from swath.methods import _types
from swath.methods._losses import nt_xent
from swath.methods._types import ONE_PROCESS, DrawViews, Gather, Loss, mlp, pair
from swath.settings import PluginSettings


class Config(PluginSettings):
    """SimCLR (Chen et al. 2020): two views of a chip attract, all other views of the batch repel."""

    name: Literal["simclr"] = "simclr"
    hidden: int | None = Field(default=None, ge=1)
    """Width of the projector's hidden layers; null: the encoder's."""
    out: int = Field(default=128, ge=1)
    """Length of the projection."""
    layers: int = Field(default=3, ge=1)
    """Number of layers of the projector: 2 in v1, 3 in v2."""
    temperature: float = Field(default=0.1, gt=0)
    """Temperature that cosines are divided by: 0.1 for large batches, 0.5 for small ones."""


class Method(_types.Method):
    """SimCLR. Both views go through the network together: batch statistics are those of all 2B views. Projections of
    all processes are gathered, with gradients (2 x batch x `out` numbers). There is no teacher.
    """

    def __init__(self, config: Config, encoder: Encoder, policy: DrawViews):
        super().__init__(encoder, policy)
        self.config = config
        hidden = [config.hidden or encoder.dim] * (config.layers - 1)
        self.projector = mlp([encoder.dim, *hidden, config.out], bias=False, last_norm=True)

    def loss(self, views: list[View], gather: Gather = ONE_PROCESS) -> Loss:
        """NT-Xent of the two views against the views of all processes."""
        first, second = pair(views, "simclr")
        try:
            both = pad_dates([first.image, second.image])
        except ValueError as error:
            raise RecipeError(
                f"simclr puts both views through the encoder together, but they differ: {error}",
                remedy="draw views of one size and resolution, or use byol or moco-v2",
            ) from None
        features = self.encoder(both)
        a, b = self.projector(features).chunk(2)
        total = nt_xent(a, b, gather(a), gather(b), gather.rank * len(a), self.config.temperature)
        return Loss(total=total, features=features.detach().chunk(2)[0])
