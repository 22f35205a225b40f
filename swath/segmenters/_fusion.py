"""Fusion of several sensors: the networks that can join them, and one sensor's series on the dates of another."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, cast, runtime_checkable

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from swath import plugins
from swath.encoders import InputContract
from swath.errors import RecipeError
from swath.segmenters._base import SegmenterPlugin, Series


@runtime_checkable
class NetworkPlugin(SegmenterPlugin, Protocol):
    """A segmenter whose network serves several sensors as well."""

    def network(self, config: Any, channels: Sequence[int], classes: int) -> nn.Module:
        """The network, randomly initialised, for the numbers of bands of each sensor."""
        ...


def network_of(name: str) -> NetworkPlugin:
    """The segmenter of that name, one whose network serves several sensors."""
    return cast(NetworkPlugin, plugins.find("swath.segmenters", name))


def channels_of_all(contracts: Mapping[str, InputContract], name: str) -> list[int]:
    """Numbers of bands, sensor by sensor.

    Raises:
        RecipeError: there is only one.
    """
    if len(contracts) < 2:
        raise RecipeError(
            f"{name} joins the series of several sensors, it was given {', '.join(contracts) or 'none'}",
            remedy="give it two, such as sentinel-2-l2a and sentinel-1-rtc",
        )
    return [contract.channels for contract in contracts.values()]


def on_dates_of(series: Series, leading: Series) -> Series:
    """For each date of the leading series the nearest one that counts; the earlier of two that are equally near."""
    choice = nearest(leading.days, series.days, series.frames)
    sample = torch.arange(choice.shape[0], device=choice.device)[:, None]
    return Series(series.pixels[sample, choice], series.valid[sample, choice], leading.frames, leading.days)


def nearest(days: Int[Tensor, "b t"], others: Int[Tensor, "b u"], count: Bool[Tensor, "b u"]) -> Int[Tensor, "b t"]:
    """Positions of the nearest days among those that count, by sample."""
    days, others = days.long(), others.long()
    gap = (days[:, :, None] - others[:, None]).abs() * 2 + (others[:, None] > days[:, :, None])
    return gap.masked_fill(~count[:, None], torch.iinfo(torch.int64).max).argmin(dim=2)


def joined(several: list[Series]) -> Series:
    """Channels of several series side by side, on the first one's dates; a pixel is valid where any sensor saw it."""
    first = several[0]
    rest = [on_dates_of(series, first) for series in several[1:]]
    valid = torch.stack([series.valid for series in (first, *rest)]).any(dim=0) & first.frames[:, :, None, None]
    pixels = torch.cat([series.pixels for series in (first, *rest)], dim=2)
    return Series(pixels * first.frames[:, :, None, None, None], valid, first.frames, first.days)
