"""What MAE and SatMAE share: an encoder that sees some tokens, and a transformer that fills in the others' pixels."""

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn

from swath._device import send
from swath.batch import Image, View
from swath.encoders import Encoder, TokenEncoder
from swath.encoders.vit import attend, block, initialise
from swath.errors import RecipeError
from swath.methods import _types
from swath.methods._masked import chosen, flat, mean_of, patch_errors, random_keep
from swath.methods._types import ONE_PROCESS, DrawViews, Gather, Loss
from swath.settings import PluginSettings

Masks = Literal["independent", "consistent"]


class Config(PluginSettings):
    """The settings that MAE and SatMAE share: how much is hidden, and the decoder that fills it in."""

    mask: float = Field(default=0.75, gt=0, lt=1)
    """Share of the tokens that the encoder does not see."""
    normalise: bool = True
    """Whether the pixels of each patch are brought to mean 0 and deviation 1 before they are compared (the paper's
    better variant)."""
    decoder_width: int | None = Field(default=None, ge=32, multiple_of=32)
    """Length of the decoder's tokens; None: 512, or the encoder's where that is shorter."""
    decoder_depth: int = Field(default=8, ge=1)
    """Number of the decoder's blocks."""
    decoder_heads: int | None = Field(default=None, ge=1)
    """Attention heads of each; None: one for 32 numbers of width, which are the paper's 16."""


class Filler(nn.Module):
    """A transformer over the encoder's tokens and, in place of each hidden token, a learnt one."""

    def __init__(self, dim: int, width: int, depth: int, heads: int):
        super().__init__()
        if width % heads:
            raise RecipeError(f"{width} numbers cannot be shared by {heads} attention heads", remedy="change the heads")
        self.embed = nn.Linear(dim, width)
        self.missing = nn.Parameter(torch.empty(1, 1, width).normal_(std=0.02))
        self.blocks = nn.ModuleList(block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)


class Decoder(Filler):
    """Predicts the pixels of every patch from the visible tokens; each group of bands has a last layer of its own."""

    def __init__(self, encoder: TokenEncoder, config: Config):
        """Draw the initial weights.

        Args:
            encoder: the encoder whose tokens are decoded.
            config: size of the decoder.
        """
        width = config.decoder_width or max(32, min(512, encoder.dim) // 32 * 32)
        super().__init__(encoder.dim, width, config.decoder_depth, config.decoder_heads or width // 32)
        self.width = width
        self.said = encoder.prediction(width)
        self.apply(initialise)

    def forward(
        self,
        tokens: Float[Tensor, "b m d"],
        keep: Int[Tensor, "b k"],
        positions: Float[Tensor, "s n w"],
        there: Bool[Tensor, "b n"],
        image: Image,
    ) -> Float[Tensor, "b n p"]:
        """Predict the pixels of all patches.

        Args:
            tokens: output of the encoder: class token and registers, then the tokens of visible patches.
            keep: number of the patch that each of the latter belongs to; -1 for padding.
            positions: encoded positions of all patches.
            there: False for patches without a valid pixel, which no token attends to and no loss counts.
            image: the image whose bands are predicted.
        """
        known, prefix = self.embed(tokens), tokens.shape[1] - keep.shape[1]
        n = there.shape[1]
        # what is of no patch lands in a row that is dropped
        at = torch.where(keep < 0, n, keep)[..., None].expand(-1, -1, self.width)
        rows = self.missing.to(known.dtype).expand(len(known), n + 1, -1)
        rows = rows.scatter(1, at, known[:, prefix:])[:, :n] + positions
        filled = attend(self.blocks, torch.cat([known[:, :prefix], rows], dim=1), there)
        return self.said(self.norm(filled)[:, prefix:], image)


class Autoencoder(_types.Method):
    """A masked autoencoder: most patches are hidden from the encoder, and a decoder predicts their pixels.

    Every view is masked and predicted by itself, so any number of views will do. Dates are images of their own unless
    the encoder sees them together. Patches without a valid pixel are neither shown to the encoder nor counted.
    Processes exchange one number each: how many patches their loss counts.
    """

    encoder: TokenEncoder
    masks: Masks = "independent"
    """`independent`: each token is hidden or not by itself. `consistent`: all tokens on a patch of ground alike."""

    def __init__(self, config: Config, encoder: Encoder, policy: DrawViews):
        super().__init__(with_tokens(encoder, config.name), policy)
        self.config = config
        self.decoder = Decoder(self.encoder, config)

    def rehearse(self, draw: Callable[[], list[View]]) -> None:
        """As `Method`: views are not smaller than a patch, and the mask leaves some of their patches."""
        for view in draw():
            image = self.encoder.by_date(view.image)
            self.keep(self.encoder.grid(image).layers, torch.ones_like(self.encoder.seen(image)))

    def loss(self, views: list[View], gather: Gather = ONE_PROCESS) -> Loss:
        """Mean over hidden patches of the mean squared error of their valid pixels."""
        errors, asked, features = zip(*map(self._of, views), strict=True)
        return Loss(mean_of(flat(errors), flat(asked), gather), features[0].detach())

    def _of(self, view: View) -> tuple[Float[Tensor, "b n"], Bool[Tensor, "b n"], Float[Tensor, "b d"]]:
        """Error of each token of a view, which tokens the loss counts, and the embedding of what the encoder saw."""
        encoder, image = self.encoder, self.encoder.by_date(view.image)
        seen, scale, layers = encoder.seen(image), scale_of(view, len(image)), encoder.grid(image).layers
        keep = self.keep(layers, seen)
        tokens = encoder.tokens(image, keep, scale)
        said = self.decoder(tokens, keep, encoder.positions(image, self.decoder.width, scale), seen, image)
        shown = encoder.patches(image)
        errors = patch_errors(said, shown.values, shown.valid, normalise=self.config.normalise)
        features = encoder.pooled(tokens, seen.gather(1, keep.clamp(min=0)) & (keep >= 0))
        return errors, seen & ~chosen(keep, seen.shape[1]), features

    def keep(self, layers: int, seen: Bool[Tensor, "b n"]) -> Int[Tensor, "b k"]:
        """Draw which tokens the encoder sees: their numbers, padded with -1 where a sample has fewer than others."""
        alike = layers if self.masks == "consistent" else 1
        noise = send(torch.rand(len(seen), seen.shape[1] // alike), seen.device)
        return random_keep(noise, seen, self.config.mask)


def with_tokens(encoder: Encoder, method: str) -> TokenEncoder:
    """Return the encoder if some of its tokens can be computed without the others.

    Raises:
        RecipeError: they cannot.
    """
    if not isinstance(encoder, TokenEncoder):
        raise RecipeError(
            f"{method} hides patches from the encoder, and this one has no tokens that could be left out",
            remedy="choose the encoder vit",
        )
    return encoder


def scale_of(view: View, samples: int) -> Float[Tensor, " b"]:
    """Width of a view's pixel in pixels of the chip, for each sample.

    Args:
        view: of some locations.
        samples: number of locations, or of locations times dates where each date is a sample; dates follow each other.
    """
    linear = view.affine[:, :, :2]
    area = linear[:, 0, 0] * linear[:, 1, 1] - linear[:, 0, 1] * linear[:, 1, 0]
    return area.abs().sqrt().repeat_interleave(samples // len(area))
