"""Lightweight temporal attention over the dates of every pixel (Garnot & Landrieu 2020, `ltae.py` of PASTIS' code)."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int32
from torch import Tensor, nn

from swath.encoders.unet_3d import pastis_init

REFERENCE_DAY = 17_775
"""2018-09-01, from which PASTIS counts its days."""
PERIOD = 1000.0


class TemporalAttention(nn.Module):
    """One learnt query per head chooses dates; each head's values are its own group of channels."""

    def __init__(self, channels: int, out: int, heads: int = 16, width: int = 256, key: int = 4):
        super().__init__()
        self.heads, self.key = heads, key
        self.norm_weight, self.norm_bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.into = nn.Linear(channels, width)
        self.query = nn.Parameter(torch.randn(heads, key) * math.sqrt(2 / key))
        self.keys = nn.Linear(width, heads * key)
        nn.init.normal_(self.keys.weight, std=math.sqrt(2 / key))
        self.dropout = nn.Dropout(0.1)
        self.mlp = nn.Sequential(nn.Linear(width, out), nn.BatchNorm1d(out), nn.ReLU(), nn.Dropout(0.2))
        self.out_norm = nn.GroupNorm(heads, out)

    @torch.no_grad()
    def init_as_pastis(self) -> None:
        """Initial weights as in PASTIS' code, which draws those of the keys anew and from another distribution."""
        self.apply(pastis_init)
        # a Conv1d there: its weights are N(0, 1), not Xavier's
        nn.init.normal_(self.into.weight)

    def forward(
        self, x: Float[Tensor, "b t c h w"], frames: Bool[Tensor, "b t"], days: Int32[Tensor, "b t"]
    ) -> tuple[Float[Tensor, "b d h w"], Float[Tensor, "b g t h w"]]:
        """Features, and by head and pixel how much each date counts: 0 where it does not."""
        b, t, _, h, w = x.shape
        pixels = self._normalised(x, frames).permute(0, 3, 4, 1, 2).reshape(b, h * w, t, -1)
        z = self.into(pixels) + self._positions(days)[:, None]
        keys = self.keys(z).view(b, h * w, t, self.heads, self.key)
        scores = torch.einsum("bptgk,gk->bpgt", keys, self.query) / math.sqrt(self.key)
        attention = scores.masked_fill(~frames[:, None, None], -torch.inf).softmax(dim=-1)
        attention = self.dropout(attention)
        values = z.view(b, h * w, t, self.heads, -1)
        chosen = torch.einsum("bpgt,bptgc->bpgc", attention, values).flatten(0, 1).flatten(1)
        out = self.out_norm(self.mlp(chosen)).view(b, h, w, -1).permute(0, 3, 1, 2)
        return out, attention.permute(0, 2, 3, 1).reshape(b, self.heads, t, h, w)

    def _normalised(self, x: Float[Tensor, "b t c h w"], frames: Bool[Tensor, "b t"]) -> Float[Tensor, "b t c h w"]:
        """GroupNorm of each pixel's series. The official one's statistics include padded dates; these do not."""
        groups = x.unflatten(2, (self.heads, -1))
        weight = frames.to(x.dtype)
        weight = (weight / (weight.sum(dim=1, keepdim=True) * groups.shape[3]))[:, :, None, None, None, None]
        mean = (groups * weight).sum(dim=(1, 3), keepdim=True)
        variance = ((groups - mean).square() * weight).sum(dim=(1, 3), keepdim=True)
        normal = ((groups - mean) * torch.rsqrt(variance + 1e-5)).flatten(2, 3)
        return normal * self.norm_weight[:, None, None] + self.norm_bias[:, None, None]

    def _positions(self, days: Int32[Tensor, "b t"]) -> Float[Tensor, "b t d"]:
        """Sines and cosines of the day, the same for every head."""
        size = self.into.out_features // self.heads
        index = torch.arange(size, device=days.device)
        # int32 minus a constant, then float: days of a century are exact
        angle = (days - REFERENCE_DAY).float()[..., None] / PERIOD ** (2 * (index // 2) / size)
        return torch.where(index % 2 == 0, angle.sin(), angle.cos()).repeat(1, 1, self.heads)


def weighted(maps: Float[Tensor, "b t c h w"], attention: Float[Tensor, "b g t i j"]) -> Float[Tensor, "b c h w"]:
    """Each group of channels summed over dates by its head's attention, brought to the maps' size (`att_group`)."""
    b, heads, t = attention.shape[:3]
    fine = F.interpolate(attention.flatten(1, 2), size=maps.shape[3:], mode="bilinear", align_corners=False)
    groups = maps.unflatten(2, (heads, -1))
    return torch.einsum("bgthw,btgchw->bgchw", fine.view(b, heads, t, *maps.shape[3:]), groups).flatten(1, 2)
