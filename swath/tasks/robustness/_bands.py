"""Leaving out bands, parts of the spectrum, and sensors."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Int

from swath.batch import NO_BAND, Image
from swath.errors import RecipeError, nearest
from swath.sensors import LOCATION, spectral_region
from swath.tasks.data import Alter, BandReader, Bands, Condition, bands_by_sensor
from swath.tasks.representation import subsample
from swath.tasks.task import Task

MEAN_OF = 2000
"""Largest number of training locations that the mean of a band is taken over; of more, some at random."""
BATCH = 128
USUAL = "all"
"""In place of bands: each of them, each part of the spectrum, and each sensor."""
Positions = Mapping[str, list[int]]
"""By sensor, positions of bands among its channels."""


def left_out(task: Task, bands: Bands, groups: Sequence[str] = ()) -> tuple[list[Condition], list[str]]:
    """Each band of an input left out, each part of the spectrum, and each sensor; never all there is.

    Args:
        task: whose training part says what the mean of a band is.
        bands: of the input.
        groups: what is left out instead: keys of bands, or several joined by a comma; `all` are the usual ones.

    Returns:
        The conditions, and what must be said.

    Raises:
        RecipeError: a group names a band that the input has not; the message suggests the nearest one.
    """
    own = imaged(bands)
    asked = dict.fromkeys(_named(own, groups or (USUAL,)))
    some = [(kind, name, keys) for kind, name, keys in asked if len(keys) < len(own)]
    if not some:
        return [], ["it has a single band, so none can be left out"]
    means = _means(task, own)
    return [_condition(task.reader, kind, name, keys, means) for kind, name, keys in some], []


def imaged(bands: Bands) -> Bands:
    """Those of sensors, without where a location lies."""
    return tuple(key for key in bands if not key.startswith(f"{LOCATION}/"))


def _named(own: Bands, groups: Sequence[str]) -> Iterator[tuple[str, str, Bands]]:
    for said in groups:
        if said == USUAL:
            yield from _usual(own)
            continue
        keys = tuple(_key(own, name.strip()) for name in said.split(","))
        yield ("band", keys[0], keys) if len(keys) == 1 else ("bands", said, keys)


def _key(own: Bands, name: str) -> str:
    """The band that is meant by its key, or by its name where one sensor has it."""
    fit = [key for key in own if name in (key, key.partition("/")[2])]
    if len(fit) == 1:
        return fit[0]
    what = f"several bands are called {name}" if fit else f"the input has no band {name!r}"
    raise RecipeError(what, where="--bands", remedy=nearest(name, own))


def _usual(own: Bands) -> Iterator[tuple[str, str, Bands]]:
    yield from (("band", key, (key,)) for key in own)
    by_sensor, regions = bands_by_sensor(own), {}
    for key in own:
        regions.setdefault((key.partition("/")[0], spectral_region(key)), []).append(key)
    for (sensor, region), keys in regions.items():
        # a region that is one band, or all of a sensor, is among the others already
        if 1 < len(keys) < len(by_sensor[sensor]):
            yield "bands", region if len(by_sensor) == 1 else f"{sensor} {region}", tuple(keys)
    if len(by_sensor) > 1:
        yield from (("sensor", sensor, keys) for sensor, keys in by_sensor.items() if len(keys) > 1)


def _means(task: Task, bands: Bands) -> dict[str, float]:
    """Mean of each band over the valid pixels of training locations, in its unit."""
    train = task.undrawn["train"].locations
    rows = train[subsample(len(train), MEAN_OF)]
    total, count = dict.fromkeys(bands, 0.0), dict.fromkeys(bands, 0)
    for start in range(0, len(rows), BATCH):
        images = task.reader.read(rows[start : start + BATCH])
        for sensor, keys in bands_by_sensor(bands).items():
            image = images[sensor]
            for key, at in zip(keys, positions(task.reader, keys)[sensor], strict=True):
                total[key] += float(image.pixels[:, :, at][image.valid].double().sum())
                count[key] += int(image.valid.sum())
    return {key: total[key] / max(count[key], 1) for key in bands}


def positions(reader: BandReader, keys: Bands) -> dict[str, list[int]]:
    """By sensor, where a reader's images have these bands."""
    return {
        sensor: [reader.reads[sensor].index(key.partition("/")[2]) for key in own]
        for sensor, own in bands_by_sensor(keys).items()
    }


def _condition(reader: BandReader, kind: str, name: str, keys: Bands, means: Mapping[str, float]) -> Condition:
    at = positions(reader, keys)
    values = {sensor: [means[key] for key in own] for sensor, own in bands_by_sensor(keys).items()}
    return Condition(kind, name, 1.0, _filled(at, values), without=keys, hide=_hidden(at))


def _filled(at: Positions, values: Mapping[str, list[float]]) -> Alter:
    """Shows numbers in the place of bands, wherever something was seen."""

    def alter(reader: BandReader, locations: Int[np.ndarray, " b"]) -> dict[str, Image]:
        images = reader.read(locations)
        for sensor, channels in at.items():
            image = images[sensor]
            pixels = image.pixels.clone()
            for channel, value in zip(channels, values[sensor], strict=True):
                pixels[:, :, channel] = torch.where(image.valid, value, 0.0)
            images = images | {sensor: replace(image, pixels=pixels)}
        return images

    return alter


def _hidden(at: Positions) -> Alter:
    """Says of bands that they are missing."""

    def alter(reader: BandReader, locations: Int[np.ndarray, " b"]) -> dict[str, Image]:
        images = reader.read(locations)
        for sensor, channels in at.items():
            ids = images[sensor].band_ids.clone()
            ids[:, channels] = NO_BAND
            images = images | {sensor: replace(images[sensor], band_ids=ids, common_ids=None)}
        return images

    return alter
