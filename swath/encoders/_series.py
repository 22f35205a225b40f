"""Encoders that see a series as a whole, and what they need to know of its dates."""

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from swath.batch import Image
from swath.encoders._base import Encoder


class SeriesEncoder(Encoder, ABC):
    """An encoder whose network convolves over dates too, instead of encoding them one by one."""

    layout = torch.preserve_format
    halves = True
    """Whether its convolutions halve series until they are short."""

    def standard(self, image: Image) -> Float[Tensor, "b c t h w"]:
        """Standardised pixels as the network takes them; invalid ones are 0."""
        return self.standardize(image.pixels, image.valid, image.band_ids).transpose(1, 2)

    @abstractmethod
    def volumes(self, image: Image) -> Float[Tensor, "b d t h w"]:
        """Features in space and time, at the network's own resolution; 0 at dates that have no valid pixel."""


def seen_frames(valid: Bool[Tensor, "b t h w"]) -> Bool[Tensor, "b t"]:
    """True for dates that have a valid pixel.

    A date without one is either padding at the end of a shorter series or wholly covered; networks treat both alike.
    """
    return valid.flatten(2).any(dim=2)


def halved(seen: Bool[Tensor, "b t *s"]) -> Bool[Tensor, "b u *r"]:
    """A mask pooled by 2 along every axis: True where any of the merged positions is True."""
    if seen.ndim == 2:  # by the 2-D operation: torch's exporter takes sizes for constants in the 1-D one
        return F.max_pool2d(seen[:, None, :, None].float(), (2, 1), ceil_mode=True)[:, 0, :, 0] > 0
    return F.max_pool3d(seen[:, None].float(), 2, ceil_mode=True)[:, 0] > 0


def temporal_mean(maps: Float[Tensor, "b k t h w"], seen: Bool[Tensor, "b t"]) -> Float[Tensor, "b k h w"]:
    """Mean over the dates that are seen; 0 for a sample that has none."""
    weight = seen.to(maps.dtype)
    return torch.einsum("bkthw,bt->bkhw", maps, weight / weight.sum(dim=1, keepdim=True).clamp(min=1))


def masked_mean(volume: Float[Tensor, "b d t h w"], valid: Bool[Tensor, "b t h w"]) -> Float[Tensor, "b d"]:
    """Mean over the valid positions in space and time; 0 for a sample that has none."""
    weight = valid.to(volume.dtype)
    return torch.einsum("bdthw,bthw->bd", volume, weight) / weight.sum(dim=(1, 2, 3)).clamp(min=1)[:, None]
