"""What the floors on the values of pixels share: each pixel is described by numbers, then a classifier.

No network and no pre-training: what these reach is in the values themselves. An input may hold bands of several
sensors, so they also say what a second sensor is worth.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from pydantic import Field

from swath.batch import Image
from swath.corpus.labels import VOID
from swath.errors import TrainingError
from swath.tasks._types import Features, Outcome, Prediction
from swath.tasks._uncertainty import in_bytes
from swath.tasks.data import BandReader, Bands, Labelled
from swath.tasks.floors._types import FloorSettings, Task
from swath.tasks.panel import Panel
from swath.tasks.probes import ProbeSettings, Validation, distil, linear
from swath.tasks.supervised import LabelledInput, used

READ = 16
"""Locations in memory at a time, at most."""
_NUMBERS = 50_000_000
"""And so many numbers that describe pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class Description:
    """What a classifier is told of each pixel."""

    width: int
    """Numbers for each pixel."""
    of: Callable[[dict[str, Image]], Float[ndarray, "b h w d"]]
    """The numbers of all pixels of some locations; NaN where nothing is known."""


Describe = Callable[[LabelledInput], Description]
"""Learns from the training part what there is to say."""
LearnsAs = Callable[[ProbeSettings], tuple[linear.Config | None, linear.Learn]]
"""The settings that a probe lends to what is fitted beside it (those that lend the same share an outcome), and what
fits a classifier."""


class PixelFloorSettings(FloorSettings):
    """What the floors on the values of pixels have in common."""

    pixels: int = Field(default=20_000, ge=1)
    """Where pixels have the classes, so many random labelled ones of the training part are learnt from, and as many of
    the validation part: neighbours say nearly the same, and a forest's time grows with their number."""

    def stands(self, task: Task, panel: Panel) -> bool:
        """On named inputs, where pixels have the classes, or chips are one pixel and have one class."""
        single = task.corpus.info.chip_px == 1 and not task.parts["test"].multi_label and not task.regression
        return (task.per_pixel or single) and panel.input.name in task.config.inputs


def predicted(
    task: Task, panels: Sequence[Panel], seed: int, pixels: int, learns_as: LearnsAs, describe: Describe
) -> Iterator[Outcome]:
    """A classifier's outcomes: all probes of an input share one, but those with a teacher, or that say how to learn.

    Args:
        task: what is judged.
        panels: those that are wanted.
        seed: of the classifier, and of the choice of pixels.
        pixels: how many are learnt from.
        learns_as: how it learns beside a probe.
        describe: what it is told of each pixel.
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
            if use == "fits":
                data = replace(data, parts=data.parts | {"held out": data.parts["val"].take(np.empty(0, np.int64))})
            teacher = replace(data, bands=bands) if bands else None
            made[key] = panel.tried(lambda d=data, f=learn, t=teacher: predict(f, d, seed, pixels, describe, t))
        yield replace(made[key], probe=panel.probe.label())


def predict(
    learn: linear.Learn,
    data: LabelledInput,
    seed: int,
    pixels: int,
    describe: Describe,
    teacher: LabelledInput | None = None,
) -> Prediction:
    """Fit a classifier on pixels of the training and validation parts and apply it to the test part.

    Args:
        learn: fits the classifier.
        data: its bands may be of several sensors.
        seed: of the choice of pixels.
        pixels: how many are learnt from, where pixels have the classes.
        describe: what it is told of each.
        teacher: the same locations in the bands of a teacher, which labels the pool for the classifier; see the probe
            `distil`. Not where pixels have the classes.

    Raises:
        TrainingError: one class only, or no dates.
    """
    if np.count_nonzero(data.parts["train"].counts(data.classes)) < 2:
        raise TrainingError("the training part holds one class, so there is nothing to tell apart")
    if teacher is not None:
        own = replace(_features(data, seed, pixels, describe), teacher=_features(teacher, seed, pixels, describe))
        return Prediction.of(distil.student(own, learn)(own.test_x), multi_label=False)
    description = describe(data)
    x, y = _samples(data, description, "train", seed, pixels)
    known = _filler(x)
    x_val, y_val = _samples(data, description, "val", seed, pixels)
    train, val = (known(x), y), (known(x_val), y_val)
    scores = learn(train, val, data.classes)

    def judge(reader: BandReader) -> Prediction:
        return _predict(replace(data, reader=reader), description, lambda x: scores(known(x)))

    tested = data.tested(judge)
    if not len(data.held_out):
        return tested
    held_out = replace(data, parts={"test": data.held_out})
    return replace(tested, validation=_predict(held_out, description, lambda x: scores(known(x))).scores)


def by_sensor(bands: Bands) -> list[list[str]]:
    """The bands of each sensor, in the order in which sensors appear."""
    sensors = dict.fromkeys(key.partition("/")[0] for key in bands)
    return [[key for key in bands if key.startswith(f"{sensor}/")] for sensor in sensors]


def _filler(train: Float[ndarray, "n d"]) -> Callable[[Float[ndarray, "..."]], Float[ndarray, "..."]]:
    """A pixel that is never valid says what the average one says."""
    mean = np.nan_to_num(np.nanmean(train, axis=0)) if len(train) else np.zeros(train.shape[1])
    return lambda features: np.where(np.isnan(features), mean, features).astype(np.float32)


def _features(data: LabelledInput, seed: int, pixels: int, describe: Describe) -> Features:
    """What is said of single pixels as features of their locations."""
    description = describe(data)
    parts = {name: _samples(data, description, name, seed, pixels) for name in ("train", "val", "test", "pool")}
    known = _filler(parts["train"][0])
    x = {name: known(features) for name, (features, _) in parts.items()}
    train_y, val_y = parts["train"][1], parts["val"][1]
    return Features(x["train"], train_y, x["val"], val_y, x["test"], data.classes, x["pool"])


def _predict(data: LabelledInput, description: Description, scores: linear.Fitted) -> Prediction:
    part, made = data.parts["test"], []
    for images, _ in read(data, part, _at_a_time(part, description)):
        x = description.of(images)
        made.append(scores(x.reshape(-1, x.shape[-1])).reshape(*x.shape[:-1], -1))
    class_scores = np.concatenate(made)
    if part.per_pixel:
        return Prediction(class_scores.argmax(-1).astype(np.int16), uncertainty=in_bytes(class_scores))
    return Prediction(class_scores[:, 0, 0].argmax(-1), class_scores[:, 0, 0])


def _samples(
    data: LabelledInput, description: Description, part: str, seed: int, pixels: int
) -> tuple[Float[ndarray, "n d"], Int[ndarray, " n"]]:
    """Pixels and classes of a part: of its locations, or of some of its labelled pixels, as many in each location."""
    labelled, rng = data.parts[part], np.random.default_rng(seed)
    quota = -(-pixels // max(1, len(labelled)))
    xs, ys = [], []
    for images, y in read(data, labelled, _at_a_time(labelled, description)):
        x = description.of(images)
        for values, codes in zip(x, y, strict=True):
            there = np.argwhere(np.atleast_2d(codes) != VOID)
            chosen = there if len(there) <= quota else there[np.sort(rng.choice(len(there), quota, replace=False))]
            xs.append(values[tuple(chosen.T)])
            ys.append(np.atleast_2d(codes)[tuple(chosen.T)].astype(np.int64))
    return np.concatenate([np.empty((0, description.width)), *xs]), np.concatenate([np.empty(0, np.int64), *ys])


def _at_a_time(part: Labelled, description: Description) -> int:
    each = part.y[:1].size if part.per_pixel else 1
    return max(1, min(READ, _NUMBERS // max(1, each * description.width)))


def read(data: LabelledInput, part: Labelled, at_a_time: int) -> Iterator[tuple[dict[str, Image], ndarray]]:
    """The images and classes of a part's locations, some at a time."""
    for start in range(0, len(part), at_a_time):
        rows = slice(start, start + at_a_time)
        yield data.reader.read(part.locations[rows]), part.y[rows]
