"""Encoders that can compute some tokens of an image alone: what methods of masked modelling train."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn

from swath.batch import Image
from swath.encoders._base import Encoder, _mean_over_dates
from swath.encoders._series import SeriesEncoder
from swath.errors import ContractError


@dataclass(frozen=True, slots=True)
class TokenGrid:
    """How the tokens of an image are ordered: layer by layer, each row by row."""

    layers: int
    """How many tokens a patch of ground has: one for each date and group of bands, dates outermost."""
    rows: int
    columns: int

    @property
    def places(self) -> int:
        """How many patches of ground there are."""
        return self.rows * self.columns

    @property
    def tokens(self) -> int:
        """How many tokens there are."""
        return self.layers * self.places


@dataclass(frozen=True, slots=True, eq=False)
class Patches:
    """What the image shows in the patch of each token, standardised."""

    values: Float[Tensor, "b n p"]
    """Channel by channel, each row by row; 0 where not valid."""
    valid: Bool[Tensor, "b n p"]
    """False: an invalid pixel, one beside the image, or a channel that other tokens have and this one lacks."""


class TokenEncoder(Encoder, ABC):
    """An encoder whose tokens stand for patches of the image; those that are not wanted are never computed.

    The dates of a series are images of their own (`by_date`), unless the encoder sees them `together`.
    """

    layout = torch.preserve_format
    together = False
    """Whether tokens of all dates of a series are computed together."""
    groups: tuple[tuple[int, ...], ...] = ()
    """Channels of each group that has tokens of its own; empty: all are one."""
    pooling = "mean"
    """What the embedding is: the mean of the patches' tokens, or the `class` token."""

    @abstractmethod
    def tokens(
        self, image: Image, keep: Int[Tensor, "b k"] | None = None, scale: Float[Tensor, " b"] | None = None
    ) -> Float[Tensor, "b m d"]:
        """Normalised tokens, for training: nothing is checked. First the prefix, then those of patches.

        Args:
            image: of one date, unless the encoder sees dates together.
            keep: numbers of the tokens that enter, any number for each sample: the rest of its row is -1, whose tokens
                mean nothing. None: all. Tokens without a valid pixel are computed, but none of the others sees them.
            scale: how many pixels of `image.gsd_m` a pixel is wide, for encoders that go by it; None: one.
        """

    @abstractmethod
    def positions(self, image: Image, width: int, scale: Float[Tensor, " b"] | None = None) -> Float[Tensor, "s n w"]:
        """Fixed position encodings of all tokens, of any width that the encoder's own could have, for a decoder;
        s is 1 where all samples have the same."""

    def grid(self, image: Image) -> TokenGrid:
        """How many tokens there are, and in which order.

        Raises:
            ContractError: the image is smaller than a patch.
        """
        t, _, h, w = image.pixels.shape[1:]
        if min(h, w) < self.patch_px:
            raise ContractError(
                f"the image has {h} x {w} pixels, which is less than a patch of {self.patch_px} x {self.patch_px}",
                remedy="larger chips or views, or an encoder with smaller patches",
            )
        rows, columns = ((side + self.patch_px - 1) // self.patch_px for side in (h, w))
        return TokenGrid(t * max(1, len(self.groups)), rows, columns)

    def by_date(self, image: Image) -> Image:
        """The image that tokens are of: every date a sample of its own, unless the encoder sees them together."""
        t = image.pixels.shape[1]
        if t == 1 or self.together:
            return image
        return replace(
            image,
            pixels=image.pixels.flatten(0, 1)[:, None],
            valid=image.valid.flatten(0, 1)[:, None],
            days=image.days.flatten(0, 1)[:, None],
            band_ids=image.band_ids.repeat_interleave(t, dim=0),
        )

    def patches(self, image: Image) -> Patches:
        """What each token stands for."""
        standard = self.standardize(image.pixels, image.valid, image.band_ids)
        values = cut(standard, self.patch_px)
        valid = cut(image.valid[:, :, None], self.patch_px)
        channels = self.groups or (tuple(range(image.pixels.shape[2])),)
        most = max(map(len, channels))
        there = [F.pad(valid.expand(*valid.shape[:3], len(own), -1), (0, 0, 0, most - len(own))) for own in channels]
        shown = [F.pad(picked(values, own), (0, 0, 0, most - len(own))) for own in channels]
        return Patches(*(torch.stack(parts, dim=2).flatten(1, 3).flatten(2) for parts in (shown, there)))

    def prediction(self, width: int) -> nn.Module:
        """A new last layer of a decoder, which says what pixels of all patches are.

        Args:
            width: length of the decoder's tokens.

        Returns:
            A module that takes rows "b n w", one for every token, and the image whose bands they are of, and gives
            values "b n p", as in `patches`.
        """
        groups = self.groups or (tuple(range(self.contract.channels)),)
        return GroupPrediction(width, len(groups), max(map(len, groups)) * self.patch_px**2)

    def seen(self, image: Image) -> Bool[Tensor, "b n"]:
        """True for tokens whose patch has a valid pixel."""
        there = cut(image.valid[:, :, None], self.patch_px).flatten(3).any(dim=3)
        return there[:, :, None].expand(-1, -1, max(1, len(self.groups)), -1).flatten(1)

    def pooled(self, tokens: Float[Tensor, "b m d"], there: Bool[Tensor, "b k"]) -> Float[Tensor, "b d"]:
        """An embedding from tokens, of which some mean something."""
        if self.pooling == "class":
            return tokens[:, 0]
        # where no patch has a valid pixel all look alike (the band means), and any of them will do
        there = there | ~there.any(dim=1, keepdim=True)
        weight = there.to(tokens.dtype)
        return torch.einsum("bkd,bk->bd", tokens[:, self.prefix :], weight / weight.sum(dim=1, keepdim=True))

    def embedding(self, image: Image) -> Float[Tensor, "b d"]:
        """The embedding of an image that tokens are of: of one date, unless the encoder sees them together."""
        return self.pooled(self.tokens(image), self.seen(image))

    def forward(self, image: Image) -> Float[Tensor, "b d"]:
        """Embed for training, nothing checked: all tokens; where dates are apart, the mean over those that have a
        valid pixel."""
        each = self.by_date(image)
        features = self.embedding(each)
        if each is image:
            return features
        return _mean_over_dates(features.unflatten(0, image.valid.shape[:2]), image.valid)


class GroupPrediction(nn.ModuleList):
    """A linear layer for each group of bands."""

    def __init__(self, width: int, groups: int, longest: int):
        super().__init__(nn.Linear(width, longest) for _ in range(groups))

    def forward(self, rows: Float[Tensor, "b n w"], image: Image) -> Float[Tensor, "b n p"]:
        """Pixels of all patches of the image."""
        dates = image.pixels.shape[1]
        by_group = rows.unflatten(1, (dates, len(self), -1))
        return torch.stack([layer(by_group[:, :, i]) for i, layer in enumerate(self)], dim=2).flatten(1, 3)


def sees_series(encoder: Encoder) -> bool:
    """Whether an encoder looks at the dates of a series together, instead of one by one."""
    return isinstance(encoder, SeriesEncoder) or (isinstance(encoder, TokenEncoder) and encoder.together)


def cut(image: Shaped[Tensor, "b t c h w"], px: int) -> Shaped[Tensor, "b t n c p"]:
    """Patches of `px` x `px` pixels, row by row; beside the image they are 0."""
    h, w = image.shape[3:]
    if torch.compiler.is_exporting() or h % px or w % px:
        image = F.pad(image, (0, -w % px, 0, -h % px))
    parts = image.unflatten(4, (-1, px)).unflatten(3, (-1, px))  # b t c rows px columns px
    return parts.permute(0, 1, 3, 5, 2, 4, 6).flatten(5).flatten(2, 3)


def take(rows: Shaped[Tensor, "b n *d"], keep: Int[Tensor, "b k"]) -> Shaped[Tensor, "b k *d"]:
    """The rows of these numbers of each sample; of -1 some row or other."""
    sample = torch.arange(len(rows), device=rows.device)[:, None]
    return rows[sample, keep.clamp(min=0)]


def picked(patches: Shaped[Tensor, "b t n c p"], channels: Sequence[int]) -> Shaped[Tensor, "b t n k p"]:
    """Some channels of patches; their numbers need not travel to the device."""
    return torch.stack([patches[:, :, :, channel] for channel in channels], dim=3)
