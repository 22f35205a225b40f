"""The 3-D U-Net of S4: a branch per sensor, then shared layers (Shenoy et al. 2024, section 4 "Encoder Design").

Of the four convolutions of the contracting path the first two are each sensor's own, the last two are shared, and so
is the expanding path. The last convolution of a pre-training turns its features into the *other* sensor's bands. An
encoder of one sensor (the single-modal S4) has one branch and nothing to reconstruct.
"""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import ClassVar, Literal, cast

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int32, Int64
from pydantic import Field
from torch import Tensor, nn

from swath.batch import NO_DAY, Image
from swath.encoders._contract import InputContract
from swath.encoders._dense import DenseEncoder
from swath.encoders._norm import FrameBatchNorm
from swath.encoders._plugin import StartableSettings
from swath.encoders._series import SeriesEncoder, masked_mean, seen_frames
from swath.encoders.unet_3d import Contracted, ConvUnit, Expanding, contract, final_convolution
from swath.errors import RecipeError
from swath.settings import Settings

MONTHS = 12
YEAR = 365.25
"""Mean length of a year in days."""


class SeriesNet(Settings):
    """Settings of networks for series: how wide, what input besides the bands, and what an embedding is."""

    width: int = Field(default=8, ge=1)
    """f: the first block has 4 f channels, the last of the contracting path 8 f. PASTIS: 8."""
    dates: bool = False
    """Add two channels with the sine and cosine of the day of the year: convolutions cannot tell June from
    October. Not part of S4, whose parcels are large and whose series all begin in the same month."""
    gaps: Literal["zero", "interpolate"] = "zero"
    """What replaces invalid pixels of some dates: 0, which is the band's mean, or a straight line in time from
    the pixel's last valid date to its next one (at the ends, the nearest). Padding stays padding."""
    collapse: Literal["mean", "months"] = "mean"
    """How dates are merged for probes and in fine-tuning: a mean over time, as in S4 (the embedding is that of
    the contracted features, 8 f numbers), or one for each month of the year, which keeps what happened when (24
    f)."""

    @property
    def needs_days(self) -> bool:
        """Whether the network uses the day of each date."""
        return self.dates or self.gaps == "interpolate" or self.collapse == "months"


class Config(SeriesNet, StartableSettings):
    """S4's cross-modal 3-D U-Net (Shenoy et al. 2024): its size and input, and what the sensors share."""

    HAS_BRANCHES: ClassVar[bool] = True

    name: Literal["cross-modal-unet-3d"] = "cross-modal-unet-3d"
    specific: int = Field(default=2, ge=1, le=4)
    """Number of the four convolutions of the contracting path that each sensor has of its own; S4: 2."""
    own_norms: bool = False
    """Whether each sensor has its own batch normalisations in the shared layers."""


class CrossModalNetwork(nn.Module):
    """Contracting paths by branch, their shared end, the expanding path, and one reconstruction per branch."""

    def __init__(self, channels: tuple[int, ...], config: Config):
        super().__init__()
        f, extra = config.width, 2 * config.dates
        inner = [4 * f, 4 * f, 8 * f, 8 * f]
        own, rest = inner[: config.specific], inner[config.specific - 1 :]
        self.own = nn.ModuleList(
            nn.ModuleList(ConvUnit.of(*pair) for pair in pairwise([count + extra, *own])) for count in channels
        )
        self.shared = nn.ModuleList(ConvUnit.of(*pair) for pair in pairwise(rest))
        self.norms = nn.ModuleList(
            nn.ModuleList(FrameBatchNorm(count) for count in rest[1:]) for _ in channels[1:] if config.own_norms
        )
        self.expanding = Expanding(f)
        others = reversed(channels) if len(channels) > 1 else ()
        self.reconstructing = nn.ModuleList(final_convolution(f, other) for other in others)

    def contract(self, branch: int, x: Float[Tensor, "b c t h w"], valid: Bool[Tensor, "b t h w"]) -> Contracted:
        """The contracting path of a branch."""
        shared: list[Callable[..., Tensor]] = list(self.shared)
        if branch and len(self.norms):
            shared = [
                partial(unit, norm=norm)
                for unit, norm in zip(shared, cast(nn.ModuleList, self.norms[branch - 1]), strict=True)
            ]
        return contract([*cast(nn.ModuleList, self.own[branch]), *shared], x, valid)


class CrossModalUNet3d(SeriesEncoder, DenseEncoder):
    """The network behind a contract with an input per sensor; an image's bands tell which sensor it is of."""

    network: CrossModalNetwork

    def __init__(self, network: CrossModalNetwork, contract: InputContract, config: Config):
        by_month = 2 * config.width * MONTHS
        super().__init__(
            network, contract, dim=8 * config.width if config.collapse == "mean" else by_month, example_px=8
        )
        self.config, self.needs_days = config, config.needs_days
        self.dense_dim = 3 * 2 * config.width if config.collapse == "mean" else by_month
        self.contracted_dim = 8 * config.width
        """Channels of `contracted(...).features`."""

    def contracted(self, image: Image) -> Contracted:
        """Features at a quarter of the resolution in time and space, and what the way back needs."""
        return self._contracted(image)[0]

    def _contracted(self, image: Image) -> tuple[Contracted, Bool[Tensor, "b t h w"]]:
        """As `contracted`, and which pixels the network was given a value of, interpolated ones among them."""
        x, valid = self.standard(image), image.valid
        if self.config.gaps == "interpolate":
            x, valid = interpolated(x, valid, image.days)
        if self.config.dates:
            x = torch.cat([x, _season(image.days, valid)], dim=1)
        return self.network.contract(branch_of(image, self.contract), x, valid), valid

    def volumes(self, image: Image) -> Float[Tensor, "b d t h w"]:
        """Features at a quarter of the resolution in time and space, halves rounded up."""
        return self.contracted(image).features

    def reconstruct(self, contracted: Contracted, branch: int) -> Float[Tensor, "b c t h w"]:
        """The other sensor's standardised bands at every date, from features of this branch."""
        return self.network.reconstructing[branch](self.network.expanding(contracted))

    def forward(self, image: Image) -> Float[Tensor, "b d"]:
        """Embed for training, nothing checked."""
        contracted, valid = self._contracted(image)
        if self.config.collapse == "mean":
            return masked_mean(contracted.features, contracted.valid)
        return by_month(self.network.expanding(contracted), image.days, valid, pool=True).flatten(1)

    def dense(self, image: Image) -> Float[Tensor, "b d h w"]:
        """Expanded features of every pixel, dates collapsed: monthly means, or what PASTIS' last layer needs."""
        contracted, valid = self._contracted(image)
        maps = self.network.expanding(contracted)
        if self.config.collapse == "months":
            return by_month(maps, image.days, valid).flatten(1, 2)
        return _with_neighbours(maps, seen_frames(valid))

    def head(self, classes: int) -> nn.Module:
        """The final convolution, to classes."""
        return nn.Conv2d(self.dense_dim, classes, 3, padding=1)


def build(config: Config, contract: InputContract) -> CrossModalUNet3d:
    """A randomly initialised network for a contract's inputs.

    Raises:
        RecipeError: more than two sensors.
    """
    if len(contract.inputs) > 2:
        raise RecipeError(
            f"the views are of {len(contract.inputs)} sensors, and each branch reconstructs the other one",
            remedy="give views of two sensors",
        )
    channels = tuple(map(len, contract.inputs)) if contract.fixed else (contract.channels,)
    return CrossModalUNet3d(CrossModalNetwork(channels, config), contract, config)


def branch_of(image: Image, contract: InputContract) -> int:
    """Number of the contract's input that an image is."""
    counts = [len(keys) for keys in contract.inputs]
    if len(counts) == 1:
        return 0
    # by the number of channels where that says it: looking at the bands would wait for the device
    known = len(set(counts)) == len(counts) and image.pixels.shape[2] in counts
    return counts.index(image.pixels.shape[2]) if known else contract.branch(image)


def _season(days: Int32[Tensor, "b t"], valid: Bool[Tensor, "b t h w"]) -> Float[Tensor, "b 2 t h w"]:
    """Sine and cosine of the day of the year; 0 where a pixel is invalid or the date unknown."""
    angle = days.float() * (2 * torch.pi / YEAR)
    waves = torch.stack([angle.sin(), angle.cos()], dim=1)[..., None, None]
    return waves * (valid & (days != NO_DAY)[:, :, None, None])[:, None]


def interpolated(
    x: Float[Tensor, "b c t h w"], valid: Bool[Tensor, "b t h w"], days: Int32[Tensor, "b t"]
) -> tuple[Float[Tensor, "b c t h w"], Bool[Tensor, "b t h w"]]:
    """Series without gaps: invalid pixels from the valid dates before and after, by their distance in days.

    Args:
        x: any values; 0 where invalid.
        valid: True where they are known.
        days: ascending; NO_DAY where a date is padding, which stays invalid. So does a pixel that no date knows.
    """
    t = valid.shape[1]
    index = torch.arange(t, device=x.device)[None, :, None, None]
    before = torch.where(valid, index, -1).cummax(dim=1).values
    after = torch.where(valid, index, t).flip(1).cummin(dim=1).values.flip(1)
    before, after = (
        torch.where(before < 0, after, before).clamp(max=t - 1),
        torch.where(after == t, before, after).clamp(min=0),
    )
    when = days.float()[:, :, None, None].expand(valid.shape)
    first, last = when.gather(1, before), when.gather(1, after)
    share = ((when - first) / (last - first).clamp(min=1)).clamp(0, 1)[:, None]
    known = (valid.any(dim=1, keepdim=True) & (days != NO_DAY)[:, :, None, None]).expand(valid.shape)
    start, end = (x.gather(2, index[:, None].expand(x.shape)) for index in (before, after))
    filled = torch.lerp(start, end, share.to(x.dtype).expand(x.shape))
    return filled.masked_fill(~known[:, None], 0.0), known


def month_of(days: Int32[Tensor, "b t"]) -> Int64[Tensor, "b t"]:
    """Calendar month, January 0, of days since 1970-01-01: Howard Hinnant's `civil_from_days`, in whole numbers."""
    since_march = days.long() + 719_468
    of_era = since_march % 146_097
    year = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    return ((5 * of_year + 2) // 153 + 2) % MONTHS


def by_month(
    maps: Float[Tensor, "b k t h w"], days: Int32[Tensor, "b t"], valid: Bool[Tensor, "b t h w"], *, pool: bool = False
) -> Float[Tensor, "b 12 k h2 w2"]:
    """Mean over each month's valid dates, by pixel or over all pixels; of a month that has none, over all months."""
    weight = (valid & (days != NO_DAY)[:, :, None, None]).float()
    belongs = F.one_hot(month_of(days), MONTHS).float()
    # by month first, then by pixel: the sum over pixels of both is what pooling is
    total = torch.einsum("bkthw,bthw,btm->bmkhw", maps.float(), weight, belongs)
    count = torch.einsum("bthw,btm->bmhw", weight, belongs)[:, :, None]
    if pool:
        total, count = total.sum(dim=(3, 4), keepdim=True), count.sum(dim=(3, 4), keepdim=True)
    overall = total.sum(dim=1, keepdim=True) / count.sum(dim=1, keepdim=True).clamp(min=1)
    return torch.where(count > 0, total / count.clamp(min=1), overall)


def _with_neighbours(maps: Float[Tensor, "b k t h w"], seen: Bool[Tensor, "b t"]) -> Float[Tensor, "b d h w"]:
    """Mean over the dates that are seen, and again with every date's predecessor and successor in its place.

    A 3 x 3 convolution of these three is the mean over dates of PASTIS' final 3 x 3 x 3 convolution: the same
    parameters, the same numbers, without a map of every class at every date.
    """
    weight = seen.to(maps.dtype)
    weight = weight / weight.sum(dim=1, keepdim=True).clamp(min=1)
    shifted = (weight, F.pad(weight[:, 1:], (0, 1)), F.pad(weight[:, :-1], (1, 0)))
    return torch.cat([torch.einsum("bkthw,bt->bkhw", maps, each) for each in shifted], dim=1)
