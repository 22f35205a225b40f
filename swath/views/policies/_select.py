"""Choosing channels and dates, sample by sample."""

from dataclasses import replace

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from swath._device import send
from swath.batch import Batch, Image
from swath.errors import ContractError, RecipeError
from swath.sensors import band_id, bands
from swath.views._random import uniform


def reads(keys: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Sensor name -> band names, in the order given.

    Raises:
        RecipeError: a key is unknown or stands there twice.
    """
    wanted: dict[str, tuple[str, ...]] = {}
    for key in keys:
        band = bands()[band_id(key)]
        if band.name in wanted.get(band.sensor, ()):
            raise RecipeError(f"band {key!r} is listed twice", remedy="list every band once")
        wanted[band.sensor] = (*wanted.get(band.sensor, ()), band.name)
    return wanted


def one_sensor(keys: tuple[str, ...]) -> str:
    """The sensor that all keys belong to.

    Raises:
        RecipeError: there are several.
    """
    sensors = list(reads(keys))
    if len(sensors) != 1:
        raise RecipeError(
            f"these bands belong to {len(sensors)} sensors: {', '.join(sensors)}",
            remedy="list bands of one sensor; policies for several are rs-byol-1, rs-byol-3 and rgb-s1s2",
        )
    return sensors[0]


def image_of(batch: Batch, keys: tuple[str, ...]) -> Image:
    """The image of the sensor that the keys belong to, with these channels in this order.

    Raises:
        ContractError: the batch lacks the sensor or a band.
    """
    sensor = one_sensor(keys)
    if sensor not in batch.images:
        raise ContractError(
            f"the batch holds no {sensor}", where=", ".join(batch.images), remedy="read the policy's `reads`"
        )
    image = batch.images[sensor]
    held, wanted = list(image.first_ids()), [band_id(key) for key in keys]
    if held == wanted:
        return image
    if missing := [key for key, i in zip(keys, wanted, strict=True) if i not in held]:
        raise ContractError(
            f"the batch's {sensor} image lacks {', '.join(missing)}", remedy="read the policy's `reads`"
        )
    return image.channels([held.index(i) for i in wanted])


def take_channels(image: Image, choice: Int[Tensor, "b k"]) -> Image:
    """The chosen channels of each sample."""
    choice = send(choice, image.pixels.device)
    sample = torch.arange(len(image), device=choice.device)[:, None]
    pixels = image.pixels.transpose(1, 2)[sample, choice].transpose(1, 2)
    return replace(image, pixels=pixels, band_ids=image.band_ids.gather(1, choice), common_ids=None)


def take_date(image: Image, choice: Int[Tensor, " b"]) -> Image:
    """The chosen date of each sample, as a series of one."""
    sample = torch.arange(len(image), device=choice.device)
    return replace(
        image,
        pixels=image.pixels[sample, choice][:, None],
        valid=image.valid[sample, choice][:, None],
        days=image.days[sample, choice][:, None],
    )


def both_dates(image: Image) -> tuple[Image, Image]:
    """The first and the second date of every sample, as they were read."""
    at = torch.zeros(len(image), dtype=torch.long, device=image.pixels.device)
    return take_date(image, at), take_date(image, at + 1)


def two_dates(image: Image, generator: torch.Generator) -> tuple[Int[Tensor, " b"], Int[Tensor, " b"]]:
    """Two different random dates of each sample that have valid pixels; the same one twice where there is only one."""
    return two_of(image.valid.flatten(2).any(dim=2), generator)


def two_of(usable: Bool[Tensor, "b t"], generator: torch.Generator) -> tuple[Int[Tensor, " b"], Int[Tensor, " b"]]:
    """Two different random dates of each sample, of those that are usable; the same one twice where there is one."""
    luck = send(uniform(generator, (usable.shape[0], usable.shape[1])), usable.device) + usable
    order = luck.argsort(dim=1, descending=True)
    first = order[:, 0]
    second = order[:, 1] if usable.shape[1] > 1 else first
    return first, torch.where(usable.sum(dim=1) > 1, second, first)


def join(first: Image, second: Image) -> Image:
    """One image with the channels of both, valid where both are; the first one's dates and GSD.

    Raises:
        ContractError: their chips are not on one grid.
    """
    if first.valid.shape != second.valid.shape:
        ours, theirs = (tuple(image.valid.shape[1:]) for image in (first, second))
        raise ContractError(
            f"chips of (dates, height, width) = {ours} and {theirs} cannot be channels of one image",
            remedy="build a corpus in which both sensors are co-registered on one grid",
        )
    return replace(
        first,
        pixels=torch.cat([first.pixels, second.pixels], dim=2),
        valid=first.valid & second.valid,
        band_ids=torch.cat([first.band_ids, second.band_ids], dim=1),
        common_ids=None,
    )
