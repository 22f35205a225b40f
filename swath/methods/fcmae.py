"""FCMAE: most cells of a picture are hidden, and filled in by what the others show.

Woo et al. 2023, "ConvNeXt V2", https://arxiv.org/abs/2301.00808, and its code. Published on ImageNet with AdamW
(0.9, 0.95), lr 1.5e-4 x batch / 256, weight decay 0.05, batch 4096, 40 epochs of warm-up, 800 or 1600 epochs, crops of
scale (0.2, 1) and flips: the policy with-targets by default.
"""

from typing import Literal

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from swath.batch import View
from swath.encoders import Encoder
from swath.methods import _cells
from swath.methods._cells import Decoder, cell_errors
from swath.methods._masked import hidden, left_out, normal_init, shares, take
from swath.methods._types import ONE_PROCESS, DrawViews, Gather, Loss, require_number
from swath.settings import PluginSettings


class Config(PluginSettings):
    """Settings of FCMAE."""

    name: Literal["fcmae"] = "fcmae"
    mask: float = Field(default=0.6, gt=0, lt=1)
    """Share of the cells that is hidden."""
    decoder_width: int = Field(default=512, ge=1)
    decoder_depth: int = Field(default=1, ge=1)
    """Blocks of the decoder, which training alone needs."""
    normalised: bool = True
    """Pixels are filled in as they are beside the others of their cell: less its mean, over its deviation."""


class Method(_cells.Masked):
    """FCMAE. Seen cells alone are computed; the error is of hidden ones alone, and of their valid pixels."""

    def __init__(self, config: Config, encoder: Encoder, policy: DrawViews):
        super().__init__(config.name, config.mask, encoder, policy)
        self.config = config
        self.decoder = Decoder(encoder.dim, config.decoder_width, config.decoder_depth)
        self.predict = nn.Linear(config.decoder_width, encoder.contract.channels * self.encoder.cell**2)
        self.predict.apply(normal_init)

    def loss(self, views: list[View], gather: Gather = ONE_PROCESS) -> Loss:
        """Mean over hidden cells that have a valid pixel of the mean squared error of these.

        A sample whose seen cells have no valid pixel is asked for nothing.
        """
        (view,) = require_number(views, "fcmae", "with-targets without targets", 1)
        tokens, said = self.filled_in(view)
        wanted, valid = self.standard(view)
        pixels = said.unflatten(2, (wanted.shape[2], -1))
        error, count = cell_errors(pixels, wanted, valid, normalise=self.config.normalised)
        (total,), _ = shares(error[None], count[None], gather)
        return Loss(total, self.encoder.pooled(tokens).detach(), left_out([self.shown(view)]))

    def filled_in(self, view: View) -> tuple[Float[Tensor, "b k d"], Float[Tensor, "b m p"]]:
        """Features of the seen cells; and what is said of the pixels of hidden ones, channel by channel."""
        assert view.kept is not None
        grid = self.encoder.grid(view.image)
        tokens = self.encoder.tokens(view.image, view.kept)
        every = self.decoder(tokens, view.kept, grid)
        return tokens, self.predict(take(every, hidden(view.kept, grid[0] * grid[1])))
