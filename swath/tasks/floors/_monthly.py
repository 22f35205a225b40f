"""What the floors on raw series share: every series brought to one calendar of months, then a classifier.

No network and no pre-training: what these reach is in the values themselves. An input may hold bands of several
sensors, so they also say what a second sensor is worth.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from pydantic import Field
from torch import Tensor

from swath.batch import NO_DAY, Image
from swath.corpus.labels import VOID
from swath.errors import TrainingError
from swath.tasks._types import Features, Outcome, Prediction
from swath.tasks.data import BandReader, Bands, Labelled
from swath.tasks.floors._types import FloorSettings, Task
from swath.tasks.panel import Panel
from swath.tasks.probes import ProbeSettings, Validation, distil, linear
from swath.tasks.supervised import LabelledInput, used

_READ = 16
"""Locations in memory at a time."""


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
        for images, _ in _read(data, data.parts["train"]):
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


class SeriesFloorSettings(FloorSettings):
    """What the floors on raw series have in common."""

    pixels: int = Field(default=20_000, ge=1)
    """Where pixels have the classes, so many random labelled ones of the training part are learnt from, and as many of
    the validation part: neighbours say nearly the same, and a forest's time grows with their number."""

    def once(self, probe: ProbeSettings) -> Validation:  # noqa: ARG002 — as every floor
        """They were learnt from, whatever the probe did."""
        return "fits"

    def stands(self, task: Task, panel: Panel) -> bool:
        """On named inputs, where pixels have the classes, or chips are one pixel and have one class."""
        single = task.corpus.info.chip_px == 1 and not task.parts["test"].multi_label
        return (task.per_pixel or single) and panel.input.name in task.config.inputs


def predicted(
    task: Task,
    panels: Sequence[Panel],
    seed: int,
    pixels: int,
    learns_as: Callable[[ProbeSettings], tuple[linear.Config | None, linear.Learn]],
) -> Iterator[Outcome]:
    """The same outcome under all of an input's probes, but for those with a teacher, or that say how to learn.

    Args:
        task: what is judged.
        panels: those that are wanted.
        seed: of the classifier, and of the choice of pixels.
        pixels: how many are learnt from.
        learns_as: the settings that a probe lends to what is fitted (those that lend the same share an outcome), and
            what fits a classifier.
    """
    made: dict[tuple[str, linear.Config | None, Bands, Validation], Outcome] = {}
    for panel in panels:
        settings, learn = learns_as(panel.probe)
        bands = tuple(dict.fromkeys(key for name in panel.probe.taught_by() for key in task.inputs[name].bands))
        use = panel.probe.validation()
        key = (panel.input.name, settings, bands, use)
        if key not in made:
            # what is fitted is told by its settings whether to learn from the labels that it chooses by
            data = used(task.labelled(panel.input), "unused" if use == "unused" else "tunes")
            teacher = replace(data, bands=bands) if bands else None
            made[key] = panel.tried(lambda d=data, f=learn, t=teacher: predict(f, d, seed, pixels, t))
        yield replace(made[key], probe=panel.probe.label())


def predict(
    learn: linear.Learn, data: LabelledInput, seed: int, pixels: int, teacher: LabelledInput | None = None
) -> Prediction:
    """Fit a classifier on the series of the training and validation parts and apply it to the test part.

    Args:
        learn: fits the classifier.
        data: its bands may be of several sensors.
        seed: of the choice of pixels.
        pixels: how many are learnt from, where pixels have the classes.
        teacher: the same locations in the bands of a teacher, which labels the pool for the classifier; see the probe
            `distil`. Not where pixels have the classes.

    Raises:
        TrainingError: one class only, or no dates.
    """
    if np.count_nonzero(data.parts["train"].counts(data.classes)) < 2:
        raise TrainingError("the training part holds one class, so there is nothing to tell apart")
    if teacher is not None:
        own = replace(_features(data, seed, pixels), teacher=_features(teacher, seed, pixels))
        return Prediction.of(distil.student(own, learn)(own.test_x), multi_label=False)
    calendar = Calendar.of(data)
    x, y = _samples(data, calendar, "train", seed, pixels)
    known = _filler(x)
    x_val, y_val = _samples(data, calendar, "val", seed, pixels)
    train, val = (known(x), y), (known(x_val), y_val)
    scores = learn(train, val, data.classes)

    def judge(reader: BandReader) -> Prediction:
        return _predict(replace(data, reader=reader), calendar, lambda x: scores(known(x)))

    return data.tested(judge)


def _filler(train: Float[ndarray, "n d"]) -> Callable[[Float[ndarray, "..."]], Float[ndarray, "..."]]:
    """A pixel that is never valid says what the average one says."""
    mean = np.nan_to_num(np.nanmean(train, axis=0)) if len(train) else np.zeros(train.shape[1])
    return lambda found: np.where(np.isnan(found), mean, found).astype(np.float32)


def _features(data: LabelledInput, seed: int, pixels: int) -> Features:
    """The series of single pixels as features of their locations."""
    calendar = Calendar.of(data)
    parts = {name: _samples(data, calendar, name, seed, pixels) for name in ("train", "val", "test", "pool")}
    known = _filler(parts["train"][0])
    x = {name: known(found) for name, (found, _) in parts.items()}
    train_y, val_y = parts["train"][1], parts["val"][1]
    return Features(x["train"], train_y, x["val"], val_y, x["test"], data.classes, x["pool"])


def _predict(data: LabelledInput, calendar: Calendar, scores: linear.Fitted) -> Prediction:
    part, made = data.parts["test"], []
    for images, _ in _read(data, part):
        x = features(data, images, calendar)
        made.append(scores(x.reshape(-1, x.shape[-1])).reshape(*x.shape[:-1], -1))
    found = np.concatenate(made)
    if part.per_pixel:
        return Prediction(found.argmax(-1).astype(np.int16))
    return Prediction(found[:, 0, 0].argmax(-1), found[:, 0, 0])


def _samples(
    data: LabelledInput, calendar: Calendar, part: str, seed: int, pixels: int
) -> tuple[Float[ndarray, "n d"], Int[ndarray, " n"]]:
    """Series and classes of a part: of its locations, or of some of its labelled pixels, as many in each location."""
    labelled, rng = data.parts[part], np.random.default_rng(seed)
    quota = -(-pixels // max(1, len(labelled)))
    xs, ys = [], []
    for images, y in _read(data, labelled):
        x = features(data, images, calendar)
        for series, codes in zip(x, y, strict=True):
            there = np.argwhere(np.atleast_2d(codes) != VOID)
            chosen = there if len(there) <= quota else there[np.sort(rng.choice(len(there), quota, replace=False))]
            xs.append(series[tuple(chosen.T)])
            ys.append(np.atleast_2d(codes)[tuple(chosen.T)].astype(np.int64))
    width = calendar.months * len(data.bands)
    return np.concatenate([np.empty((0, width)), *xs]), np.concatenate([np.empty(0, np.int64), *ys])


def features(data: LabelledInput, images: dict[str, Image], calendar: Calendar) -> Float[ndarray, "b h w d"]:
    """Months x bands of every pixel, in physical units."""
    sensors = dict.fromkeys(key.partition("/")[0] for key in data.bands)
    parts = []
    for sensor in sensors:
        own = [key for key in data.bands if key.startswith(f"{sensor}/")]
        series = monthly(data.reader.compose(images, own), calendar)
        parts.append(series.reshape(len(series), -1, *series.shape[3:]))
    return np.moveaxis(np.concatenate(parts, axis=1), 1, -1)


def _read(data: LabelledInput, part: Labelled) -> Iterator[tuple[dict[str, Image], ndarray]]:
    for start in range(0, len(part), _READ):
        rows = slice(start, start + _READ)
        yield data.reader.read(part.locations[rows]), part.y[rows]
