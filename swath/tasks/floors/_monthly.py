"""Series of pixels brought to one calendar of months: what the floors on raw series say of each pixel."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor

from swath.batch import NO_DAY, Image
from swath.errors import TrainingError
from swath.tasks.floors._pixels import READ, Description, PixelFloorSettings, by_sensor, read
from swath.tasks.probes import ProbeSettings, Validation
from swath.tasks.supervised import LabelledInput


@dataclass(frozen=True, slots=True)
class Calendar:
    """Months that every series is brought to."""

    first: int
    """Months since January 1970."""
    months: int

    @classmethod
    def of(cls, data: LabelledInput) -> "Calendar":
        """From the first to the last month of the training part's chips, all sensors together.

        Raises:
            TrainingError: no chip has a date.
        """
        seen: set[int] = set()
        for images, _ in read(data, data.parts["train"], READ):
            for image in images.values():
                days = image.days.numpy()
                seen |= set(np.unique(month(days[days != NO_DAY])).tolist())
        if not seen:
            raise TrainingError("no chip of the training part has a date, so there is no series")
        return cls(min(seen), max(seen) - min(seen) + 1)


def month(days: Int[ndarray, "*n"]) -> Int[ndarray, "*n"]:
    """Months since January 1970 of days since 1970-01-01."""
    return days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)


def monthly(image: Image, calendar: Calendar) -> Float[ndarray, "b m c h w"]:
    """Means of each month over its valid dates, gaps filled by linear interpolation in time.

    Before the first and after the last valid month the nearest one holds; pixels that are never valid are NaN. Dates
    outside the calendar are left out.
    """
    index = torch.from_numpy(month(image.days.numpy()) - calendar.first)
    inside = (index >= 0) & (index < calendar.months) & (image.days != NO_DAY)
    weight = (image.valid & inside[:, :, None, None]).double()
    index = index.clamp(0, calendar.months - 1)
    total = _by_month(image.pixels.double() * weight[:, :, None], index, calendar.months)
    count = _by_month(weight, index, calendar.months)
    known = count.numpy() > 0
    return _filled((total / count.clamp(min=1)[:, :, None]).numpy(), known)


def _by_month(values: Float[Tensor, "b t *s"], index: Int[Tensor, "b t"], months: int) -> Float[Tensor, "b m *s"]:
    total = values.new_zeros((len(values), months, *values.shape[2:]))
    return total.scatter_add_(1, index.reshape(*index.shape, *[1] * (values.ndim - 2)).expand_as(values), values)


def _filled(values: Float[ndarray, "b m c h w"], known: Bool[ndarray, "b m h w"]) -> Float[ndarray, "b m c h w"]:
    months = known.shape[1]
    at = np.arange(months)[None, :, None, None]
    before = np.maximum.accumulate(np.where(known, at, -1), axis=1)
    after = np.flip(np.minimum.accumulate(np.flip(np.where(known, at, months), 1), axis=1), 1)
    left = np.where(before < 0, after, before)
    right = np.where(after >= months, before, after)
    never = known.sum(axis=1) == 0
    share = np.clip((at - left) / np.maximum(right - left, 1), 0, 1)[:, :, None]
    low, high = (np.take_along_axis(values, np.clip(i, 0, months - 1)[:, :, None], axis=1) for i in (left, right))
    return np.where(never[:, None, None], np.nan, low + share * (high - low))


class SeriesFloorSettings(PixelFloorSettings):
    """Settings that the floors on raw series have in common."""

    def once(self, probe: ProbeSettings) -> Validation:  # noqa: ARG002 — as every floor
        """Earlier versions learnt from the validation labels, whatever the probe did."""
        return "fits"


def by_month(data: LabelledInput) -> Description:
    """Months x bands of a pixel, by the calendar of the training part.

    Raises:
        TrainingError: no chip has a date.
    """
    calendar = Calendar.of(data)
    return Description(calendar.months * len(data.bands), partial(features, data, calendar=calendar))


def features(data: LabelledInput, images: dict[str, Image], calendar: Calendar) -> Float[ndarray, "b h w d"]:
    """Months x bands of every pixel, in physical units."""
    parts = []
    for own in by_sensor(data.bands):
        series = monthly(data.reader.compose(images, own), calendar)
        parts.append(series.reshape(len(series), -1, *series.shape[3:]))
    return np.moveaxis(np.concatenate(parts, axis=1), 1, -1)
