"""What was trained for a task (an encoder and its head, or a whole network) as a function of plain tensors."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from swath.batch import Image
from swath.errors import RecipeError, SwathError
from swath.products.model_export._graphs import SPACE, Axes, Bands, Decoding, Graph, contiguous
from swath.sensors import LOCATION, band_id
from swath.tasks import Trained, needs_days
from swath.tasks.data import Composer, device_of

Images = dict[str, Image]
LEAST_PX = 16
"""Side of chips of which a part is seen as well, to find out whether the size matters."""


@dataclass(frozen=True, slots=True)
class _Sensor:
    """What a graph is fed of one sensor."""

    name: str
    bands: Bands
    ids: tuple[int, ...]
    gsd_m: float
    suffix: str
    """Of the names of its inputs; empty where there is no other sensor."""


class PredictorGraph(Graph[Images]):
    """A copy of what was trained: from images by sensor to probabilities of classes, or to a number."""

    def __init__(self, trained: Trained, like: Images, *, series: bool, output: str, counts: bool):
        """Copy it.

        Args:
            trained: what shall be computed.
            like: images as it is fed them, of any location.
            series: whether it sees several dates.
            output: name of what it gives.
            counts: take stored counts instead of physical values.

        Raises:
            RecipeError: it sees locations, or a probe was fitted that cannot be a part of a network.
        """
        super().__init__()
        reads = Composer(trained.bands).reads
        if LOCATION in reads:
            raise RecipeError(
                "the input says where a location lies, which a graph of pixels does not",
                remedy="take an input of bands alone",
            )
        self.network, self.bands, self.output = contiguous(trained.module()), trained.bands, output
        self.dated = goes_by_days(trained, like, series=series)
        self.series = series or self.dated
        self.sensors = [_sensor(name, bands, like, alone=len(reads) == 1) for name, bands in reads.items()]
        self.decodings = nn.ModuleList(Decoding(sensor.bands) for sensor in self.sensors) if counts else None

    @property
    def axes(self) -> Axes:
        """Names of the axes of each input, in the order in which it takes them; those of a sensor follow each other."""
        time = ("time",) if self.series else ()
        return {
            f"{name}{sensor.suffix}": axes
            for sensor in self.sensors
            for name, axes in (
                ("pixels", ("batch", *time, "bands", *SPACE)),
                ("valid", ("batch", *time, *SPACE)),
                *((("days", ("batch", "time")),) if self.dated else ()),
            )
        }

    def by_argument(self, each: tuple[Any, ...]) -> tuple[Any, ...]:
        """All inputs are one argument to Python."""
        return (each,)

    def bands_of(self, name: str) -> Bands:
        """Band keys of the channels of an input."""
        own = {f"pixels{sensor.suffix}": sensor.bands for sensor in self.sensors}
        return own.get(name, ())

    def stored_as(self, name: str) -> str | None:
        """The type of the counts that an input takes; None where it takes physical values, or no pixels."""
        decoding = {f"pixels{s.suffix}": i for i, s in enumerate(self.sensors)}.get(name)
        if self.decodings is None or decoding is None:
            return None
        return self._decoding(decoding).stored_as

    def _decoding(self, i: int) -> Decoding:
        assert self.decodings is not None
        decoding = self.decodings[i]
        assert isinstance(decoding, Decoding)
        return decoding

    def seen(self, images: Images) -> Images:
        """The images in values that counts have, where it takes counts."""
        if self.decodings is None:
            return images
        return {sensor.name: self._decoding(i).seen(images[sensor.name]) for i, sensor in enumerate(self.sensors)}

    def arguments(self, given: Images) -> dict[str, Tensor]:
        """Pixels, validity and, where it goes by them, days of each sensor."""
        values: list[Tensor] = []
        for i, sensor in enumerate(self.sensors):
            image = given[sensor.name]
            pixels = image.pixels if self.decodings is None else self._decoding(i).counts(image)
            values += (
                [pixels, image.valid] if self.series else [pixels[:, 0].contiguous(), image.valid[:, 0].contiguous()]
            )
            values += [image.days] if self.dated else []
        return dict(zip(self.axes, values, strict=True))

    def forward(self, *given: Tensor) -> dict[str, Tensor]:
        """Probabilities of classes, or the number."""
        each = 3 if self.dated else 2
        images = {
            sensor.name: self._image(i, sensor, given[each * i : each * (i + 1)])
            for i, sensor in enumerate(self.sensors)
        }
        return {self.output: self.network(images)}

    def _image(self, i: int, sensor: _Sensor, given: Sequence[Tensor]) -> Image:
        pixels, valid = given[:2] if self.series else (given[0][:, None], given[1][:, None])
        values = pixels if self.decodings is None else self.decodings[i](pixels)
        there = valid & values.isfinite().all(dim=2)
        days = given[2] if self.dated else torch.zeros_like(there[:, :, 0, 0], dtype=torch.int32)
        ids = torch.tensor(sensor.ids, dtype=torch.int32).expand(pixels.shape[0], -1)
        return Image(torch.where(there[:, :, None], values, 0.0), there, days, ids, sensor.gsd_m, sensor.ids)


def _sensor(name: str, bands: Sequence[str], like: Images, *, alone: bool) -> _Sensor:
    keys = tuple(f"{name}/{one}" for one in bands)
    suffix = "" if alone else "_" + re.sub(r"\W", "_", name)
    return _Sensor(name, keys, tuple(map(band_id, keys)), like[name].gsd_m, suffix)


def goes_by_days(trained: Trained, images: Images, *, series: bool) -> bool:
    """Whether what is said depends on the days: by what its parts say of themselves, and by a trial with other days.

    U-TAE tells dates apart by their days even where there is one.
    """
    if needs_days(trained.network, series=series):
        return True
    moved = {name: replace(image, days=image.days.clamp(min=0) + 100) for name, image in images.items()}
    return not torch.allclose(said_of(trained, images), said_of(trained, moved), rtol=0, atol=1e-7)


def said_of(trained: Trained, images: Images) -> Tensor:
    """What was trained says of images, wherever it is computed; on the CPU."""
    return trained.predict(_beside(trained, images)).float().cpu()


def check(trained: Trained, images: Images) -> None:
    """Raise ContractError unless the images have the bands, units and pixel size that it was made for."""
    trained.check(_beside(trained, images))


def _beside(trained: Trained, images: Images) -> Images:
    """Images on the network's device."""
    device = device_of(trained.network)
    return {name: image.to(device) for name, image in images.items()}


# -- what it is checked on ---------------------------------------------------------------------------------------------


def parted(trained: Trained, images: Images) -> Images | None:
    """Parts of some chips, of another size; None where they are small, or the network takes no other size."""
    if min(side for image in images.values() for side in image.pixels.shape[3:]) < LEAST_PX:
        return None
    parts = {name: _part(image.take(range(min(3, len(image))))) for name, image in images.items()}
    try:
        said_of(trained, parts)
    except SwathError:
        raise
    except Exception:  # networks say by whatever exception that they have a size of their own
        return None
    return parts


def _part(image: Image) -> Image:
    h, w = image.pixels.shape[3:]
    h, w = h - h // 4, w - w // 8
    return replace(image, pixels=image.pixels[..., :h, :w].contiguous(), valid=image.valid[..., :h, :w].contiguous())


def shown(images: Images, *, any_size: bool) -> Images:
    """What torch is shown while it traces: two samples, several dates of a series and, where the size may be any,
    pictures so large that no map shrinks to a point.
    """
    return {name: _shown(image.take([0, -1]), any_size=any_size) for name, image in images.items()}


def _shown(image: Image, *, any_size: bool) -> Image:
    down, right = (4, 3) if any_size else (1, 1)
    return replace(image, pixels=image.pixels.repeat(1, 1, 1, down, right), valid=image.valid.repeat(1, 1, down, right))
