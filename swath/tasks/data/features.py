"""Frozen features of locations."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from swath._progress import track
from swath.batch import Image
from swath.corpus import Corpus, Selection
from swath.encoders import Encoder
from swath.tasks.data.inputs import device_of, match_bands
from swath.tasks.data.reading import BandReader, Bands


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """One encoder on one input."""

    encoder: Encoder
    bands: Bands
    passes: tuple[Bands, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "passes", match_bands(self.encoder.contract, self.bands).passes)

    @property
    def dim(self) -> int:
        """Length of the features."""
        return self.encoder.dim * len(self.passes)


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
    reader = BandReader(corpus, bands, select or Selection())
    request = Request(encoder, tuple(bands))
    return extract_all([request], reader, locations, batch_size=batch_size, description=description)[0]


def extract_all(
    requests: Sequence[Request],
    reader: BandReader,
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
    parts = [locations[start : start + batch_size] for start in starts]
    read = {device: reader.read_each(parts, device) for device in {device_of(one.encoder) for one in requests}}
    steps = track(starts, len(starts), description) if description else iter(starts)
    for start in steps:
        part = slice(start, start + batch_size)
        images = {device: next(each) for device, each in read.items()}
        # what the first locations show of units and pixel size holds for all: they come from one corpus
        embedded = _embed(requests, reader, images, trusted=trusted or start > 0)
        for out, rows in zip(features, embedded, strict=True):
            out[part] = rows.cpu().numpy()
    return features


class FeatureMemory:
    """Features of locations by one encoder, so that a location that several splits use is embedded once."""

    def __init__(self) -> None:
        self._known: dict[Bands, tuple[np.ndarray, np.ndarray]] = {}
        """By bands: rows of `corpus.locations`, ascending, and their features."""

    def features(
        self, request: Request, reader: BandReader, rows: Int[np.ndarray, " n"], batch_size: int
    ) -> Float[np.ndarray, "n d"]:
        """Features of these locations, of which those that are not known yet are computed.

        Args:
            request: the encoder, always the same one, on an input.
            reader: of the chips.
            rows: row numbers in `corpus.locations`.
            batch_size: locations per call of the encoder.
        """
        nothing = np.empty(0, np.int64), np.empty((0, request.dim), np.float32)
        known, features = self._known.get(request.bands, nothing)
        new = np.setdiff1d(rows, known)
        if len(new):
            made = extract_all([request], reader, new, batch_size=batch_size)[0]
            known, features = np.concatenate([known, new]), np.concatenate([features, made])
            order = np.argsort(known)
            self._known[request.bands] = known, features = known[order], features[order]
        return features[np.searchsorted(known, rows)]


def _embed(
    requests: Sequence[Request], reader: BandReader, images: dict[torch.device, dict[str, Image]], *, trusted: bool
) -> Iterator[Float[Tensor, "b d"]]:
    made: dict[tuple[int, Bands], Tensor] = {}
    for request in requests:
        device = device_of(request.encoder)
        for bands in request.passes:
            key = (id(request.encoder), bands)
            if key not in made:
                image = reader.compose(images[device], bands)
                made[key] = request.encoder.embed(image, trusted=trusted)
        yield torch.cat([made[id(request.encoder), bands] for bands in request.passes], dim=1)
