"""The spatial U-Net that U-TAE and U-ConvLSTM share (PASTIS' `utae.py`): dates are collapsed between both halves."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from swath.segmenters._base import Series, by_date

GROUPS = 4
Padding = Literal["reflect", "zeros"]


class Contracting(nn.Module):
    """Widths 64, 64, 64, 128: two 3x3 convolutions, then three halvings by a strided one with a residual block."""

    def __init__(self, channels: int, widths: Sequence[int], padding: Padding):
        super().__init__()
        first = widths[0]
        self.into = nn.Sequential(*_conv(channels, first, "group", padding), *_conv(first, first, "group", padding))
        self.down = nn.ModuleList(_Down(a, b, padding) for a, b in pairwise(widths))

    def forward(self, x: Float[Tensor, "b t c h w"], frames: Bool[Tensor, "b t"]) -> list[Tensor]:
        """Maps "b t d h w" from full to an eighth of the resolution; 0 at dates that do not count."""
        maps = [by_date(self.into, x, frames)]
        for down in self.down:
            maps.append(by_date(down, maps[-1], frames))
        return maps


class Expanding(nn.Module):
    """Decoder widths 32, 32, 64, 128, then convolutions to 32 and to the classes (with norm and ReLU, as official)."""

    def __init__(self, maps: Sequence[int], widths: Sequence[int], classes: int, padding: Padding):
        """Build it.

        Args:
            maps: widths of the maps that come in, finest first; the last is the deepest, which is decoded.
            widths: of the decoder, finest first; the deepest may differ from the deepest map.
            classes: how many.
            padding: of 3x3 convolutions, `reflect` or `zeros`.
        """
        super().__init__()
        into = [*widths[:-1], maps[-1]]
        steps = range(len(maps) - 1, 0, -1)
        self.up = nn.ModuleList(_Up(into[i], widths[i - 1], maps[i - 1], padding) for i in steps)
        last = widths[0]
        self.out = nn.Sequential(*_conv(last, last, "batch", padding), *_conv(last, classes, "batch", padding))

    def forward(self, maps: list[Tensor]) -> Float[Tensor, "b k h w"]:
        """Logits from maps "b d h w", finest first."""
        x = maps[-1]
        for up, skip in zip(self.up, reversed(maps[:-1]), strict=True):
            x = up(x, skip)
        return self.out(x)


class SpatialUNet(nn.Module):
    """Encoders that collapse dates, and one decoder, which gets their maps side by side: late fusion, or one sensor."""

    def __init__(self, encoders: Sequence[nn.Module], expanding: nn.Module):
        super().__init__()
        self.encoders, self.expanding = nn.ModuleList(encoders), expanding

    def forward(self, *series: Series) -> Float[Tensor, "b k h w"]:
        """Logits from one series per encoder."""
        maps = [encode(each) for encode, each in zip(self.encoders, series, strict=True)]
        return self.expanding([torch.cat(level, dim=1) for level in zip(*maps, strict=True)])


class _Down(nn.Module):
    def __init__(self, channels: int, out: int, padding: Padding):
        super().__init__()
        self.down = nn.Sequential(*_conv(channels, channels, "group", padding, kernel=4, stride=2))
        self.first = nn.Sequential(*_conv(channels, out, "group", padding))
        self.second = nn.Sequential(*_conv(out, out, "group", padding))

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d h2 w2"]:
        x = self.first(self.down(x))
        return x + self.second(x)


class _Up(nn.Module):
    def __init__(self, channels: int, out: int, skip: int, padding: Padding):
        super().__init__()
        self.skip = nn.Sequential(nn.Conv2d(skip, skip, 1), nn.BatchNorm2d(skip), nn.ReLU())
        self.up = nn.Sequential(nn.ConvTranspose2d(channels, out, 4, 2, 1), nn.BatchNorm2d(out), nn.ReLU())
        self.first = nn.Sequential(*_conv(out + skip, out, "batch", padding))
        self.second = nn.Sequential(*_conv(out, out, "batch", padding))

    def forward(self, x: Float[Tensor, "n c h w"], skip: Float[Tensor, "n s h2 w2"]) -> Float[Tensor, "n d h2 w2"]:
        x = self.first(torch.cat([self.up(x), self.skip(skip)], dim=1))
        return x + self.second(x)


def _conv(
    channels: int, out: int, norm: str, padding: Padding, kernel: int = 3, stride: int = 1
) -> tuple[nn.Module, nn.Module, nn.Module]:
    conv = nn.Conv2d(channels, out, kernel, stride, padding=1, padding_mode=padding)
    return conv, nn.GroupNorm(GROUPS, out) if norm == "group" else nn.BatchNorm2d(out), nn.ReLU()
