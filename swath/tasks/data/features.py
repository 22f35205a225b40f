"""Frozen features of locations, and how an encoder is fed bands that it was not made for.

An input is a named list of bands; an encoder has channels. Where the two numbers differ the conventions of the papers
apply, and a table row says so in its note:

| encoder | input | what is done |
| --- | --- | --- |
| fixed bands | the same bands, in any order | its own order |
| any bands, k channels | k bands | as they are |
| any bands, 1 channel | n bands | each band alone, embeddings concatenated |
| any bands, k channels | n < k bands | repeated cyclically: one band is copied, VV, VH becomes VV, VH, VV |
| otherwise | | left out, with the reason |
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from swath._progress import track
from swath.batch import Image
from swath.corpus import Corpus, Reader, Selection
from swath.corpus.painting import knows_clear, paint
from swath.encoders import Encoder, InputContract, Standardize
from swath.errors import ContractError, nearest
from swath.sensors import band

Bands = tuple[str, ...]
"""Band keys, `sensor/band`."""


@dataclass(frozen=True, slots=True)
class Fit:
    """How an encoder is fed an input."""

    passes: tuple[Bands, ...]
    """The bands in the encoder's channels, for each time that it is called; embeddings are concatenated."""
    note: str = ""
    """What a reader must know of it."""


def fit(contract: InputContract, bands: Sequence[str]) -> Fit:
    """How an encoder with this contract takes these bands; see the table above.

    Raises:
        ContractError: it cannot; the message is fit for a table's note.
    """
    bands = tuple(bands)
    if unknown := [key for key in bands if key not in contract.bands]:
        raise ContractError(f"the encoder has no statistics of {', '.join(unknown)}")
    if contract.fixed:
        for own in contract.inputs:
            if sorted(bands) == sorted(own):
                return Fit((own,))
        choice = " or ".join(", ".join(own) for own in contract.inputs)
        raise ContractError(f"the encoder takes {choice} together and nothing else")
    n, k = len(bands), contract.channels
    if n == k:
        return Fit((bands,))
    if k == 1:
        return Fit(tuple((key,) for key in bands), f"{n} single-band embeddings concatenated")
    if n > k:
        raise ContractError(f"the encoder has {k} channels, the input {n} bands")
    cycle = tuple(bands[i % n] for i in range(k))
    return Fit((cycle,), f"{', '.join(key.partition('/')[2] for key in cycle)} as its {k} channels")


def contract_of(
    corpus: Corpus,
    bands: Sequence[str],
    *,
    channels: int | None = None,
    fixed: bool = True,
    branches: tuple[int, ...] = (),
) -> InputContract:
    """What an encoder is fed that takes these bands of a corpus, with the corpus's statistics.

    Args:
        corpus: finished, so that it has statistics.
        bands: band keys, `sensor/band`.
        channels: as in `InputContract`; as many as there are bands if not given. `fixed` and `branches` likewise.
        fixed: the channels are exactly these bands, in order.
        branches: how many of the bands, one after the other, make an input each.

    Raises:
        ContractError: the corpus has none of some band.
    """
    known = {f"{sensor}/{name}": s for sensor, by_band in corpus.statistics.items() for name, s in by_band.items()}
    for key in bands:
        if key not in known:
            raise ContractError(
                f"the corpus has no statistics of {key}", where=str(corpus.path), remedy=nearest(key, known)
            )
    return InputContract(
        channels=len(bands) if channels is None else channels,
        bands=tuple(bands),
        fixed=fixed,
        branches=branches,
        units=tuple(band(key).unit for key in bands),
        mean=tuple(known[key].mean for key in bands),
        std=tuple(known[key].std for key in bands),
        gsd_m=tuple(corpus.info.sensors[key.partition("/")[0]].gsd_m for key in bands),
    )


def unseen(contract: InputContract, bands: Sequence[str]) -> list[str]:
    """Those of the bands that an encoder which takes any band has no statistics of."""
    return [] if contract.fixed else [key for key in dict.fromkeys(bands) if key not in contract.bands]


def lend(encoder: Encoder, corpus: Corpus, bands: Sequence[str]) -> Encoder:
    """The same network, with the corpus's statistics for bands that it could take but has never seen.

    RS-BYOL's question of what an encoder without radar makes of radar needs this. Weights are shared, not copied; an
    encoder of fixed bands, or one that lacks nothing, is returned as it is.

    Raises:
        ContractError: the corpus has no statistics of some band either.
    """
    own = encoder.contract
    missing = unseen(own, bands)
    if not missing:
        return encoder
    more = contract_of(corpus, missing)
    joined = {name: getattr(own, name) + getattr(more, name) for name in ("bands", "units", "mean", "std")}
    joined["gsd_m"] = own.gsd_m and own.gsd_m + more.gsd_m
    lent = copy.copy(encoder)
    # a shallow copy shares the table of parts, which is about to differ
    lent._modules = dict(encoder._modules)
    lent.contract = replace(own, **joined)
    lent.standardize = Standardize(lent.contract).to(device_of(encoder))
    return lent


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """One encoder on one input."""

    encoder: Encoder
    bands: Bands
    passes: tuple[Bands, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "passes", fit(self.encoder.contract, self.bands).passes)

    @property
    def dim(self) -> int:
        """Length of the features."""
        return self.encoder.dim * len(self.passes)


class Pictures:
    """Reads the chips of some bands and puts any of them together as channels."""

    def __init__(self, corpus: Corpus, bands: Sequence[str], select: Selection):
        """Open the corpus for these bands; the first one's sensor leads in the choice of dates."""
        self.corpus, self._bands = corpus, tuple(bands)
        self.reads: dict[str, Bands] = {}
        for key in dict.fromkeys(bands):
            sensor, _, name = key.partition("/")
            self.reads[sensor] = (*self.reads.get(sensor, ()), name)
        self.select = select
        self._reader = Reader(corpus, self.reads)

    def complete(self, locations: Int[np.ndarray, " n"]) -> Int[np.ndarray, " m"]:
        """The locations that have a chip of every sensor."""
        return self._reader.sampler(self.select).complete(locations)

    def read(self, locations: Int[np.ndarray, " b"], device: torch.device | str = "cpu") -> dict[str, Image]:
        """All bands of these locations, by sensor. What is read of a location depends on nothing else."""
        return self._reader.batch(locations, self.select, device=device).images

    def under_clouds(self, share: float) -> "Pictures":
        """The same dates as they would be under a clear sky, with clouds painted over so much of each series."""
        return _Painted(self.corpus, self._bands, self.select, share)

    def compose(self, images: dict[str, Image], bands: Sequence[str]) -> Image:
        """These bands as the channels of one image; where sensors mix, a pixel is valid if all of them have it.

        Raises:
            ContractError: the sensors' chips differ in size, or in the number of dates.
        """
        sensors = list(dict.fromkeys(key.partition("/")[0] for key in bands))
        if len(sensors) == 1:
            return images[sensors[0]].channels([self._position(key) for key in bands])
        pieces = [images[key.partition("/")[0]].channels([self._position(key)]) for key in bands]
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


class _Painted(Pictures):
    """Sensors of which the corpus knows no clear chips, such as radar, are read as they are."""

    def __init__(self, corpus: Corpus, bands: Sequence[str], select: Selection, share: float):
        super().__init__(corpus, bands, select)
        self._share = share
        self._clear = [sensor for sensor in self.reads if knows_clear(corpus, sensor)]
        self._reader = Reader(corpus, self.reads, clear=self._clear)

    def read(self, locations: Int[np.ndarray, " b"], device: torch.device | str = "cpu") -> dict[str, Image]:
        batch = self._reader.batch(locations, self.select)
        painted = {sensor: paint(batch.images[sensor], batch.uid, self._share) for sensor in self._clear}
        return {sensor: image.to(device) for sensor, image in (batch.images | painted).items()}


def extract(
    encoder: Encoder,
    corpus: Corpus,
    locations: Int[np.ndarray, " n"],
    bands: Sequence[str],
    *,
    select: Selection | None = None,
    batch_size: int = 128,
    description: str | None = None,
) -> Float[np.ndarray, "n d"]:
    """Features of locations, float32, in their order.

    Args:
        encoder: on any device.
        corpus: where the chips are.
        locations: row numbers in `corpus.locations`.
        bands: band keys of the input.
        select: which dates (default: one).
        batch_size: locations per call of the encoder.
        description: of the progress bar; none if not given.

    Raises:
        ContractError: the encoder cannot take these bands.
    """
    pictures = Pictures(corpus, bands, select or Selection())
    request = Request(encoder, tuple(bands))
    return extract_all([request], pictures, locations, batch_size=batch_size, description=description)[0]


def extract_all(
    requests: Sequence[Request],
    pictures: Pictures,
    locations: Int[np.ndarray, " n"],
    *,
    batch_size: int = 128,
    description: str | None = None,
    trusted: bool = False,
) -> list[Float[np.ndarray, "n d"]]:
    """Features for several encoders and inputs in one pass over the chips; what two inputs share is embedded once.

    Units and pixel size are looked at in the first batch, unless they are trusted.
    """
    features = [np.empty((len(locations), request.dim), np.float32) for request in requests]
    starts = range(0, len(locations), batch_size)
    steps = track(starts, len(starts), description) if description else iter(starts)
    for start in steps:
        part = slice(start, start + batch_size)
        # what the first locations show of units and pixel size holds for all: they come from one corpus
        embedded = _embed(requests, pictures, locations[part], trusted=trusted or start > 0)
        for out, rows in zip(features, embedded, strict=True):
            out[part] = rows.cpu().numpy()
    return features


def _embed(
    requests: Sequence[Request], pictures: Pictures, locations: np.ndarray, *, trusted: bool
) -> Iterator[Float[Tensor, "b d"]]:
    made: dict[tuple[int, Bands], Tensor] = {}
    images: dict[torch.device, dict[str, Image]] = {}
    for request in requests:
        device = device_of(request.encoder)
        if device not in images:
            images[device] = pictures.read(locations, device)
        for bands in request.passes:
            key = (id(request.encoder), bands)
            if key not in made:
                image = pictures.compose(images[device], bands)
                made[key] = request.encoder.embed(image, trusted=trusted)
        yield torch.cat([made[id(request.encoder), bands] for bands in request.passes], dim=1)


def device_of(encoder: Encoder) -> torch.device:
    """Where the encoder's numbers are; every encoder has its bands' statistics as buffers."""
    return next(encoder.buffers()).device
