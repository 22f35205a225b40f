"""What FCMAE and MP-MAE share: cells that are hidden, the decoder that fills them in, and errors of what it says."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn

from swath._device import send
from swath.batch import Batch, View
from swath.encoders import Encoder
from swath.encoders.convnext_v2 import ConvNextV2
from swath.errors import RecipeError
from swath.methods import _types
from swath.methods._masked import hidden, kept_of, normal_init, patch_errors, take
from swath.methods._types import DrawViews


def visible(samples: int, cells: int, mask: float, generator: torch.Generator) -> Int[Tensor, "b k"]:
    """The cells that each sample shows, drawn anew, row by row; on the host.

    Raises:
        RecipeError: the mask leaves none.
    """
    order = torch.rand(samples, cells, generator=generator).argsort(dim=1)
    return order[:, : kept_of(cells, mask, "cells")].sort(dim=1).values


def cut(picture: Shaped[Tensor, "b c h w"], side: int) -> Shaped[Tensor, "b n c p"]:
    """Its cells, row by row, each channel's pixels row by row."""
    cells = picture.unflatten(3, (-1, side)).unflatten(2, (-1, side))  # b c down side across side
    return cells.permute(0, 2, 4, 1, 3, 5).flatten(4).flatten(1, 2)


def cell_errors(
    said: Float[Tensor, "b m c p"],
    wanted: Float[Tensor, "b m c p"],
    valid: Bool[Tensor, "b m p"],
    *,
    normalise: bool = False,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Sum over cells of the mean squared error of their valid pixels, and how many cells have any.

    With `normalise`, each cell's pixels are brought to mean 0 and variance 1, over all channels.
    """
    known = valid[:, :, None].expand_as(wanted).flatten(2)
    errors = patch_errors(said.flatten(2), wanted.flatten(2), known, normalise=normalise)
    return errors.sum(), valid.any(dim=2).sum().to(errors.dtype)


class Decoder(nn.Module):
    """From the features of the seen cells to those of all: a learned token for the others, then ConvNeXt V2 blocks."""

    def __init__(self, dim: int, width: int, depth: int):
        from timm.models.convnext import ConvNeXtBlock

        super().__init__()
        self.project = nn.Linear(dim, width)
        self.token = nn.Parameter(torch.empty(width).normal_(std=0.02))
        blocks: list[Any] = [ConvNeXtBlock(width, use_grn=True, ls_init_value=None) for _ in range(depth)]
        self.blocks = nn.Sequential(*blocks)
        self.apply(normal_init)

    def forward(
        self, tokens: Float[Tensor, "b k d"], kept: Int[Tensor, "b k"], grid: tuple[int, int]
    ) -> Float[Tensor, "b n w"]:
        """Features of all cells, row by row."""
        seen = self.project(tokens)
        every = self.token.to(seen.dtype).expand(len(seen), grid[0] * grid[1], -1)
        every = every.scatter(1, kept[:, :, None].expand_as(seen), seen)
        return self.blocks(every.transpose(1, 2).unflatten(2, grid)).flatten(2).transpose(1, 2)


class Masked(_types.Method):
    """One view, of which the encoder sees some cells; what is drawn is written on the view (`View.kept`)."""

    encoder: ConvNextV2

    def __init__(self, name: str, mask: float, encoder: Encoder, policy: DrawViews):
        if not isinstance(encoder, ConvNextV2):
            raise RecipeError(
                f"{name} shows its encoder some cells of a picture, and this one needs all",
                where="encoder",
                remedy="choose the encoder convnext-v2",
            )
        super().__init__(encoder, policy)
        self.name, self.mask = name, mask
        network: Any = encoder.network
        network.head.requires_grad_(requires_grad=False)  # its norm is of the embedding, which nothing here trains

    @torch.no_grad()
    def views(self, batch: Batch, generator: torch.Generator) -> list[View]:
        """The policy's, and which cells of the first one are seen.

        Raises:
            RecipeError: the view is of several dates or not made of whole cells, or the mask leaves none.
        """
        first, *others = super().views(batch, generator)
        dates = first.image.pixels.shape[1]
        if dates > 1:
            raise RecipeError(
                f"{self.name} fills in a picture of one date, and the views have {dates}",
                remedy="choose the policy with-targets",
            )
        rows, columns = self.encoder.grid(first.image)
        kept = visible(len(first.image), rows * columns, self.mask, generator)
        return [replace(first, kept=send(kept, first.image.pixels.device)), *others]

    def rehearse(self, draw: Callable[[], list[View]]) -> None:
        """As `Method`: views are made of whole cells, of which the mask leaves some."""
        draw()

    def standard(self, view: View) -> tuple[Float[Tensor, "b m c p"], Bool[Tensor, "b m p"]]:
        """The hidden cells of a view, as the encoder standardises them, and which of their pixels are asked for: the
        valid ones of samples that show any."""
        image = view.image
        pixels = self.encoder.standardize(image.pixels, image.valid, image.band_ids)[:, 0]
        return self.hide(view, pixels), self.hide(view, image.valid)[:, :, 0] & self.shown(view)[:, None, None]

    def shown(self, view: View) -> Bool[Tensor, " b"]:
        """Whether a pixel of the cells that a sample shows is valid: without one, nobody could say anything."""
        assert view.kept is not None
        return take(cut(view.image.valid, self.encoder.cell), view.kept).flatten(1).any(dim=1)

    def hide(self, view: View, picture: Shaped[Tensor, "b c h w"]) -> Shaped[Tensor, "b m c p"]:
        """The cells of a picture, of a mask or of codes that the view does not show."""
        assert view.kept is not None
        cells = cut(picture, self.encoder.cell)
        return take(cells, hidden(view.kept, cells.shape[1]))
