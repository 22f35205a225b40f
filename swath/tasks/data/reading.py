"""Reading the chips of some bands, and putting any of these bands together as channels of one image."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Int

from swath.batch import Image
from swath.corpus import Corpus, Reader, Selection
from swath.corpus.painting import knows_clear, paint
from swath.corpus.reading import ahead_of
from swath.errors import ContractError
from swath.sensors import LOCATION

Bands = tuple[str, ...]
"""Band keys, `sensor/band`."""
Alter = Callable[["BandReader", Int[np.ndarray, " b"]], dict[str, Image]]
"""A function of a reader and locations that returns their images otherwise than they are, on the CPU."""


class Composer:
    """Puts any of some bands together as channels."""

    def __init__(self, bands: Sequence[str]):
        """Say which bands the images by sensor will have, in which order."""
        self.reads: dict[str, Bands] = {}
        for key in dict.fromkeys(bands):
            sensor, _, name = key.partition("/")
            self.reads[sensor] = (*self.reads.get(sensor, ()), name)

    def compose(self, images: dict[str, Image], bands: Sequence[str]) -> Image:
        """These bands as the channels of one image; where sensors mix, a pixel is valid if all of them have it.

        The location beside other bands is the same at every date and pixel.

        Raises:
            ContractError: the sensors' chips differ in size, or in the number of dates.
        """
        sensors = list(dict.fromkeys(key.partition("/")[0] for key in bands))
        if len(sensors) == 1:
            return images[sensors[0]].channels([self._position(key) for key in bands])
        pieces = _spread([images[key.partition("/")[0]].channels([self._position(key)]) for key in bands], bands)
        shapes = {(piece.pixels.shape[1], *piece.pixels.shape[3:]) for piece in pieces}
        if len(shapes) > 1:
            raise ContractError(
                f"chips of {', '.join(sensors)} differ in dates or size: (t, h, w) = {', '.join(map(str, shapes))}",
                remedy="ask for one date: dates: 1",
            )
        return Image(
            pixels=torch.cat([piece.pixels for piece in pieces], dim=2),
            valid=torch.stack([piece.valid for piece in pieces]).all(dim=0),
            days=pieces[0].days,
            band_ids=torch.cat([piece.band_ids for piece in pieces], dim=1),
            gsd_m=pieces[0].gsd_m,
        )

    def _position(self, key: str) -> int:
        sensor, _, name = key.partition("/")
        return self.reads[sensor].index(name)


class BandReader:
    """Reads the chips of some bands and puts any of them together as channels."""

    def __init__(self, corpus: Corpus, bands: Sequence[str], select: Selection):
        """Open the corpus for these bands; the first one's sensor leads in the choice of dates."""
        self.composer = Composer(bands)
        self.corpus, self._bands = corpus, tuple(bands)
        self.select = select
        self._reader = Reader(corpus, self.reads)

    @property
    def reads(self) -> dict[str, Bands]:
        """Names of the bands of each sensor."""
        return self.composer.reads

    def compose(self, images: dict[str, Image], bands: Sequence[str]) -> Image:
        """These bands as the channels of one image, as `Composer.compose` does it."""
        return self.composer.compose(images, bands)

    def complete(self, locations: Int[np.ndarray, " n"]) -> Int[np.ndarray, " m"]:
        """The locations that have a chip of every sensor, and coordinates where those are read."""
        return self._reader.complete(locations, self.select)

    def read(self, locations: Int[np.ndarray, " b"], device: torch.device | str = "cpu") -> dict[str, Image]:
        """All bands of these locations, by sensor. What is read of a location depends on nothing else."""
        return self._reader.batch(locations, self.select, device=device).images

    def read_each(
        self, parts: Iterable[Int[np.ndarray, " b"]], device: torch.device | str = "cpu"
    ) -> Iterator[dict[str, Image]]:
        """What `read` says of each of these parts; for a GPU the next ones are read while it computes."""
        return ahead_of(device, (self.read(part, device) for part in parts))

    def choose(self, locations: Int[np.ndarray, " b"]) -> dict[str, Int[np.ndarray, "b t"]]:
        """The chips that are read of these locations, by sensor: positions in `corpus.chips`, -1 for padding."""
        return self._reader.sampler(self.select).choose(locations)

    def read_chips(
        self,
        chips: Mapping[str, Int[np.ndarray, "b t"]],
        locations: Int[np.ndarray, " b"],
        device: torch.device | str = "cpu",
    ) -> dict[str, Image]:
        """All bands of these chips of these locations, by sensor."""
        return self._reader.about(locations, self._reader.read(chips, device), device=device).images

    def under_clouds(self, share: float) -> "BandReader":
        """A reader of the same dates under a clear sky, with clouds painted over this share of each series."""
        return _PaintedReader(self.corpus, self._bands, self.select, share)

    def altered(self, alter: Alter) -> "BandReader":
        """A reader of the same chips that shows them otherwise."""
        return _AlteredReader(self, alter)


def _moved(images: dict[str, Image], device: torch.device | str) -> dict[str, Image]:
    return {sensor: image.to(device) for sensor, image in images.items()}


def _spread(pieces: list[Image], bands: Sequence[str]) -> list[Image]:
    """The same channels, of which those of the location are as large as the first other one."""
    is_location = [key.startswith(f"{LOCATION}/") for key in bands]
    like = pieces[is_location.index(False)]
    b, t, _, h, w = like.pixels.shape

    def as_large(piece: Image) -> Image:
        pixels, valid = piece.pixels.expand(b, t, 1, h, w), piece.valid.expand(b, t, h, w)
        return replace(piece, pixels=pixels, valid=valid, days=like.days, gsd_m=like.gsd_m)

    return [as_large(piece) if spread else piece for piece, spread in zip(pieces, is_location, strict=True)]


class _AlteredReader(BandReader):
    """Reads what another one reads, and shows it otherwise."""

    def __init__(self, reader: BandReader, alter: Alter):
        self.__dict__.update(vars(reader))
        self._plain, self._alter = reader, alter

    def read(self, locations: Int[np.ndarray, " b"], device: torch.device | str = "cpu") -> dict[str, Image]:
        return _moved(self._alter(self._plain, locations), device)


class _PaintedReader(BandReader):
    """Paints clouds over clear chips; sensors of which the corpus knows none, such as radar, are read as they are."""

    def __init__(self, corpus: Corpus, bands: Sequence[str], select: Selection, share: float):
        super().__init__(corpus, bands, select)
        self._share = share
        self._clear = [sensor for sensor in self.reads if knows_clear(corpus, sensor)]
        self._reader = Reader(corpus, self.reads, clear=self._clear)

    def read(self, locations: Int[np.ndarray, " b"], device: torch.device | str = "cpu") -> dict[str, Image]:
        batch = self._reader.batch(locations, self.select)
        painted = {sensor: paint(batch.images[sensor], batch.uid, self._share) for sensor in self._clear}
        return _moved(batch.images | painted, device)
